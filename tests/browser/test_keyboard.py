"""From load to download with Tab, Enter and Space alone; the files are those that the server would write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import srt
import webvtt

from tests.browser.conftest import OpenPage
from tests.browser.page import LivePage
from tests.browser.test_reading import FAKE_SERVER
from tests.servers import Server
from whisper_service.engine.request import Word
from whisper_service.events import Final
from whisper_service.subtitles import FORMATS

pytestmark = pytest.mark.browser

RATE = 16_000
HEARD_S = 9.0  # three sentences of the talk
CLIPBOARD = """
const writeText = async (text) => { window.copied = text; };
Object.defineProperty(navigator, 'clipboard', { value: { writeText } });
"""


def download(page: LivePage, style: str, folder: Path) -> Path:
    """Download in the format ``style``, by keyboard."""
    page.tab_to("#downloads summary")
    page.page.keyboard.press("Enter")
    page.tab_to(f'#downloads [data-style="{style}"]')
    with page.page.expect_download() as waiting:
        page.page.keyboard.press("Enter")
    assert page.page.evaluate("document.activeElement.closest('#downloads') !== null")  # not lost on the body
    name = waiting.value.suggested_filename
    assert name.startswith("transcript-20")
    assert name.endswith(f".{style}")
    path = folder / name
    waiting.value.save_as(path)
    return path


def finals(messages: list[dict[str, Any]]) -> list[Final]:
    """Return the finals that the messages of the server tell of."""

    def word(told: dict[str, Any]) -> Word:
        start, end = round(told["start"] * RATE), round(told["end"] * RATE)
        return Word(told["word"], start, end, end, told["probability"], ())

    return [
        Final(
            told["id"],
            told["text"],
            round(told["start"] * RATE),
            round(told["end"] * RATE),
            tuple(map(word, told["words"])),
            told["language"],
            round(told["end"] * RATE),
        )
        for told in messages
    ]


def test_from_load_to_download_by_keyboard_alone(server: Server, open_page: OpenPage, tmp_path: Path) -> None:
    with open_page(server, init_script=CLIPBOARD) as page:
        keyboard = page.page.keyboard
        page.tab_to("#settings summary")
        keyboard.press("Enter")
        page.tab_to("#language")
        keyboard.type("English")
        page.tab_to("#echo")
        keyboard.press("Space")
        assert not page.page.locator("#echo").is_checked()
        page.tab_to('[data-setting="theme"]:checked')
        keyboard.press("ArrowRight")
        assert page.page.evaluate("document.documentElement.dataset.theme") == "light"
        keyboard.press("Escape")
        assert page.page.locator("#settings").get_attribute("open") is None
        assert page.page.evaluate("document.activeElement.localName") == "summary"

        page.tab_to("#talk")
        keyboard.press("Space")
        page.wait_for_state("listening")
        page.wait_until(lambda: page.seconds_sent >= HEARD_S and bool(page.confirmed))
        keyboard.press("Enter")
        page.wait_for_state("done")
        assert page.messages_of("ready")[0]["language"] == "en"

        page.tab_to("#copy")
        keyboard.press("Enter")
        page.page.wait_for_function("window.copied")
        assert page.page.evaluate("window.copied").split() == page.transcript.split()
        files = {style: download(page, style, tmp_path).read_text() for style in FORMATS}

        told = finals(page.messages_of("final"))
        assert "two questions" in files["txt"]
        for style in ("txt", "srt", "vtt"):
            assert files[style] == FORMATS[style](told)
        ours, theirs = json.loads(files["json"]), json.loads(FORMATS["json"](told))
        assert ours["text"] == theirs["text"] and ours["language"] == "en"
        for our, their in zip(ours["finals"], theirs["finals"], strict=True):
            assert our["id"] == their["id"] and our["text"] == their["text"]
            for our_word, their_word in zip(our["words"], their["words"], strict=True):
                assert our_word == {
                    **their_word,
                    "start": pytest.approx(their_word["start"], abs=0.001),
                    "end": pytest.approx(their_word["end"], abs=0.001),
                }

        assert files["txt"] == page.page.evaluate("window.copied")
        lines = [cue.content for cue in srt.parse(files["srt"])]
        assert [cue.text for cue in webvtt.from_string(files["vtt"])] == lines
        assert " ".join(lines).split() == files["txt"].split()

        page.tab_to("#clear")
        keyboard.press("Enter")
        assert page.transcript == ""
        assert page.page.evaluate("document.activeElement.id") == "talk"


def test_a_second_session_goes_on_behind_the_first(
    server: Server, open_page: OpenPage, tmp_path: Path
) -> None:
    said = """
    say({ type: 'final', id: 0, text: ' Cats & <dogs>.', language: 'en', start: 1, end: 2.5,
          words: [{ word: ' Cats', start: 1, end: 1.5, probability: 1 },
                  { word: ' &', start: 1.5, end: 2, probability: 1 },
                  { word: ' <dogs>.', start: 2, end: 2.5, probability: 1 }] })
    """
    with open_page(server, init_script=FAKE_SERVER) as page:
        for _ in range(2):
            page.press("#talk")
            page.wait_for_state("listening")
            page.page.evaluate(said)
            page.page.evaluate("say({ type: 'done', received_samples: 4 * 16000 })")
            page.wait_for_state("done")
        first, second = srt.parse(download(page, "srt", tmp_path).read_text())
        assert first.start.total_seconds() == 1
        assert second.start.total_seconds() == 5
        assert second.end.total_seconds() == 6.5
        captions = webvtt.from_string(download(page, "vtt", tmp_path).read_text())
        assert captions[0].raw_text == "Cats &amp; &lt;dogs&gt;."
        assert [
            final["id"] for final in json.loads(download(page, "json", tmp_path).read_text())["finals"]
        ] == [0, 1]


def test_a_server_that_sends_no_words_still_gives_files(
    server: Server, open_page: OpenPage, tmp_path: Path
) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        page.press("#talk")
        page.wait_for_state("listening")
        page.page.evaluate(
            "say({ type: 'final', id: 0, text: ' Good day.', language: 'en', start: 1, end: 2 })"
        )
        (cue,) = srt.parse(download(page, "srt", tmp_path).read_text())
        assert cue.content == "Good day."
        assert cue.end.total_seconds() == 2
