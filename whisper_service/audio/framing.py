"""Framers cut a container stream into its parts, and give the parts to FFmpeg one by one.

If a piece of a stream is lost, a demuxer reads on in the middle of a part. It takes the next bytes for a
length and swallows all that follows, for ever and without an error. The ffmpeg program seeks back in its file
and searches, but the bytes of a socket are gone by then. So the parts (blocks of a WebM, boxes of an MP4) are
found here. Bytes that are no part are dropped, up to the next position that certainly begins a part. FFmpeg
then reads a stream without damage. The missing audio shows in the timestamps.

All code here takes time and memory in proportion to the bytes received. The length of a part is limited.
"""

from __future__ import annotations

from typing import Protocol

from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.errors import AudioError, BadAudio

#: A stream ends after this many seconds without a part that can be used.
_DEAF_S = 5.0
#: FFmpeg has read at most this many bytes more than it has decoded.
_AHEAD_BYTES = 1 << 16
#: A stream may end within a part. If more bytes than this are left, they were no audio, and count as lost.
_LONGEST_REST_BYTES = 1 << 14
#: Bounds for the number of bytes that ``_DEAF_S`` stands for: the measured byte rate may be unknown or wrong.
_LEAST_DEAF_BYTES, _MOST_DEAF_BYTES = 1 << 16, 8 << 20


class Readable(Protocol):
    """A source of bytes for FFmpeg. If it also has ``seek`` and ``tell``, FFmpeg seeks in it."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, or b"" at the end. May block."""


class DeafStream(BadAudio):
    """Many bytes came without a part that can be used.

    :param bytes_per_s: byte rate of the stream, to estimate how much audio is lost from now on; 0.0 if it is
        not known.
    """

    def __init__(self, message: str, *, lost_samples: int, bytes_per_s: float) -> None:
        super().__init__(message, lost_samples=lost_samples)
        self.bytes_per_s = bytes_per_s


class Framer:
    """Reads a stream and gives out its parts.

    A subclass takes parts from the beginning of ``held``, and calls ``give``, ``skip`` or ``drop`` for each.
    """

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._ready = bytearray()
        self._ended = False
        self._heard_s = 0.0
        self._dropped = 0  # bytes dropped since the last part that was given out
        #: Bytes received but not yet cut into parts.
        self.held = bytearray()
        #: Whether there was damage, and the next position to go on at is not found yet.
        self.lost = False
        #: Number of bytes given out so far.
        self.given = 0
        self._damage_at = -_AHEAD_BYTES  # value of ``given`` at the last damage
        #: The error that has ended the stream; nothing is given out any more. None while it goes on.
        self.problem: AudioError | None = None

    def sort(self) -> None:
        """Take all parts from the beginning of ``held`` that have arrived.

        :raises AudioError: if this stream cannot be decoded.
        """
        while self.held and (self.search() if self.lost else self.take()):
            pass

    def take(self) -> bool:
        """Take one part, or set ``lost`` if there is damage; return whether there was either."""
        raise NotImplementedError

    def search(self) -> bool:
        """Drop the bytes before the next position to go on at; return whether there is one.

        ``lost`` is False afterwards if there is one.
        """
        raise NotImplementedError

    def finish(self) -> None:
        """Handle the end of the stream: ``held`` may still have a part that is cut off."""
        if len(self.held) > _LONGEST_REST_BYTES:
            self.drop(len(self.held))

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, or b"" at the end and after a ``problem``. May block."""
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
            return b""  # after an exception FFmpeg would read again, and block
        count = len(self._ready) if size < 0 else size
        data = bytes(self._ready[:count])
        del self._ready[:count]
        return data

    def give(self, count: int) -> None:
        """Give out the first ``count`` bytes of ``held``."""
        self.give_instead(count, self.held[:count])

    def give_instead(self, count: int, part: bytes | bytearray) -> None:
        """Give out ``part`` instead of the first ``count`` bytes of ``held``."""
        self._ready += part
        self.given += len(part)
        self._dropped = 0
        del self.held[:count]

    def skip(self, count: int) -> None:
        """Remove the first ``count`` bytes of ``held``, which are not needed."""
        del self.held[:count]

    def drop(self, count: int) -> None:
        """Remove the first ``count`` bytes of ``held``, which are damaged.

        :raises DeafStream: if too many bytes were dropped since the last part.
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
        """Whether bytes were dropped shortly before those that FFmpeg decodes now."""
        return self.given - len(self._ready) < self._damage_at + _AHEAD_BYTES

    def decoded(self, seconds: float) -> None:
        """Record that FFmpeg has decoded ``seconds`` of audio."""
        self._heard_s += seconds

    @property
    def lost_s(self) -> float:
        """Seconds dropped since the last part, estimated from the byte rate; 0.0 if the rate is not known."""
        return self._dropped / self._bytes_per_s if self._bytes_per_s else 0.0

    @property
    def _bytes_per_s(self) -> float:
        return max(self.given / self._heard_s, 1.0) if self._heard_s > 1.0 else 0.0
