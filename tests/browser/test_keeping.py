"""The browser keeps the transcript: a reload in mid-speech loses nothing, and Clear can be undone."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.page import LivePage
from tests.servers import ROOT, Server
from tests.talks import stream_talk, talk

pytestmark = pytest.mark.browser

FAKE_SERVER = (ROOT / "tests" / "browser" / "fake_server.js").read_text()


def _reload(page: LivePage) -> list[str]:
    """Reload the page, and leave it although it asks; return the questions of the browser."""
    asked: list[str] = []

    def accept(dialog: object) -> None:
        asked.append(dialog.type)  # type: ignore[attr-defined]
        dialog.accept()  # type: ignore[attr-defined]

    page.page.on("dialog", accept)
    page.page.reload()
    page.page.remove_listener("dialog", accept)
    return asked


def _hear_a_minute(page: LivePage) -> None:
    """Let the fake server transcribe a minute of speech."""
    page.press("#talk")
    page.wait_for_state("listening")
    page.page.evaluate("talk(1)")
    page.press("#talk")
    page.wait_for_state("done")


def test_a_reload_in_mid_speech_loses_nothing(server: Server, open_page: OpenPage) -> None:
    with open_page(server) as page:
        page.press("#sample")
        page.wait_until(lambda: page.seconds_sent >= 11)
        page.wait_until(lambda: len(page.messages_of("final")) >= 4)
        before, sent = page.confirmed, len(page.slices)
        page.messages.clear()
        assert _reload(page) == ["beforeunload"]
        page.wait_for_state("done")
        assert page.confirmed.startswith(before) and before
        (done,) = page.messages_of("done")
        slices, rest = divmod(done["received_samples"], 8_000)
        assert slices >= sent and not rest and done["lost_samples"] == 0
        recorded = talk("talk-00").wavs()[:slices]  # the sample is the same for both
        undisturbed = stream_talk(server.ws("/transcribe?words=1"), recorded)
        assert page.confirmed.split() == undisturbed.transcript.split()
        assert len(page.banners) == 1 and "Press Start to go on" in page.banners[0]
        _reload(page)
        page.wait_for_words(undisturbed.transcript.split()[0])
        assert page.confirmed.split() == undisturbed.transcript.split()
        assert page.state == "idle" and page.banners == []


def test_what_was_said_before_and_after_a_reload_is_one_transcript(
    server: Server, open_page: OpenPage
) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        _hear_a_minute(page)
        first = page.transcript
        assert _reload(page) == []
        page.wait_until(lambda: bool(page.transcript))
        assert page.transcript == first
        _hear_a_minute(page)
        both = page.transcript
        assert both.startswith(first) and len(both) > 1.8 * len(first)
        _reload(page)
        page.wait_until(lambda: bool(page.transcript))
        assert page.transcript == both


def test_clear_can_be_undone_until_somebody_speaks(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        _hear_a_minute(page)
        text = page.transcript
        page.press("#clear")
        assert page.transcript == ""
        page.press("#undo")
        page.wait_until(lambda: bool(page.transcript))
        assert page.transcript == text
        page.press("#clear")
        _reload(page)
        page.page.wait_for_timeout(500)
        assert page.transcript == "" and not page.page.locator("#undo").is_visible()


def test_a_second_tab_does_not_take_over_the_transcript_of_the_first(
    server: Server, open_page: OpenPage
) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        page.press("#talk")
        page.wait_for_state("listening")
        page.page.evaluate("talk(1)")
        other = page.page.context.new_page()
        other.goto(page.origin)
        other.wait_for_timeout(1_500)
        assert other.locator("#transcript").inner_text() == ""
        other.close()
