"""The text that the model is told before a window: the end of the final text."""

from __future__ import annotations

from dataclasses import dataclass

#: Longest context in characters: a sentence or two. Longer prompts confuse a Whisper more often than they
#: help it.
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Context:
    """The end of the final text, in one language. Words of another language would draw the model into it.

    :param text: at most 120 characters. It is cut at a space if there is one.
    """

    text: str = ""
    language: str | None = None

    def before(self, language: str | None) -> str:
        """Return the text, or "" if it is not in ``language``."""
        return self.text if language == self.language else ""

    def followed_by(self, text: str, language: str) -> Context:
        """Return the context after ``text`` has become final."""
        text = (self.text if language == self.language else "") + text
        if len(text) > _LONGEST:
            tail = text[-_LONGEST:]
            blank = tail.find(" ")
            text = tail if blank < 0 else tail[blank:]
        return Context(text, language)

    def forgotten(self) -> Context:
        """Return the context without its text, because the text has misled the model."""
        return Context("", self.language)
