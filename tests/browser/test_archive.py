"""The list of past transcripts: they stay in the browser until they are deleted, and can be searched."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.page import LivePage
from tests.servers import ROOT, Server
from tests.talks import sentences

pytestmark = pytest.mark.browser

FAKE_SERVER = (ROOT / "tests" / "browser" / "fake_server.js").read_text()


def _hear(page: LivePage, text: str) -> None:
    """Let the fake server transcribe ``text`` as one final."""
    page.press("#talk")
    page.wait_for_state("listening")
    words = [{"word": f" {word}", "start": 0, "end": 1, "probability": 1} for word in text.split()]
    final = {"type": "final", "id": 0, "text": f" {text}", "language": "en", "start": 0, "end": 1}
    page.page.evaluate("say", {**final, "words": words})
    page.press("#talk")
    page.wait_for_state("done")


def _open_list(page: LivePage) -> None:
    page.press("#past")
    page.page.locator("#archive[open]").wait_for()


def _entries(page: LivePage) -> list[str]:
    """Return the texts in the open list."""
    return page.page.locator("#archive .excerpt").all_inner_texts()


def _search(page: LivePage, wanted: str, found: list[str]) -> None:
    """Search in the open list; fail if it does not show ``found``."""
    page.page.fill("#archive-search", wanted)
    page.wait_until(lambda: _entries(page) == found)


def test_past_transcripts_are_listed_searched_opened_and_deleted(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        _open_list(page)
        assert "None yet" in page.page.locator(".archive-note").inner_text()
        page.page.keyboard.press("Escape")
        _hear(page, "Waves carry a shell to the shore.")
        page.press("#new")
        assert page.transcript == ""
        _hear(page, "The tide is low in the morning.")
        page.press("#new")
        _hear(page, "This one stays on the page.")
        page.page.reload()
        page.wait_for_words("This one stays")
        _open_list(page)
        tide, waves = "The tide is low in the morning.", "Waves carry a shell to the shore."
        assert _entries(page) == [tide, waves]
        assert "7 words" in page.page.locator("#archive .facts").first.inner_text()
        _search(page, "SHELL", [waves])
        assert page.page.locator("#archive mark").all_inner_texts() == ["shell"]
        _search(page, "nobody", [])
        assert page.page.locator(".archive-note").inner_text() == "Nobody said that."
        _search(page, "", [tide, waves])
        page.page.locator("#archive .entry").nth(1).press("Enter")
        page.wait_for_words(waves)
        assert page.transcript == waves
        _hear(page, "It goes on.")
        assert page.transcript.split() == f"{waves} It goes on.".split()

        _open_list(page)
        assert _entries(page) == ["This one stays on the page.", tide]
        remove = page.page.locator("#archive li .quiet").nth(1)
        remove.press("Enter")
        assert remove.inner_text() == "Delete for good?" and len(_entries(page)) == 2
        remove.press("Enter")
        page.wait_until(lambda: _entries(page) == ["This one stays on the page."])
        page.page.keyboard.press("Escape")
        page.page.reload()
        _open_list(page)
        page.wait_until(lambda: len(_entries(page)) == 1)


def test_what_a_closed_tab_has_left_can_be_finished(server: Server, open_page: OpenPage) -> None:
    with open_page(server) as page:
        first = page.page.context.new_page()
        first.goto(page.origin)
        first.press("#sample", "Enter")
        first.locator("#transcript", has_text="algebra").wait_for()
        _open_list(page)
        (entry,) = page.page.locator("#archive .entry").all()
        assert "not finished" in entry.inner_text()
        entry.press("Enter")
        page.wait_until(lambda: bool(page.banners))
        assert page.banners == ["This transcript is open in another tab."]
        first.close()
        _open_list(page)
        page.page.locator("#archive .entry").press("Enter")
        page.wait_for_state("done")
        said = sentences().text.split()
        assert page.transcript.split()[: len(said) // 2] == said[: len(said) // 2]
        page.press("#new")
        _open_list(page)
        page.wait_until(lambda: len(_entries(page)) == 1)
        assert "not finished" not in page.page.locator("#archive .facts").inner_text()


def test_the_list_cannot_be_opened_while_the_page_listens(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        page.press("#talk")
        page.wait_for_state("listening")
        assert page.page.locator("#past").is_disabled() and not page.page.locator("#new").is_visible()
        page.press("#talk")
        page.wait_for_state("done")
        assert page.page.locator("#past").is_enabled()
