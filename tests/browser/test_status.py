"""The status page: the figures of a server, drawn for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Locator, Page, Route

from tests.browser.test_accessibility import AXE, RUN, SERIOUS
from tests.servers import Server
from tests.talks import sentences, stream_talk

pytestmark = pytest.mark.browser

#: Of 20 values one is over 1 s; of the 10 before them all were at most 0.1 s.
_BEFORE = """
whisper_audio_seconds_total 30.0
whisper_queue_seconds_bucket{le="0.1"} 10.0
whisper_queue_seconds_bucket{le="0.5"} 10.0
whisper_queue_seconds_bucket{le="1.0"} 10.0
whisper_queue_seconds_bucket{le="+Inf"} 10.0
"""
_AFTER = """
# HELP whisper_audio_seconds_total Audio of all streams.
whisper_audio_seconds_total 50.0
whisper_queue_seconds_bucket{le="0.1"} 20.0
whisper_queue_seconds_bucket{le="0.5"} 29.0
whisper_queue_seconds_bucket{le="1.0"} 29.0
whisper_queue_seconds_bucket{le="+Inf"} 30.0
whisper_errors_total{code="bad_audio"} 3.0
"""
_COMPARE = """
async ([before, after]) => {
  const { History, Reading } = await import('./whisper/static/status/figures.js');
  const history = new History(600);
  history.add(new Reading(before, 100));
  history.add(new Reading(after, 110));
  const quantile = (share) => history.quantile('whisper_queue_seconds', share, 60);
  const found = [0.25, 0.5, 0.95, 0.99].map(quantile);
  const rate = history.rate('whisper_audio_seconds_total', 60);
  const errors = history.last.by('whisper_errors_total', 'code');
  history.add(new Reading(before, 120)); // the server was started again
  return [found, rate, errors, history.rate('whisper_audio_seconds_total', 60), quantile(0.5)];
}
"""


@contextmanager
def _status(browser: Browser, server: Server, *, complaint: str = "no complaint") -> Iterator[Page]:
    """Open the status page and, when the body ends, check that the browser had no other complaints."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page, problems = context.new_page(), list[str]()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.goto(f"http://127.0.0.1:{server.port}/status")
    yield page
    assert [problem for problem in problems if complaint not in problem] == []
    context.close()


def _card(page: Page, title: str) -> Locator:
    return page.locator(".card", has=page.get_by_role("heading", name=title, exact=True))


def _wait_for_value(page: Page, title: str, text: str) -> None:
    _card(page, title).locator(".value", has_text=text).wait_for()


def test_a_stream_shows(server: Server, browser: Browser) -> None:
    with _status(browser, server) as page:
        page.locator("#state", has_text="ready · micro.en").wait_for()
        assert page.locator(".card").count() == 6
        _wait_for_value(page, "Open streams", "0")
        said = sentences()
        stream_talk(server.ws("/transcribe"), ["?", *said.wavs()])
        page.locator("tr", has_text="bad_base64").wait_for()
        cells = page.locator("tr", has_text="bad_base64").locator("td").all_inner_texts()
        assert cells[0] == "bad_base64" and int(cells[1]) >= 1
        for title in ("Words are shown after", "Words are final after", "Windows wait"):
            _wait_for_value(page, title, "s")
        _wait_for_value(page, "Audio", "×")
        _wait_for_value(page, "The model is busy", "%")
        lines = _card(page, "Open streams").locator("path.first").get_attribute("d")
        assert lines is not None and lines.count("L") >= 1


def test_a_locked_server_asks_for_a_key(server: Server, browser: Browser) -> None:
    def answer(route: Route) -> None:
        allowed = route.request.headers.get("authorization") == "Bearer wsk_right"
        route.continue_() if allowed else route.fulfill(status=401, json={})

    with _status(browser, server, complaint="status of 401") as page:
        page.route("**/metrics", answer)
        page.reload()
        page.fill("#key", "wsk_wrong")
        page.press("#key", "Enter")
        page.locator("#refused", has_text="not known here").wait_for()
        page.fill("#key", "wsk_right")
        page.press("#key", "Enter")
        _wait_for_value(page, "Open streams", "0")
        assert page.locator("#lock").is_hidden()


def test_delays_are_those_of_the_last_minute(server: Server, browser: Browser) -> None:
    with _status(browser, server) as page:
        found, rate, errors, rate_then, median_then = page.evaluate(_COMPARE, [_BEFORE, _AFTER])
    assert found == pytest.approx([0.05, 0.1, 0.5, 1.0])
    assert rate == 2.0 and errors == [["bad_audio", 3.0]]
    assert rate_then is None and median_then is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(server: Server, browser: Browser, scheme: str) -> None:
    with _status(browser, server) as page:
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        _wait_for_value(page, "Open streams", "0")
        page.evaluate(AXE)
        violations = page.evaluate(RUN)
        assert [one["id"] for one in violations if one["impact"] in SERIOUS] == []
