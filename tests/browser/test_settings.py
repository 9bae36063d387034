"""What the reader can choose, and that it is remembered."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.page import LivePage
from tests.browser.test_reading import FAKE_SERVER
from tests.servers import Server

pytestmark = pytest.mark.browser

NO_STORAGE = """
Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } });
"""
ASKED = """
window.asked = [];
const { mediaDevices } = navigator;
const getUserMedia = mediaDevices.getUserMedia.bind(mediaDevices);
mediaDevices.getUserMedia = (constraints) => {
  window.asked.push(constraints.audio);
  return getUserMedia(constraints);
};
"""


def choose(page: LivePage, **settings: str | bool) -> None:
    """Change settings as a reader does, in the panel."""
    page.press("#settings summary")
    for name, value in settings.items():
        control = page.page.locator(f'[data-setting="{name}"]')
        if isinstance(value, bool):
            control.set_checked(value)
        elif control.first.evaluate("(control) => control.localName") == "select":
            control.select_option(value)
        else:
            page.page.locator(f'[data-setting="{name}"][value="{value}"]').check()
    page.page.keyboard.press("Escape")


def query(page: LivePage) -> dict[str, list[str]]:
    """The parameters with which the page opened its newest connection."""
    address: str = page.page.evaluate("window.sockets.at(-1).url")
    return parse_qs(urlsplit(address).query)


def run_once(page: LivePage) -> None:
    page.press("#talk")
    page.wait_for_state("listening")
    page.press("#talk")
    page.wait_for_state("done")


def test_settings_are_remembered(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        choose(page, language="de", echoCancellation=False, textSize="large", theme="dark")
        page.page.reload()
        page.press("#settings summary")
        assert page.page.locator("#language").input_value() == "de"
        assert not page.page.get_by_role("switch", name="Echo cancellation").is_checked()
        assert page.page.get_by_role("switch", name="Noise suppression").is_checked()
        assert page.page.get_by_label("Large").is_checked()
        assert page.page.get_by_label("Dark").is_checked()
        assert page.page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert page.page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"


def test_without_storage_settings_hold_until_the_page_is_closed(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=NO_STORAGE + FAKE_SERVER) as page:
        choose(page, language="fr", theme="light")
        assert page.page.evaluate("document.documentElement.dataset.theme") == "light"
        run_once(page)
        assert query(page)["language"] == ["fr"]
        assert page.banners == []


def test_nonsense_in_storage_is_ignored(server: Server, open_page: OpenPage) -> None:
    nonsense = """localStorage.setItem('whisper-live', '{"language": 7, "theme": null, "x": 1}');"""
    with open_page(server, init_script=nonsense) as page:
        assert page.page.locator("#language").input_value() == "auto"
        assert page.page.evaluate("document.documentElement.dataset.theme") == "auto"


def test_size_and_theme_change_the_text_at_once(server: Server, open_page: OpenPage) -> None:
    with open_page(server) as page:
        size = "parseFloat(getComputedStyle(document.getElementById('transcript')).fontSize)"
        ground = "getComputedStyle(document.body).backgroundColor"
        frame = """[...document.querySelectorAll('meta[name="theme-color"]')]
            .filter(({ media }) => matchMedia(media).matches).map(({ content }) => content)"""
        normal = page.page.evaluate(size)
        assert page.page.evaluate(frame) == ["#f6f5f1"]
        light = page.page.evaluate(ground)
        choose(page, textSize="huge", theme="dark")
        assert page.page.evaluate(size) > 1.5 * normal
        assert page.page.evaluate(ground) != light
        assert page.page.evaluate(frame) == ["#131519"]


def test_the_language_goes_to_the_server_only_if_one_was_chosen(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        run_once(page)
        assert query(page) == {"words": ["1"], "resumable": ["1"]}
        choose(page, language="en")
        run_once(page)
        assert query(page) == {"words": ["1"], "resumable": ["1"], "language": ["en"]}


def test_a_language_that_the_model_knows_is_used(server: Server, open_page: OpenPage) -> None:
    with open_page(server) as page:
        choose(page, language="en")
        page.press("#talk")
        page.wait_until(lambda: bool(page.messages_of("final")))
        (ready,) = page.messages_of("ready")
        assert ready["language"] == "en"
        assert page.messages_of("final")[0]["words"]
        page.press("#talk")
        page.wait_for_state("done")


def test_a_language_that_the_model_does_not_know_is_told(server: Server, open_page: OpenPage) -> None:
    with open_page(server) as page:
        choose(page, language="de")
        page.press("#talk")
        page.wait_for_state("disconnected")
        (banner,) = page.banners
        assert "does not know language 'de'" in banner
        assert "it knows: en" in banner


def test_languages_that_the_server_names_are_offered(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        offered = page.page.locator("#language option")
        assert "German (de)" in offered.all_text_contents()
        page.press("#talk")
        page.wait_for_state("listening")
        page.page.evaluate("say({ type: 'ready', languages: ['en', 'jw'] })")
        assert offered.all_text_contents() == ["Detect automatically", "English (en)", "Javanese (jw)"]


def test_the_sound_switches_reach_the_browser(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=ASKED + FAKE_SERVER) as page:
        sound = {"echoCancellation": True, "noiseSuppression": True, "autoGainControl": True}
        run_once(page)
        assert page.page.evaluate("window.asked[0]") == {"channelCount": 1, **sound}
        choose(page, echoCancellation=False, autoGainControl=False)
        run_once(page)
        changed = {**sound, "echoCancellation": False, "autoGainControl": False}
        assert page.page.evaluate("window.asked[1]") == {"channelCount": 1, **changed}


def test_a_microphone_is_chosen_and_remembered(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=ASKED + FAKE_SERVER) as page:
        offered = page.page.locator("#microphone option")
        run_once(page)
        page.wait_until(lambda: offered.count() > 1)
        device = offered.nth(1).get_attribute("value")
        assert device
        choose(page, microphone=device)
        page.page.reload()
        run_once(page)
        assert page.page.evaluate("window.asked[0].deviceId") == {"exact": device}
        assert page.banners == []
        assert page.page.locator("#microphone").input_value() == device


def test_a_microphone_that_has_gone_is_replaced_and_the_page_says_so(
    server: Server, open_page: OpenPage
) -> None:
    gone = """
    localStorage.setItem('whisper-live', '{"microphone": "x", "microphoneName": "Desk microphone"}');
    """
    with open_page(server, init_script=gone + FAKE_SERVER) as page:
        page.press("#talk")
        page.wait_for_state("listening")
        page.wait_until(lambda: bool(page.banners))
        (banner,) = page.banners
        assert banner.startswith("Desk microphone is not there.")
        assert page.page.locator("#microphone option", has_text="Desk microphone").count() == 1
        page.press("#talk")
        page.wait_for_state("done")


def test_a_note_says_what_waits_for_the_next_start(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        note = page.page.locator("#settings-note")
        page.press("#settings summary")
        assert note.is_hidden()
        page.page.keyboard.press("Escape")
        page.press("#talk")
        page.wait_for_state("listening")
        page.press("#settings summary")
        assert note.is_visible()
        page.page.keyboard.press("Escape")
        assert page.state == "listening"  # Escape has closed the panel and no more
        assert page.page.locator("#settings").get_attribute("open") is None
        page.page.keyboard.press("Escape")
        page.wait_for_state("done")
