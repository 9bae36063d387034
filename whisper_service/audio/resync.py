"""Container streams of which a piece is lost: they are taken up again where a demuxer can begin.

A demuxer that finds itself in the middle of something takes the next bytes for a length, and then swallows
what comes: for ever, without an error. FFmpeg's own program seeks back in its file and searches; the bytes of
a socket are gone by then. So here the last ones are kept, with the beginning of the stream, which says how it
is coded. Once bytes have gone in for a second of their clock and nothing has come out, the demuxer is
started again, at the next block or cluster (WebM) or fragment (MP4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from whisper_service.audio.ffmpeg import GAP, Clock, Readable, container_blocks
from whisper_service.audio.mp4 import BoxChecker, FragmentPlaces
from whisper_service.audio.pcm import SAMPLE_RATE, Block, Gap
from whisper_service.audio.places import Places
from whisper_service.audio.webm import WebmPlaces
from whisper_service.errors import AudioError, BadAudio

#: Before the first sound there may be metadata and pictures, but not more of them.
_LONGEST_HEADER_BYTES = 4 << 20
#: The bytes before the last sound that are kept: they say to which cluster what follows belongs.
_KEPT_BYTES = 1 << 16
#: So much of the stream's clock without a sound is a fault: after the first the demuxer is started again,
#: after the second the stream is given up.
_RESTART_S, _DEAF_S = 1.0, 5.0
#: Fewer bytes than these say nothing about a rate.
_TELLING_BYTES = 4096
#: What may be left over at the end of a stream: part of a frame.
_FEW_BYTES, _FEW_S = 2048, 0.25


class DeafStream(BadAudio):
    """Bytes have gone in for long, and nothing came out.

    :param bytes_per_s: how fast the stream was, to tell what is lost of it from now on.
    """

    def __init__(self, message: str, *, lost_samples: int, bytes_per_s: float) -> None:
        super().__init__(message, lost_samples=lost_samples)
        self.bytes_per_s = bytes_per_s


_PLACES: dict[str, Callable[[], Places]] = {"matroska": WebmPlaces, "mov": FragmentPlaces}


def stream_blocks(source: Readable, name: str) -> Iterator[Block | Gap]:
    """Yield the first audio stream of a container whose bytes come one after the other.

    Runs in a thread of its own, which waits in ``source.read``.

    :param name: FFmpeg's name of the demuxer.
    :raises DeafStream: if nothing came out of it for 5 s of its clock.
    :raises BadAudio, UnsupportedAudio: see ``container_blocks``.
    """
    places = _PLACES.get(name)
    tap = Tap(source, places() if places else None)
    clock = Clock()
    while True:
        checker = BoxChecker(tap) if name == "mov" else None
        try:
            for item in container_blocks(checker or tap, name, clock):
                tap.heard(item, clock.read_to)
                yield item
            if tap.ended and not tap.missed:
                return
        except AudioError:
            if (checker and checker.refused) or not (tap.deaf or tap.can_restart):
                raise
        if tap.restart():
            continue
        if not (tap.ended and tap.heard_s):
            raise tap.gave_up()
        if tap.missed_s:
            yield Gap(tap.missed_s, GAP)
        return


class Tap:
    """The bytes of a stream on their way to a demuxer: counted, and kept for a while.

    :param places: finds where a demuxer can begin. None: only at the beginning.
    """

    def __init__(self, source: Readable, places: Places | None) -> None:
        self._source = source
        self._places = places
        self._beginning: bytes | None = None  # up to where a demuxer can begin for the first time
        self._recent = bytearray()
        self._recent_at = 0  # place of the first of them in the stream
        self._replay = b""  # what a demuxer that was started again reads first
        self._demuxer_at = 0  # place in the stream of what the demuxer takes for its first byte
        self._heard_at = 0  # place of the last byte of which a sound is known to have come
        self._taken_at = 0  # place of the last byte that the demuxer had when a sound came
        self._restarted_at = 0  # place of the last byte that was here when a demuxer was started again
        self._searched = 0  # the next place to begin at lies at or after this
        #: How much came out of it, in seconds.
        self.heard_s = 0.0
        self._ended = False
        #: Whether the demuxer was told that the stream is over, because nothing came out of it.
        self.deaf = False

    @property
    def can_restart(self) -> bool:
        """Whether a demuxer can begin in the middle of this stream."""
        return self._places is not None and self._beginning is not None

    @property
    def ended(self) -> bool:
        """Whether the stream has ended by itself."""
        return self._ended and not self.deaf

    @property
    def missed(self) -> bool:
        """Whether more bytes than a few have come since the last sound."""
        return self._silent > max(_FEW_BYTES, _FEW_S * self._bytes_per_s)

    @property
    def missed_s(self) -> float:
        """What of the end of the stream gave no sound and should have, in seconds."""
        at = self._heard_at - self._recent_at
        if not self.missed or self._places is None or self._places.is_index(self._recent, max(0, at)):
            return 0.0
        return self._silent / self._bytes_per_s if self._bytes_per_s else 0.0

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, b"" at the end, or where the demuxer is to be started again."""
        if self._replay:
            count = len(self._replay) if size < 0 else size
            data, self._replay = self._replay[:count], self._replay[count:]
            return data
        if self._ended or self._deaf_for(_DEAF_S) or (self.can_restart and self._deaf_for(_RESTART_S)):
            self.deaf = not self._ended
            return b""
        return self._take(size)

    def heard(self, item: Block | Gap, read_to: int | None) -> None:
        """Note that something came out.

        :param read_to: where the demuxer takes its last packet to end; None if it does not say.
        """
        if isinstance(item, Gap):
            return
        self.heard_s += item.samples.shape[0] / item.rate
        self._taken_at = self._end - len(self._replay)
        at = self._taken_at if read_to is None else self._demuxer_at + read_to
        self._heard_at = max(self._heard_at, min(at, self._end))
        if self._beginning is None:
            self._places = None  # there is sound, and no place to begin at was before it

    def restart(self) -> bool:
        """Let the next demuxer begin at the next place where one can; read on until there is one.

        Returns False if none came for 5 s of the stream's clock, or the stream has ended.
        """
        if self._places is None or self._beginning is None:
            return False
        self._replay, self.deaf = b"", False
        at = max(self._searched, self._heard_at, self._recent_at)
        while True:
            place = self._places.find(self._recent, at - self._recent_at)
            if place is not None:
                break
            if self._ended:
                return False
            if self._deaf_for(_DEAF_S):
                self.deaf = True
                return False
            self._take(-1)
        found = self._recent_at + place.at
        self._searched = found + 1
        before = self._beginning + place.before
        self._replay = before + self._recent[place.at :]
        self._demuxer_at = found - len(before)
        self._restarted_at = self._end
        return True

    def gave_up(self) -> AudioError:
        """Return the error of a stream out of which nothing comes any more."""
        seconds = self._silent / self._bytes_per_s if self._bytes_per_s else 0.0
        what = f"{seconds:.1f} s" if seconds else f"{self._silent} bytes"
        return DeafStream(
            f"No audio has come out of {what} of the stream: a piece of it is missing or damaged. Begin a "
            "new recording, whose first message has the header.",
            lost_samples=round(seconds * SAMPLE_RATE),
            bytes_per_s=self._bytes_per_s,
        )

    @property
    def _end(self) -> int:
        return self._recent_at + len(self._recent)

    @property
    def _silent(self) -> int:
        return self._end - self._taken_at

    @property
    def _bytes_per_s(self) -> float:
        if not self.heard_s:
            return 0.0
        # An Ogg says only where the page of a packet begins; there what the demuxer had has to do.
        count = self._heard_at - len(self._beginning) if self._beginning else self._taken_at
        return max(count / self.heard_s, 1.0)

    def _deaf_for(self, seconds: float) -> bool:
        """Return whether the demuxer has had so much of the stream without a sound."""
        if not self.heard_s:
            return self._silent > _LONGEST_HEADER_BYTES
        # A demuxer that was started again has its time too, but not for ever.
        silent = self._silent if seconds == _DEAF_S else self._end - max(self._taken_at, self._restarted_at)
        return silent > max(_TELLING_BYTES, seconds * self._bytes_per_s)

    def _take(self, size: int) -> bytes:
        data = self._source.read(size)
        if not data:
            self._ended = True
            return b""
        self._recent += data
        if self._places is not None and self._beginning is None:
            at = self._places.first(self._recent, self._searched)
            if at >= 0:
                self._beginning, self._searched = bytes(self._recent[:at]), at + 1
            else:
                self._searched = max(0, len(self._recent) - 16)
        surplus = self._heard_at - _KEPT_BYTES - self._recent_at
        if surplus > _KEPT_BYTES:
            if self._places is not None:
                self._places.forget(self._recent[:surplus])
            del self._recent[:surplus]
            self._recent_at += surplus
        return data
