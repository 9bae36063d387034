"""Decodes a client's messages to one gapless 16 kHz stream."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from whisper_service.audio.clock import ClientClock
from whisper_service.audio.decode import RawReader
from whisper_service.audio.ffmpeg import ACCEPTED
from whisper_service.audio.framing import DeafStream
from whisper_service.audio.mixing import Downmix
from whisper_service.audio.pcm import SAMPLE_RATE, Block, Gap, Samples
from whisper_service.audio.recognise import Kind, Recognised, begins_anew, recognise
from whisper_service.audio.resample import Resampler
from whisper_service.audio.stream import ContainerStream, ContainerThreads
from whisper_service.audio.wav import WavReader
from whisper_service.config import RawFormat
from whisper_service.errors import TO_STOP, AudioError, BadAudio, UnsupportedAudio

#: Number of output samples that are resampled at once. This takes about a millisecond.
_PIECE_SAMPLES = SAMPLE_RATE
#: Interval between the errors about a stream that can no longer be decoded, in seconds of the stream.
_REMIND_S = 5.0
#: One message of such a stream counts as at most this many seconds of lost audio.
_LONGEST_LOSS_S = 60.0


class SliceReader:
    """Decodes messages and resamples them as one stream.

    The audio comes in pieces of bounded size, and each piece is computed only when the caller asks for it. So
    a small file of many hours needs no more memory than a slice of half a second, and never blocks the hub
    for longer.

    :param declared: format of the raw samples in every message, if the client has declared one.
    :param undeclared: format of messages that are no known file. If it is None, such messages are rejected.
    :param containers: opens the container streams.
    :param clock: counts the client's samples.
    :param skipped: so many of the client's first samples are dropped, for each channel.
    """

    def __init__(
        self,
        *,
        declared: RawFormat | None,
        undeclared: RawFormat | None,
        containers: ContainerThreads,
        clock: ClientClock | None = None,
        skipped: int = 0,
    ) -> None:
        self.clock = clock or ClientClock()
        self._skipped = skipped
        self._declared = RawReader(declared) if declared else None
        self._undeclared = RawReader(undeclared) if undeclared else None
        self._containers = containers
        self._container: ContainerStream | None = None
        self._wav: WavReader | None = None
        self._deaf: _UndecodableStream | None = None
        self._held = bytearray()
        self._mixer = Downmix()
        self._resampler: Resampler | None = None

    def read(self, data: bytes) -> Iterator[Samples | Gap]:
        """Yield the audio that ``data`` adds to the stream. Blocks the greenlet.

        Audio is float32 ``(n_samples,)`` at 16 kHz. A ``Gap`` stands for audio that was sent but is lost.

        :raises AudioError: if ``data`` cannot be decoded.
        :raises Full: if too many container streams are open.
        """
        for item in self._decode(data):
            yield from self._resampled(item)

    def finish(self) -> Iterator[Samples | Gap]:
        """Yield the audio that is still held back at the end of the stream.

        :raises AudioError: if the last container or WAV was cut off before its audio, or if the bytes held
            back are no audio.
        """
        for item in self._end_container():
            yield from self._resampled(item)
        yield self._rest_of_rate()
        wav, self._wav = self._wav, None
        if wav is not None:
            wav.end()
        if self._held:
            self._held = bytearray()
            raise UnsupportedAudio(_UNKNOWN)

    def abort(self) -> None:
        """Free the resources of the stream, after the client has gone."""
        if self._container is not None:
            self._container.abort()
            self._container = None
        self._wav, self._held = None, bytearray()

    def _resampled(self, item: Block | Gap) -> Iterator[Samples | Gap]:
        if isinstance(item, Gap):
            self.clock.stay()
            yield self._rest_of_rate()
            yield item
            return
        if self._skipped:
            dropped = min(self._skipped, item.samples.shape[0])
            self._skipped -= dropped
            item = Block(item.samples[dropped:], item.rate)
        self.clock.count(item.samples.shape[0], item.rate)
        if self._resampler is None or self._resampler.rate != item.rate:
            yield self._rest_of_rate()
            self._resampler = Resampler(item.rate)
        size = max(1, _PIECE_SAMPLES * item.rate // SAMPLE_RATE)
        for start in range(0, item.samples.shape[0], size):
            piece = Block(item.samples[start : start + size], item.rate)
            yield self._resampler.resample(self._mixer.mix(piece))

    def _rest_of_rate(self) -> Samples:
        return np.zeros(0, dtype=np.float32) if self._resampler is None else self._resampler.flush()

    def _decode(self, data: bytes) -> Iterator[Block | Gap]:
        if self._declared is not None:
            self._refuse_nothing(data)
            yield from self._declared.read(data)
        elif self._container is not None and not begins_anew(data):
            yield from self._continue(self._container, data)
        elif self._wav is not None and not begins_anew(data) and self._wav.belongs(data):
            if self._wav.promised:  # otherwise the message is a chunk after the samples
                yield from self._read_wav(self._wav, data)
        elif self._deaf is not None and not begins_anew(data):
            yield from self._deaf.lose(data)
        else:
            self._refuse_nothing(data)
            yield from self._decode_new(data)

    def _refuse_nothing(self, data: bytes) -> None:
        if not data:
            raise UnsupportedAudio(f"An empty slice holds no audio. {TO_STOP}")

    def _decode_new(self, data: bytes) -> Iterator[Block | Gap]:
        problem: AudioError | None = None
        try:
            yield from self._end_container()
            if self._wav is not None:
                self._wav.end()
        except AudioError as error:
            problem = error  # it concerns the stream before: these bytes are decoded first
        self._wav = self._deaf = None
        form = recognise(data)
        if self._held and form.kind in (Kind.UNKNOWN, Kind.MORE):
            self._held += data
            form = recognise(self._held)
            if form.kind is Kind.MORE:
                return
            data, self._held = bytes(self._held), bytearray()
        held, self._held = self._held, bytearray()
        yield from self._begin(form, data)
        if held:
            problem = UnsupportedAudio(_UNKNOWN)
        if problem is not None:
            raise problem

    def _begin(self, form: Recognised, data: bytes) -> Iterator[Block | Gap]:
        """Yield the audio of bytes that begin a new stream or file."""
        match form.kind:
            case Kind.MORE:
                self._held = bytearray(data)
            case Kind.WAV:
                self._wav = WavReader()
                yield from self._read_wav(self._wav, data)
            case Kind.STREAM:
                self.clock.stay()
                self._container = self._containers.stream(form.name)
                yield from self._continue(self._container, data)
            case Kind.FILE:
                self.clock.stay()
                yield from self._containers.file(data, form.name).blocks()
            case Kind.INDEX_LAST:
                raise UnsupportedAudio(
                    "This MP4 has its index (moov) after the audio and cannot be decoded as it comes: "
                    "send it in one message, or record fragmented MP4 or WebM."
                )
            case Kind.UNKNOWN if self._undeclared is not None:
                yield from self._undeclared.read(data)
            case Kind.UNKNOWN:
                raise UnsupportedAudio(_UNKNOWN)

    def _read_wav(self, wav: WavReader, data: bytes) -> Iterator[Block | Gap]:
        try:
            yield from wav.read(data)
        except UnsupportedAudio as error:
            self._wav = None
            yield from self._read_rare_wav(wav, error)
        except AudioError:
            self._wav = None
            raise

    def _read_rare_wav(self, wav: WavReader, problem: UnsupportedAudio) -> Iterator[Block | Gap]:
        """Yield the audio of a WAV in a codec that only FFmpeg knows, such as ADPCM or GSM."""
        self.clock.stay()
        container = self._containers.stream("wav")
        container.write(wav.head)
        if wav.promised:
            self._container = container
        else:
            container.close()
        try:
            yield from self._blocks(container)
        except AudioError:
            raise problem from None

    def _continue(self, container: ContainerStream, data: bytes) -> Iterator[Block | Gap]:
        container.write(data)
        yield from self._blocks(container)

    def _blocks(self, container: ContainerStream) -> Iterator[Block | Gap]:
        try:
            yield from container.blocks()
        except DeafStream as problem:
            self._deaf = _UndecodableStream(problem.bytes_per_s)
            raise
        finally:
            if container.ended:
                self._container = None

    def _end_container(self) -> Iterator[Block | Gap]:
        container, self._container = self._container, None
        if container is not None:
            container.close()
            yield from container.blocks()


class _UndecodableStream:
    """Counts the bytes of a stream that can no longer be decoded as lost audio.

    :param bytes_per_s: byte rate of the stream; 0 if it is not known.
    """

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._untold_s = 0.0

    def lose(self, data: bytes) -> Iterator[Gap]:
        """Yield the gap that ``data`` leaves.

        :raises BadAudio: every 5 s of the stream, or always if the byte rate is not known, to say what to do.
        """
        seconds = min(len(data) / self._bytes_per_s, _LONGEST_LOSS_S) if self._bytes_per_s else 0.0
        yield Gap(seconds, "")
        self._untold_s += seconds
        if self._untold_s >= _REMIND_S or not self._bytes_per_s:
            self._untold_s = 0.0
            raise BadAudio(
                "Nothing of this stream can be heard: begin a new one, whose first message has the header."
            )


_UNKNOWN = (
    "The format of this audio is unknown. Send whole files "
    f"({ACCEPTED}), the bytes of one WebM, Ogg, fragmented MP4, MP3 or FLAC stream from its header on, or "
    "declare raw samples, as with format=s16le."
)
