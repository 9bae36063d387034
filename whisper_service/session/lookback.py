"""A window hears the utterances before its own once more.

A Whisper understands half a minute better than a few seconds; docs/quality.md has what that is worth. The
words
of the look-back are final, so they stand in the window as forced prefix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.engine.request import Word
from whisper_service.session.context import Context

#: A window begins at most this long before its utterance, in samples.
LOOK_BACK_SAMPLES = 10 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the stream that is final: an utterance, or what a cut has left of it.

    :param start: its first sample.
    :param words: its words, in order.
    :param context: what stands before it.
    """

    start: int
    words: tuple[Word, ...]
    context: Context


@dataclass(frozen=True, slots=True)
class LookBack:
    """The last parts of a stream, without a gap in their words, in one language."""

    parts: tuple[Part, ...] = ()
    language: str = ""

    def before(self, start: int, language: str | None, *, earliest: int = 0) -> tuple[Part, ...]:
        """Return the parts that a window hears whose utterance begins at ``start``.

        :param earliest: the window may not begin before this sample.
        """
        if language != self.language:
            return ()
        earliest = max(earliest, start - LOOK_BACK_SAMPLES)
        return tuple(part for part in self.parts if part.start >= earliest)

    def followed_by(self, part: Part, language: str) -> LookBack:
        """Return the parts after ``part``, which follows the last one."""
        known = self.before(part.start, language)
        return LookBack((*known, part), language)

    def needed(self, start: int) -> LookBack:
        """Return the parts that windows from ``start`` on may hear."""
        return replace(self, parts=self.before(start, self.language))
