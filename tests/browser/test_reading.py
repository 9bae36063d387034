"""Reading along: scrolling, hints, what screen readers hear, and 90 minutes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.growth import Growth
from tests.browser.page import LivePage
from tests.servers import Server

pytestmark = pytest.mark.browser

FAKE_SERVER = (Path(__file__).parent / "fake_server.js").read_text()
SILENCE = """
const context = new AudioContext();
const sound = context.createOscillator();
const volume = context.createGain();
const microphone = context.createMediaStreamDestination();
volume.gain.value = 0;
sound.connect(volume).connect(microphone);
sound.start();
navigator.mediaDevices.getUserMedia = async () => microphone.stream;
window.speak = (loud) => { volume.gain.value = loud ? 0.5 : 0; };
"""
WAKE_LOCKS = """
window.locks = [];
const request = (type) => {
  const lock = { type, released: false, release: async () => { lock.released = true; } };
  window.locks.push(lock);
  return Promise.resolve(lock);
};
Object.defineProperty(navigator, 'wakeLock', { value: { request } });
"""
NO_WAKE_LOCK = "Object.defineProperty(navigator, 'wakeLock', { value: undefined });"
REFUSED_WAKE_LOCK = """
const request = () => Promise.reject(new DOMException('battery', 'NotAllowedError'));
Object.defineProperty(navigator, 'wakeLock', { value: { request } });
"""
FROM_END = """
(() => {
  const { scrollHeight, scrollTop, clientHeight } = document.getElementById('scroller');
  return scrollHeight - scrollTop - clientHeight;
})()
"""
LECTURE_MIN = 90
WARM_UP_MIN = 20
STEP_MIN = 10
#: What is kept for the files: some 90 bytes for each of 150 words a minute, twice.
KEPT_BYTES_PER_MIN = 30_000
JITTER_BYTES = 1_000_000
JITTER_NODES = 60


def start(page: LivePage) -> None:
    page.press("#talk")
    page.wait_for_state("listening")


def from_end(page: LivePage) -> float:
    distance: float = page.page.evaluate(FROM_END)
    return distance


def top(page: LivePage) -> float:
    position: float = page.page.evaluate("document.getElementById('scroller').scrollTop")
    return position


def heard(page: LivePage) -> list[str]:
    """What screen readers were told last."""
    return page.page.locator("#log p").all_text_contents()


def test_the_text_is_followed_until_the_reader_scrolls_up(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        start(page)
        page.page.evaluate("talk(5)")
        jump = page.page.locator("#jump")
        assert from_end(page) < 2
        assert jump.is_hidden()

        page.page.locator("#scroller").focus()
        page.page.keyboard.press("PageUp")
        jump.wait_for()
        page.page.wait_for_function("document.getElementById('scroller').scrollTop > 0")
        page.page.keyboard.press("Home")
        page.wait_until(lambda: top(page) == 0)
        page.page.evaluate("talk(1)")
        assert top(page) == 0

        page.press("#jump")
        assert from_end(page) < 2
        assert jump.is_hidden()
        assert page.page.evaluate("document.activeElement.id") == "scroller"
        page.page.evaluate("talk(1)")
        assert from_end(page) < 2


def test_a_larger_text_does_not_end_the_following(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        start(page)
        page.page.evaluate("talk(3)")
        page.press("#settings summary")
        page.page.get_by_label("Huge").press("Space")
        page.wait_until(lambda: from_end(page) < 2)
        assert page.page.locator("#jump").is_hidden()


def test_earlier_words_leave_the_page_and_come_back(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        start(page)
        page.page.evaluate("talk(60)")
        words = page.page.evaluate("document.getElementById('transcript').textContent.split(/\\s+/).length")
        assert 3000 < words < 6000
        assert "lecture0" not in page.confirmed and "the0" not in page.confirmed

        page.page.locator("#scroller").focus()
        page.page.keyboard.press("Home")
        page.wait_until(lambda: top(page) == 0)
        first = page.page.locator("#transcript p").first.inner_text()
        page.press("#earlier")
        assert top(page) > 0  # what was being read stays where it was
        for _ in range(20):
            if page.page.locator("#earlier").is_hidden():
                break
            page.press("#earlier")
        assert first in page.transcript
        assert page.confirmed.startswith(" the0")

        page.page.locator("#scroller").focus()
        page.page.keyboard.press("End")
        page.page.locator("#jump").wait_for(state="hidden")
        page.page.evaluate("talk(1)")
        assert not page.confirmed.startswith(" the0")


def test_a_long_unpunctuated_talk_is_cut_into_paragraphs(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        start(page)
        page.page.evaluate(
            "for (let id = 0; id < 2000; id += 1)"
            " say({ type: 'final', id, text: ' word', language: 'en', start: id * 0.4, end: id * 0.4 + 0.4 })"
        )
        lengths = page.page.locator("#transcript p").evaluate_all(
            "(all) => all.map((p) => p.textContent.length)"
        )
        assert max(lengths) < 1600
        assert sum(lengths) == 10_000


def test_screen_readers_hear_finals_by_sentence(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        log = page.page.locator("#log")
        assert log.get_attribute("role") == "log"
        assert log.get_attribute("aria-live") == "polite"
        start(page)
        assert (
            page.page.locator("#transcript").evaluate("(root) => root.closest('[aria-live], [role=log]')")
            is None
        )

        final = (
            "(text, start) => say({ type: 'final', id: 0, text, language: 'en', start, end: start + 0.5 })"
        )
        speak = f"([text, start]) => ({final})(text, start)"
        page.page.evaluate(speak, [" It costs 3.5", 0.0])
        page.page.evaluate("say({ type: 'partial', text: ' euros and', start: 0.5, end: 1 })")
        assert heard(page) == []
        assert page.page.locator(".partial").get_attribute("aria-hidden") == "true"
        page.page.evaluate(speak, [" euros. That", 0.6])
        assert heard(page) == ["It costs 3.5 euros."]
        page.page.evaluate(speak, [" is much!", 1.2])
        assert heard(page) == ["It costs 3.5 euros.", "That is much!"]
        page.page.evaluate(speak, [" And", 1.8])
        page.page.evaluate(speak, [" after a pause", 9.0])
        assert heard(page)[-1] == "And"
        page.press("#talk")
        page.wait_for_state("done")
        assert heard(page)[-1] == "after a pause"
        assert len(heard(page)) == 3


def test_the_last_words_are_heard_even_without_a_full_stop(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        start(page)
        page.page.evaluate("say({ type: 'final', id: 0, text: ' so', language: 'en', start: 0, end: 1 })")
        page.wait_until(lambda: heard(page) == ["so"])


def test_silence_is_noticed_and_forgotten(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=SILENCE + FAKE_SERVER) as page:
        start(page)
        hint = page.page.locator("#hint")
        assert hint.inner_text() == ""
        assert hint.get_attribute("role") == "status"
        page.wait_until(lambda: "Is the microphone muted?" in hint.inner_text())
        page.page.evaluate("speak(true)")
        page.wait_until(lambda: hint.inner_text() == "")


def test_lag_is_shown_while_it_lasts(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        start(page)
        lag = page.page.locator("#lag")
        assert lag.is_hidden()
        page.page.evaluate("say({ type: 'lag', behind_s: 4.26 })")
        assert lag.inner_text() == "4.3 s behind"
        page.page.evaluate("say({ type: 'lag', behind_s: 0 })")
        assert lag.is_hidden()


def test_the_screen_stays_on_while_the_page_listens(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=WAKE_LOCKS + FAKE_SERVER) as page:
        locks = "window.locks.map(({ type, released }) => [type, released])"
        assert page.page.evaluate(locks) == []
        start(page)
        assert page.page.evaluate(locks) == [["screen", False]]

        # The browser lets go of it when the page is hidden; it is asked again when it is back.
        page.page.evaluate("window.locks[0].released = true")
        page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        assert page.page.evaluate(locks) == [["screen", True], ["screen", False]]
        page.press("#talk")
        page.wait_for_state("done")
        assert page.page.evaluate(locks) == [["screen", True], ["screen", True]]
        page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        assert len(page.page.evaluate(locks)) == 2


@pytest.mark.parametrize("script", [NO_WAKE_LOCK, REFUSED_WAKE_LOCK], ids=["absent", "refused"])
def test_a_screen_that_cannot_be_kept_on_is_no_error(
    server: Server, open_page: OpenPage, script: str
) -> None:
    with open_page(server, init_script=script + FAKE_SERVER) as page:
        start(page)
        page.press("#talk")
        page.wait_for_state("done")
        assert page.banners == []


def test_a_lecture_of_90_minutes_leaves_heap_and_document_flat(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        growth = Growth(page)
        start(page)
        page.page.evaluate(f"talk({WARM_UP_MIN})")
        growth.measure()
        for _ in range(WARM_UP_MIN, LECTURE_MIN, STEP_MIN):
            page.page.evaluate(f"talk({STEP_MIN})")
            growth.measure()
        print(growth)
        assert growth.nodes < JITTER_NODES
        assert growth.heap_bytes < (LECTURE_MIN - WARM_UP_MIN) * KEPT_BYTES_PER_MIN + JITTER_BYTES
        assert page.page.locator("#log p").count() <= 3
