"""Pages as tutorials in circulation write them work against the service with at most the address changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.servers import Server
from tests.talks import talk, word_error_rate

pytestmark = pytest.mark.browser

PAGES = Path(__file__).parent / "tutorials"
#: Two sentences of the talk; when this word of the third is there, they are final.
SENTENCES_S = 7.2
NEXT_WORD = "shots"
MAX_ERROR_RATE = 0.15


def shown(browser: Browser, server: Server, name: str) -> str:
    """Return what a tutorial's page shows when it has heard the first sentences of the talk."""
    page: Page = browser.new_page()
    origin = f"http://127.0.0.1:{server.port}"
    page.route(f"{origin}/{name}", lambda route: route.fulfill(path=PAGES / name))
    page.goto(f"{origin}/{name}")
    page.click("#start")
    page.locator("#transcription", has_text=NEXT_WORD).wait_for(timeout=60_000)
    page.click("#stop")
    text = page.locator("#transcription").inner_text()
    page.close()
    return text


def assert_right(text: str) -> None:
    reference = talk("talk-00").until(SENTENCES_S).text
    words = " ".join(text.split()[: len(reference.split())])
    assert word_error_rate(reference, words) <= MAX_ERROR_RATE, text


def test_recordrtc_with_base64(browser: Browser, server: Server) -> None:
    messages = [
        json.loads(line) for line in shown(browser, server, "recordrtc_base64.html").splitlines() if line
    ]
    assert messages[0]["type"] == "ready"
    assert not [message for message in messages if message["type"] == "error"]
    assert any(message["type"] == "partial" for message in messages)
    assert_right("".join(message["text"] for message in messages if message["type"] == "final"))


def test_scriptprocessor_with_float32(browser: Browser, server: Server) -> None:
    assert_right(shown(browser, server, "scriptprocessor_float32.html"))


def test_scriptprocessor_with_int16(browser: Browser, server: Server) -> None:
    lines = shown(browser, server, "scriptprocessor_int16.html").splitlines()
    finals = [line.removeprefix("final: ") for line in lines if line.startswith("final: ")]
    assert_right(" ".join(finals))
