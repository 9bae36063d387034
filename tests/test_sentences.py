"""The server's rules for the ends of sentences and paragraphs.

tests/browser/test_paragraphs.py tests the page's rules with the same cases.
"""

from __future__ import annotations

import pytest

from tests.sentences import ENDINGS, LEADING_MARKS, PARAGRAPHS
from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.sentences import begins_paragraph, ends_sentence, leading_mark


@pytest.mark.parametrize(("text", "ends"), ENDINGS)
def test_ends_sentence(text: str, ends: bool) -> None:
    assert ends_sentence(text) is ends


@pytest.mark.parametrize(("before", "pause_s", "begins"), PARAGRAPHS)
def test_begins_paragraph(before: str, pause_s: float, begins: bool) -> None:
    assert begins_paragraph(before, pause=round(pause_s * SAMPLE_RATE)) is begins


@pytest.mark.parametrize(("text", "mark"), LEADING_MARKS)
def test_leading_mark(text: str, mark: str) -> None:
    assert leading_mark(text) == mark
