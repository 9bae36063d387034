"""The model is told what stands before a window: the tail of the final text."""

from __future__ import annotations

from dataclasses import dataclass

#: A sentence or two, in characters. Longer prompts confuse a Whisper more often than they help it.
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Context:
    """The end of the final text, in one language: words of another one would draw the model into it.

    :param text: at most 120 characters, cut where a word begins.
    """

    text: str = ""
    language: str | None = None

    def before(self, language: str | None) -> str:
        """Return the text; "" if it is not of ``language``."""
        return self.text if language == self.language else ""

    def followed_by(self, text: str, language: str) -> Context:
        """Return the context after ``text``."""
        text = (self.text if language == self.language else "") + text
        if len(text) > _LONGEST:
            tail = text[-_LONGEST:]
            blank = tail.find(" ")
            text = tail if blank < 0 else tail[blank:]
        return Context(text, language)

    def forgotten(self) -> Context:
        """Return the context without its text, which has led the model astray."""
        return Context("", self.language)
