"""What no log may hold: keys, secrets, tokens, and what was said."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_DATA = Path(__file__).resolve().parent / "data"

#: API keys and client secrets; the tokens of resumable streams, which end with a time and a signature; two
#: of the words of ``tests.fakes.speak``.
_SECRET = re.compile(r"\b(?:wsk|ek)_[\w.-]{16,}|[\w-]{20,}\.[\w-]{6}\.[\w-]{27}(?![\w-])|\bw\d+\.? w\d+\b")
#: Time, level and logger of a line, and the name of its stream.
_PREFIX = re.compile(r"^[\d-]+ [\d:,]+ [A-Z]+ [\w.]+: (?:[0-9a-f]{16}: )?", re.MULTILINE)
#: So many words of a talk in a row are no chance.
_IN_A_ROW = 4
_JFK = "ask not what your country can do for you ask what you can do for your country"


def found_in(text: str) -> list[str]:
    """Return what ``text``, a log, has of keys, secrets, tokens and what was said in the tests' talks."""
    text = _PREFIX.sub("", text)  # what was said may be in many lines, word by word
    return [*_SECRET.findall(text), *(" ".join(row) for row in sorted(_rows(text) & _said()))]


@contextmanager
def watched_log(name: str = "whisper_service") -> Iterator[None]:
    """Fail if the logger ``name`` gets something meanwhile that no log may hold."""
    handler, logger = _Kept(), logging.getLogger(name)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert not found_in("\n".join(handler.lines)), handler.lines


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter().format(record))


@cache
def _said() -> frozenset[tuple[str, ...]]:
    talks = [json.loads(path.read_text())["text"] for path in _DATA.glob("talk-*.json")]
    return frozenset().union(*(_rows(text) for text in [*talks, _JFK]))


def _rows(text: str) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"[a-z']+", text.lower())
    return frozenset(zip(*(words[start:] for start in range(_IN_A_ROW)), strict=False))
