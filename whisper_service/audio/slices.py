"""From a client's messages to one gapless 16 kHz stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from whisper_service.audio.decode import RawReader, decode
from whisper_service.audio.ffmpeg import ACCEPTED
from whisper_service.audio.pcm import Float32, Pcm
from whisper_service.audio.recognise import Kind, Recognised, begins_anew, recognise
from whisper_service.audio.resample import Resampler
from whisper_service.audio.stream import ContainerStream, ContainerThreads
from whisper_service.audio.wav import WavRest, begin_wav, is_wav
from whisper_service.config import RawFormat
from whisper_service.errors import AudioError, BadAudio, UnsupportedAudio

#: Up to this size a WAV or raw slice is decoded and resampled within about a millisecond.
_QUICK_BYTES = 256 * 1024

#: Runs a function in a native thread and returns its result; blocks the greenlet.
InThread = Callable[[Callable[[], Pcm]], Pcm]


class SliceReader:
    """Decodes messages and resamples them as one stream.

    :param declared: format of the samples, where the client has declared one: then every message is that.
    :param undeclared: format of messages that are no known file; None refuses them.
    :param containers: decodes container streams.
    :param in_thread: runs what takes more than about a millisecond.
    """

    def __init__(
        self,
        *,
        declared: RawFormat | None,
        undeclared: RawFormat | None,
        containers: ContainerThreads,
        in_thread: InThread,
    ) -> None:
        self._declared = RawReader(declared) if declared else None
        self._undeclared = RawReader(undeclared) if undeclared else None
        self._containers = containers
        self._in_thread = in_thread
        self._container: ContainerStream | None = None
        self._wav: WavRest | None = None
        self._held = b""
        self._resampler: Resampler | None = None

    def read(self, data: bytes) -> Iterator[Float32]:
        """Yield what ``data`` adds to the stream, float32 ``(n_samples,)`` at 16 kHz. Blocks the greenlet.

        :raises AudioError: if it cannot be decoded.
        :raises Full: if too many container streams are open.
        """
        for pcm in self._decode(data):
            yield from self._resampled(pcm)

    def finish(self) -> Iterator[Float32]:
        """Yield what is still held back: the stream ends here.

        :raises AudioError: if the last container was cut off before its audio, or what came was no audio.
        """
        held, self._held = self._held, b""
        for pcm in self._end_container():
            yield from self._resampled(pcm)
        yield self._rest_of_rate()
        if held:
            raise _cut_off(held)

    def abort(self) -> None:
        """Free what the stream holds, for a client that is gone."""
        if self._container is not None:
            self._container.abort()
            self._container = None

    def _resampled(self, pcm: Pcm) -> Iterator[Float32]:
        if self._resampler is None or self._resampler.rate != pcm.rate:
            yield self._rest_of_rate()
            self._resampler = Resampler(pcm.rate)
        yield self._resampler.resample(pcm.samples)

    def _rest_of_rate(self) -> Float32:
        return np.zeros(0, dtype=np.float32) if self._resampler is None else self._resampler.flush()

    def _decode(self, data: bytes) -> Iterator[Pcm]:
        if self._declared is not None:
            yield self._quickly(self._declared.read, data)
        elif self._container is not None and not begins_anew(data):
            yield from self._continue(self._container, data)
        elif not data:
            raise UnsupportedAudio("An empty slice holds no audio.")
        else:
            problem: AudioError | None = None
            try:
                yield from self._end_container()
            except AudioError as error:
                problem = error  # it is not about these bytes: they come first
            form = recognise(data)
            if self._wav is not None and form.kind in (Kind.UNKNOWN, Kind.MORE):
                yield from self._continue_wav(self._wav, data)
                return
            held, self._held = self._held, b""
            if held and form.kind in (Kind.UNKNOWN, Kind.MORE):
                held, data = b"", held + data
                form = recognise(data)
            yield from self._begin(form, data)
            if held:
                problem = _cut_off(held)
            if problem is not None:
                raise problem

    def _begin(self, form: Recognised, data: bytes) -> Iterator[Pcm]:
        """Yield the audio of bytes that begin something new."""
        self._wav = None
        match form.kind:
            case Kind.MORE:
                self._held = data
            case Kind.WAV:
                yield self._quickly(self._begin_wav, data)
            case Kind.STREAM:
                self._container = self._containers.stream(form.name)
                yield from self._continue(self._container, data)
            case Kind.FILE:
                yield from self._containers.file(data, form.name).blocks()
            case Kind.INDEX_LAST:
                raise UnsupportedAudio(
                    "This MP4 has its index (moov) behind the audio and cannot be decoded as it comes: "
                    "send it in one message, or record fragmented MP4 or WebM."
                )
            case Kind.UNKNOWN if self._undeclared is not None:
                yield self._quickly(self._undeclared.read, data)
            case Kind.UNKNOWN:
                raise UnsupportedAudio(_UNKNOWN)

    def _begin_wav(self, data: bytes) -> Pcm:
        try:
            pcm, self._wav = begin_wav(data)
        except UnsupportedAudio:
            return decode(data)  # FFmpeg knows rarer codings
        return pcm

    def _continue_wav(self, wav: WavRest, data: bytes) -> Iterator[Pcm]:
        """Yield the audio of bytes behind a WAV whose header promised more: it came cut into messages."""
        yield self._quickly(wav.read, data)
        if not wav.missing:
            self._wav = None

    def _continue(self, container: ContainerStream, data: bytes) -> Iterator[Pcm]:
        container.write(data)
        try:
            yield from container.blocks()
        finally:
            if container.ended:
                self._container = None

    def _end_container(self) -> Iterator[Pcm]:
        container, self._container = self._container, None
        if container is not None:
            container.close()
            yield from container.blocks()

    def _quickly(self, read: Callable[[bytes], Pcm], data: bytes) -> Pcm:
        return read(data) if len(data) <= _QUICK_BYTES else self._in_thread(lambda: read(data))


def _cut_off(held: bytes) -> AudioError:
    """Return the error for bytes that began something and were not followed by the rest."""
    if is_wav(held):
        return BadAudio("The WAV has no data chunk: it was cut off within its header.")
    return UnsupportedAudio(_UNKNOWN)


_UNKNOWN = (
    f"This is no audio in a format that we know. Send whole files ({ACCEPTED}), the bytes of one WebM, Ogg, "
    "fragmented MP4, MP3 or FLAC stream from its header on, or declare raw samples: format=s16le or f32le."
)
