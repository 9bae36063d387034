"""Container streams on their way to FFmpeg: cut into the parts that they consist of, and given out part by
part.

A demuxer of which a piece is lost finds itself in the middle of something, takes the next bytes for a length,
and swallows what comes: for ever, without an error. FFmpeg's own program seeks back in its file and searches;
the bytes of a socket are gone by then. So the parts (blocks of a WebM, boxes of an MP4) are found here. What
is none is left out, up to the next place that is one beyond doubt, and FFmpeg reads a stream without damage.
What is missing shows in the timestamps.

Everything here takes time and memory in proportion to what is sent, and the parts are bounded.
"""

from __future__ import annotations

from typing import Protocol

from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.errors import AudioError, BadAudio

#: So much of the stream's clock without anything that can be used ends it.
_DEAF_S = 5.0
#: FFmpeg decodes by no more than that behind what it has read.
_AHEAD_BYTES = 1 << 16
#: What is left out may not be less than that, where a rate says little, nor more.
#: A stream may end within a part; a longer rest was no sound.
_LONGEST_REST_BYTES = 1 << 14
_LEAST_DEAF_BYTES, _MOST_DEAF_BYTES = 1 << 16, 8 << 20


class Readable(Protocol):
    """What FFmpeg reads from; with ``seek`` and ``tell`` it seeks too."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, b"" at the end. May block."""


class DeafStream(BadAudio):
    """Bytes have gone in for long, and nothing came out.

    :param bytes_per_s: how fast the stream was, to tell what is lost of it from now on.
    """

    def __init__(self, message: str, *, lost_samples: int, bytes_per_s: float) -> None:
        super().__init__(message, lost_samples=lost_samples)
        self.bytes_per_s = bytes_per_s


class Framer:
    """Reads a stream and gives out its parts.

    A subclass takes parts from the beginning of ``held``, and says what becomes of them: ``give``, ``skip``
    or ``drop``.
    """

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._ready = bytearray()
        self._ended = False
        self._heard_s = 0.0
        self._dropped = 0  # bytes since the last part that was given out
        #: Bytes that are not sorted yet.
        self.held = bytearray()
        #: Whether the next place to go on at is being searched.
        self.lost = False
        #: Bytes that were given out.
        self.given = 0
        self._damage_at = -_AHEAD_BYTES  # bytes that were given out before the last damage
        #: Why nothing is given out any more.
        self.problem: AudioError | None = None

    def sort(self) -> None:
        """Take as many parts from the beginning of ``held`` as are there.

        :raises AudioError: if nothing can be made of this stream.
        """
        while self.held and (self.search() if self.lost else self.take()):
            pass

    def take(self) -> bool:
        """Take a part, or notice damage (``lost``); return whether there was either."""
        raise NotImplementedError

    def search(self) -> bool:
        """Drop what is before the next place to go on at; return whether there is one, no more ``lost``."""
        raise NotImplementedError

    def finish(self) -> None:
        """Do with what is left in ``held``, a part that is cut off, what is to be done at the end."""
        if len(self.held) > _LONGEST_REST_BYTES:
            self.drop(len(self.held))

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, never more; b"" at the end, or after a ``problem``. May block."""
        while not self._ready and self.problem is None and not self._ended:
            data = self._source.read(1 << 16)
            self._ended = not data
            self.held += data
            try:
                self.sort()
                if self._ended:
                    self.finish()
            except AudioError as problem:
                self.problem = problem
        if self.problem is not None:
            return b""  # FFmpeg asks again after an exception, and would wait
        count = len(self._ready) if size < 0 else size
        data = bytes(self._ready[:count])
        del self._ready[:count]
        return data

    def give(self, count: int) -> None:
        """Give out the first ``count`` bytes."""
        self.give_instead(count, self.held[:count])

    def give_instead(self, count: int, part: bytes | bytearray) -> None:
        """Give out ``part`` in the place of the first ``count`` bytes."""
        self._ready += part
        self.given += len(part)
        self._dropped = 0
        del self.held[:count]

    def skip(self, count: int) -> None:
        """Leave out the first ``count`` bytes, which nobody needs."""
        del self.held[:count]

    def drop(self, count: int) -> None:
        """Leave out the first ``count`` bytes, of which nothing can be made.

        :raises DeafStream: if that goes on for long.
        """
        del self.held[:count]
        self._dropped += count
        self._damage_at = self.given
        limit = max(_LEAST_DEAF_BYTES, min(_DEAF_S * self._bytes_per_s, _MOST_DEAF_BYTES))
        if self._dropped > limit:
            seconds = self.lost_s
            what = f"{seconds:.1f} s" if seconds else f"{self._dropped} bytes"
            raise DeafStream(
                f"Nothing can be made of {what} of the stream: a piece of it is missing or damaged. Begin a "
                "new recording, whose first message has the header.",
                lost_samples=round(seconds * SAMPLE_RATE),
                bytes_per_s=self._bytes_per_s,
            )

    @property
    def damaged(self) -> bool:
        """Whether something was left out not long before what FFmpeg decodes now."""
        return self.given - len(self._ready) < self._damage_at + _AHEAD_BYTES

    def heard(self, seconds: float) -> None:
        """Note that so much sound came out."""
        self._heard_s += seconds

    @property
    def lost_s(self) -> float:
        """How long that is which was left out since the last part, by the bytes; 0.0 if that is not known."""
        return self._dropped / self._bytes_per_s if self._bytes_per_s else 0.0

    @property
    def _bytes_per_s(self) -> float:
        return max(self.given / self._heard_s, 1.0) if self._heard_s > 1.0 else 0.0
