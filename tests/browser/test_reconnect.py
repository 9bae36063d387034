"""The server is killed while somebody speaks, and comes back. The transcript is the undisturbed one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.page import LivePage
from tests.browser.test_page import SAMPLE_RATE, assert_right
from tests.servers import MODEL, Server, free_port, running, wait_until_ready
from tests.talks import stream_talk, talk

pytestmark = pytest.mark.browser


class _Mortal:
    """A server that is killed and started again on the same port. Its key is in the instance folder."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._lives = 0
        self._port = free_port()
        self.server = self.start()

    def start(self) -> Server:
        self._lives += 1
        settings = {"PORT": str(self._port), "WHISPER_MODEL": MODEL}
        log_path = self._folder / f"log{self._lives}"
        self.server = self._stack.enter_context(
            running(["app.py"], port=self._port, log_path=log_path, **settings)
        )
        wait_until_ready(self.server)
        return self.server

    def kill(self) -> None:
        self.server.process.kill()
        self.server.process.wait()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[_Mortal]:
    with ExitStack() as stack:
        yield _Mortal(tmp_path, stack)


def _finals(page: LivePage) -> list[tuple[int, str]]:
    return [(final["id"], final["text"]) for final in page.messages_of("final")]


def _sample() -> list[bytes]:
    """Return the slices that the page makes of the sample."""
    return talk("talk-00").wavs()


def _play_sample(page: LivePage) -> None:
    page.press("#sample")
    page.wait_for_state("listening")


def test_the_sample_is_interrupted_for_two_seconds(mortal: _Mortal, open_page: OpenPage) -> None:
    with open_page(mortal.server, complaints=("WebSocket connection",)) as page:
        _play_sample(page)
        page.wait_until(lambda: len(_finals(page)) >= 4)
        mortal.kill()
        page.wait_for_state("reconnecting")
        assert page.page.locator("#talk-text").inner_text() == "Stop"
        grey = page.page.locator(".partial").text_content()
        page.page.wait_for_timeout(2_000)
        assert page.page.locator(".partial").text_content() == grey  # nothing vanishes
        mortal.start()
        page.wait_for_state("done")
        undisturbed = stream_talk(mortal.server.ws("/transcribe"), _sample())
        assert _finals(page) == [(final["id"], final["text"]) for final in undisturbed.of("final")]
        assert page.confirmed.split() == undisturbed.transcript.split()
        (done,) = page.messages_of("done")
        assert done == undisturbed.done | {"full_transcript": done["full_transcript"]}
        assert page.banners == []


@pytest.mark.slow
def test_the_microphone_is_recorded_for_twenty_seconds_without_a_server(
    mortal: _Mortal, open_page: OpenPage
) -> None:
    with open_page(mortal.server, complaints=("WebSocket connection",)) as page:
        page.press("#talk")
        page.wait_until(lambda: len(_finals(page)) >= 3)
        mortal.kill()
        page.wait_for_state("reconnecting")
        page.page.wait_for_timeout(20_000)
        assert page.state == "reconnecting"
        mortal.start()
        page.wait_for_state("listening")
        page.wait_for_words("east coast")
        page.press("#talk")
        page.wait_for_state("done")
        assert [number for number, _ in _finals(page)] == list(range(len(_finals(page))))
        assert_right(page.transcript)
        (done,) = page.messages_of("done")
        assert done["lost_samples"] == 0 and done["received_samples"] > 27 * SAMPLE_RATE
        assert page.banners == []


def test_a_session_that_has_given_up_goes_on_at_the_next_start(mortal: _Mortal, open_page: OpenPage) -> None:
    later = "{ const now = Date.now; window.later = 0; Date.now = () => now() + window.later; }"
    with open_page(mortal.server, init_script=later, complaints=("WebSocket connection",)) as page:
        _play_sample(page)
        page.wait_until(lambda: len(_finals(page)) >= 3 and bool(page.messages_of("ack")))
        mortal.kill()
        page.wait_for_state("reconnecting")
        page.page.evaluate("window.later = 301_000")
        page.wait_for_state("disconnected")
        assert len(page.banners) == 1 and "Press Start to go on with it" in page.banners[0]
        sent = len(page.slices)
        mortal.start()
        page.press("#talk")
        page.wait_for_state("listening")
        assert page.page.locator(".unconfirmed").count() == 0 and page.banners == []
        page.wait_until(lambda: len(page.slices) > sent + 10)
        page.press("#talk")
        page.wait_for_state("done")
        numbers = [number for number, _ in _finals(page)]
        assert numbers == list(range(len(numbers)))
        (done,) = page.messages_of("done")
        assert done["lost_samples"] == 0 and done["received_samples"] >= sent * SAMPLE_RATE // 2
        whole = "".join(text for _, text in _finals(page))
        assert page.confirmed.split() == whole.split()


def test_stop_while_there_is_no_server_finishes_when_it_is_back(mortal: _Mortal, open_page: OpenPage) -> None:
    with open_page(mortal.server, complaints=("WebSocket connection",)) as page:
        _play_sample(page)
        page.wait_until(lambda: bool(page.partials))
        mortal.kill()
        page.wait_for_state("reconnecting")
        page.press("#talk")
        assert page.page.locator("#talk-text").inner_text() == "Finishing…"
        mortal.start()
        page.wait_for_state("done")
        assert page.messages_of("done")[0]["lost_samples"] == 0
