"""Framer for Ogg streams. FFmpeg finds the next page by itself; this framer detects that no page comes.

Source: RFC 3533, section 6.
"""

from __future__ import annotations

from whisper_service.audio.framing import Framer, Readable

_PAGE = b"OggS"
#: A page has 65,307 bytes at most.
_LONGEST_PAGE_BYTES = 65_307


class PageFramer(Framer):
    """Gives out all bytes, except those after the longest possible page if no new page has begun."""

    def __init__(self, source: Readable) -> None:
        super().__init__(source)
        self._since = 0  # bytes since the beginning of the last page

    def sort(self) -> None:
        while len(self.held) >= len(_PAGE):
            at = self.held.find(_PAGE, 1)
            count = at if at >= 0 else len(self.held) - len(_PAGE) + 1
            self._since = 0 if self.held.startswith(_PAGE) else self._since
            self._since += count
            if self._since <= _LONGEST_PAGE_BYTES:
                self.give(count)
            else:
                self.drop(count)
            if at < 0:
                return

    def finish(self) -> None:
        self.give(len(self.held))
