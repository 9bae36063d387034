"""Keywords on the page: marked where they stand, told once, taken back with their words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.page import LivePage
from tests.browser.test_reading import FAKE_SERVER, start
from tests.browser.test_settings import query
from tests.servers import Server

pytestmark = pytest.mark.browser

RINGS = """
window.rings = 0;
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...when) { window.rings += 1; return start.apply(this, when); };
"""
NO_HIGHLIGHTS = "delete CSS.highlights; CSS.highlights = undefined;"


def choose_keywords(page: LivePage, keywords: str, *, sound: bool = True) -> None:
    page.press("#settings summary")
    page.page.get_by_label("Keywords").fill(keywords)
    page.page.get_by_label("Sound at a keyword").set_checked(sound)
    page.page.keyboard.press("Escape")


def say(page: LivePage, kind: str, text: str, *, at: float = 0.0) -> None:
    """Say a partial or final whose words take half a second each."""
    words = [
        {"word": f" {word}", "start": at + index / 2, "end": at + index / 2 + 0.5, "probability": 0.9}
        for index, word in enumerate(text.split())
    ]
    message = {"type": kind, "text": f" {text}", "start": at, "end": at + len(words) / 2, "words": words}
    page.page.evaluate("say", {"id": 0, "language": "en", **message})


def hit(page: LivePage, number: int, keyword: str, start: float, end: float, state: str) -> None:
    """Say a keyword event; ``state`` is guess, final or retracted."""
    span = {"start": start, "end": end, "final": state == "final", "retracted": state == "retracted"}
    page.page.evaluate("say", {"type": "keyword", "id": number, "keyword": keyword, "text": keyword, **span})


def marked(page: LivePage, name: str = "keyword") -> list[str]:
    """What is marked on the page."""
    texts: list[str] = page.page.evaluate(
        "(name) => [...CSS.highlights.get(name)].map(String).filter(Boolean)", name
    )
    return texts


def told(page: LivePage) -> Any:
    return page.page.locator("#told").text_content()


def test_keywords_go_to_the_server(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        choose_keywords(page, "exam, final project")
        start(page)
        assert query(page)["keywords"] == ["exam, final project"]


def test_a_hit_is_marked_from_the_guess_to_the_final(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=RINGS + FAKE_SERVER) as page:
        choose_keywords(page, "exam")
        start(page)
        say(page, "partial", "the exam, is")
        hit(page, 0, "exam", 0.5, 1.0, "guess")
        assert (marked(page), marked(page, "keyword-guess")) == ([], ["exam"])
        assert told(page) == "Keyword: exam"
        say(page, "partial", "the exam, is on")
        assert marked(page, "keyword-guess") == ["exam"]
        say(page, "final", "the exam, is")
        hit(page, 0, "exam", 0.5, 1.0, "final")
        assert (marked(page), marked(page, "keyword-guess")) == (["exam"], [])
        say(page, "final", "on monday", at=1.5)
        assert marked(page) == ["exam"]
        assert page.page.evaluate("rings") == 2  # the two notes of one chime


def test_a_hit_that_goes_away_leaves_no_mark(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        start(page)
        say(page, "partial", "the exam")
        hit(page, 0, "exam", 0.5, 1.0, "guess")
        say(page, "partial", "the example")
        hit(page, 0, "exam", 0.5, 1.0, "retracted")
        assert (marked(page), marked(page, "keyword-guess")) == ([], [])


def test_a_phrase_across_finals_and_the_partial(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        start(page)
        say(page, "final", "the final")
        say(page, "partial", "exam is", at=1.0)
        hit(page, 0, "final exam", 0.5, 1.5, "guess")
        assert marked(page, "keyword-guess") == ["final exam"]
        say(page, "final", "exam.", at=1.0)
        hit(page, 0, "final exam", 0.5, 1.5, "final")
        assert marked(page) == ["final exam"]


def test_the_sound_can_be_switched_off(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=RINGS + FAKE_SERVER) as page:
        choose_keywords(page, "exam", sound=False)
        start(page)
        say(page, "final", "exam")
        hit(page, 0, "exam", 0.0, 0.5, "final")
        assert marked(page) == ["exam"] and page.page.evaluate("rings") == 0


def test_marks_leave_the_page_with_their_words_and_come_back(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        start(page)
        say(page, "final", "the exam.")
        hit(page, 0, "exam", 0.5, 1.0, "final")
        page.page.evaluate("talk(60)")
        assert marked(page) == []
        while page.page.locator("#earlier").is_visible():
            page.press("#earlier")
        assert marked(page) == ["exam"]
        page.press("#clear")
        assert marked(page) == []


def test_a_browser_that_cannot_mark_still_tells(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=NO_HIGHLIGHTS + FAKE_SERVER) as page:
        start(page)
        say(page, "final", "exam")
        hit(page, 0, "exam", 0.0, 0.5, "final")
        assert told(page) == "Keyword: exam" and page.confirmed == " exam"
