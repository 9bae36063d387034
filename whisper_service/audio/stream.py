"""Container streams, decoded in native threads while their bytes arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from whisper_service.audio.elementary import flac_blocks, mp3_blocks
from whisper_service.audio.ffmpeg import file_blocks, stream_blocks
from whisper_service.audio.pcm import Block, Gap
from whisper_service.errors import Full
from whisper_service.native import ByteSource, Pipe


class ContainerThreads:
    """Opens container streams, each with its own native thread, up to a limit.

    :param limit: number of streams that may be open at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open = 0

    def stream(self, name: str) -> ContainerStream:
        """Return a new stream of the format ``name``, which is decoded while its bytes arrive.

        :raises Full: if the limit is reached.
        """
        return self._start(lambda source: _stream_blocks(source, name))

    def file(self, data: bytes, name: str) -> ContainerStream:
        """Return the stream of a whole file, in a format that can be decoded only from all its bytes.

        :raises Full: if the limit is reached.
        """
        opened = self._start(lambda source: file_blocks(data, name))
        opened.close()
        return opened

    def _start(self, blocks: Callable[[ByteSource], Iterable[Block | Gap]]) -> ContainerStream:
        if self._open >= self._limit:
            raise Full(
                f"The server decodes {self._limit} compressed streams at once, and no more now. Send WAV or "
                "raw samples, which need no such place, or try again later."
            )
        self._open += 1
        return ContainerStream(blocks, self._release)

    def _release(self) -> None:
        self._open -= 1


class ContainerStream:
    """One open container. It decodes blocks while its bytes are still arriving.

    :param blocks: function that decodes a source. It runs in a native thread.
    :param on_end: called once, when the thread is no longer needed.
    """

    def __init__(
        self, blocks: Callable[[ByteSource], Iterable[Block | Gap]], on_end: Callable[[], None]
    ) -> None:
        self._pipe: Pipe[Block | Gap] = Pipe(blocks, weigh=_samples)
        self._on_end: Callable[[], None] | None = on_end

    @property
    def ended(self) -> bool:
        """Whether no more blocks will come."""
        return self._on_end is None

    def write(self, data: bytes) -> None:
        """Add bytes to the container."""
        self._pipe.source.put(data)

    def close(self) -> None:
        """Mark the end of the bytes."""
        self._pipe.source.close()

    def blocks(self) -> Iterator[Block | Gap]:
        """Yield the audio that can be decoded from the bytes so far. Blocks the greenlet.

        :raises AudioError: if the stream is broken. The stream has then ended.
        """
        try:
            while not self.ended:
                items = self._pipe.take()
                if self._pipe.ended and not items:
                    self._end()
                yield from items
                if self._pipe.hungry:
                    return
        except BaseException:  # also GeneratorExit, if the caller does not read to the end
            self.abort()
            raise

    def abort(self) -> None:
        """Let the thread end. Audio that was not yet yielded is dropped."""
        self._pipe.abort()
        self._end()

    def _end(self) -> None:
        if self._on_end is not None:
            self._on_end()
            self._on_end = None


def _stream_blocks(source: ByteSource, name: str) -> Iterable[Block | Gap]:
    match name:
        case "mp3":
            return mp3_blocks(source)
        case "flac":
            return flac_blocks(source)
        case _:
            return stream_blocks(source, name)


def _samples(item: Block | Gap) -> int:
    return item.samples.size if isinstance(item, Block) else 0
