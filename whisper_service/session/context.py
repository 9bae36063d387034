"""What the model is told stands before a window: the tail of the final text."""

from __future__ import annotations

#: A sentence or two. Longer prompts confuse a Whisper more often than they help it.
_LONGEST = 120


class Context:
    """The end of what was said, in one language: words of another one would draw the model into it."""

    def __init__(self) -> None:
        self._text = ""
        self._language: str | None = None

    def before(self, language: str | None) -> str:
        """Return at most 120 characters, cut where a word begins; "" if they are not of ``language``."""
        return self._text if language == self._language else ""

    def add(self, text: str, language: str) -> None:
        """Take the text that follows."""
        if language != self._language:
            self._text, self._language = "", language
        self._text += text
        if len(self._text) > _LONGEST:
            tail = self._text[-_LONGEST:]
            blank = tail.find(" ")
            self._text = tail if blank < 0 else tail[blank:]

    def forget(self) -> None:
        """Begin anew: what was there has led the model astray."""
        self._text = ""
