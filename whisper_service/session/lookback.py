"""The look-back of a window: the utterances before its own, which the model hears once more.

A Whisper understands half a minute better than a few seconds; docs/quality.md has what that is worth. The
words of the look-back are final, so they are part of the window's forced prefix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.session.context import Context

#: A window begins at most this long before its utterance, in samples.
LOOK_BACK_SAMPLES = 15 * SAMPLE_RATE
#: It may begin up to this long before, if the window before began at the same place: the model goes on there.
LONGEST_SAMPLES = 20 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the stream that is final: an utterance, or a part of one that was cut.

    :param start: its first sample.
    :param tokens: the tokens of its words.
    :param context: the text before it.
    """

    start: int
    tokens: tuple[int, ...]
    context: Context


@dataclass(frozen=True, slots=True)
class LookBack:
    """The last parts of a stream, in one language. No words between them are missing."""

    parts: tuple[Part, ...] = ()
    language: str = ""

    def before(
        self, start: int, language: str | None, *, earliest: int = 0, begun: int = -1
    ) -> tuple[Part, ...]:
        """Return the parts for the window of an utterance that begins at ``start``.

        :param earliest: the window may not begin before this sample.
        :param begun: the sample at which the window before began.
        """
        if language != self.language:
            return ()
        parts = [part for part in self.parts if part.start >= max(earliest, start - LONGEST_SAMPLES)]
        near = [part for part in parts if part.start >= start - LOOK_BACK_SAMPLES]
        goes_on = [part for part in parts if part.start >= begun]
        return tuple(goes_on if goes_on and goes_on[0].start == begun else near)

    def followed_by(self, part: Part, language: str) -> LookBack:
        """Return the look-back with ``part`` added, which follows the last one."""
        known = self.kept_for(part.start).parts if language == self.language else ()
        return LookBack((*known, part), language)

    def kept_for(self, start: int) -> LookBack:
        """Return the look-back with only the parts that utterances from ``start`` on may need."""
        earliest = start - LONGEST_SAMPLES
        return replace(self, parts=tuple(part for part in self.parts if part.start >= earliest))
