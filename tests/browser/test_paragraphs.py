"""Where sentences and paragraphs end, by the page's rules."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenPage
from tests.sentences import ENDINGS, LEADING_MARKS, PARAGRAPHS
from tests.servers import Server

pytestmark = pytest.mark.browser


def test_the_page_has_the_rules_of_the_server(server: Server, open_page: OpenPage) -> None:
    ask = """async (cases) => {
      const page = document.querySelector('script[src$="page.js"]').src;
      const { beginsParagraph, endsSentence, leadingMark } = await import(new URL('sentences.js', page));
      return [cases.endings.map(([text]) => endsSentence(text)),
              cases.paragraphs.map(([before, pause]) => beginsParagraph(before, pause)),
              cases.marks.map(([text]) => leadingMark(text))];
    }"""
    with open_page(server) as page:
        cases = {"endings": ENDINGS, "paragraphs": PARAGRAPHS, "marks": LEADING_MARKS}
        said = page.page.evaluate(ask, cases)
    assert said == [
        [ends for _, ends in ENDINGS],
        [begins for _, _, begins in PARAGRAPHS],
        [mark for _, mark in LEADING_MARKS],
    ]
