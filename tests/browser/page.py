"""The live page as a test sees it: what it shows, and what it exchanges with its server."""

from __future__ import annotations

import io
import json
import time
import wave
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request, Route, WebSocket

TIMEOUT_MS = 60_000.0  # of everything that waits: the machine may be slow, a failure may take its time
POLL_MS = 50.0
MOST_TABS = 40

# Writes down, for each frame that the page sends, what the page showed then.
_OBSERVE = """
window.sentIn = [];
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  const { state } = document.getElementById('state').dataset;
  window.sentIn.push([typeof data === 'string' ? 'text' : 'slice', state]);
  return send.call(this, data);
};
window.partials = [];
document.addEventListener('DOMContentLoaded', () => {
  new MutationObserver(() => {
    const grey = document.querySelector('.partial')?.textContent;
    if (grey && grey !== window.partials.at(-1)) window.partials.push(grey);
  }).observe(document.getElementById('transcript'), { childList: true, subtree: true, characterData: true });
});
"""

_CONFIRMED = """
[...document.querySelectorAll('#transcript p')]
  .flatMap((paragraph) => [...paragraph.childNodes])
  .filter((node) => node.nodeType === Node.TEXT_NODE)
  .map((node) => node.data).join('')
"""


class LivePage:
    """One open page.

    :param origin: of the server.
    """

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.slices: list[bytes] = []
        self.messages: list[dict[str, Any]] = []
        self._addresses: list[str] = []
        self._complaints: list[str] = []
        page.set_default_timeout(TIMEOUT_MS)
        page.add_init_script(_OBSERVE)
        page.on("request", self._on_request)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._complaints.append(str(error)))
        page.on("websocket", self._on_socket)

    def load(self, policy: str = "") -> None:
        """Load the page, with ``policy`` as its content security policy."""

        def add_policy(route: Route) -> None:
            response = route.fetch()
            route.fulfill(response=response, headers={**response.headers, "content-security-policy": policy})

        if policy:
            self.page.route(f"{self.origin}/", add_policy)
        self.page.goto(self.origin)

    def press(self, selector: str) -> None:
        """Press a button with the keyboard."""
        self.page.locator(selector).focus()
        self.page.keyboard.press("Enter")

    def tab_to(self, selector: str) -> None:
        """Press Tab until what ``selector`` names has the focus, at most once around the page."""
        target = self.page.locator(selector)
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            if target.evaluate("(element) => element === document.activeElement"):
                return
        raise AssertionError(f"Tab never comes to {selector}")

    def wait_for_state(self, state: str) -> None:
        self.page.wait_for_selector(f'#state[data-state="{state}"]')

    def wait_for_words(self, words: str) -> None:
        """Wait until ``words`` are in the text, grey or final."""
        self.page.locator("#transcript", has_text=words).wait_for()

    def wait_until(self, condition: Callable[[], bool], *, timeout_s: float = TIMEOUT_MS / 1000) -> None:
        """Wait until ``condition`` holds, while what comes from the page is taken in."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"never came true; the page shows: {self.banners}"
            self.page.wait_for_timeout(POLL_MS)

    @property
    def seconds_sent(self) -> float:
        return sum(frames / rate for frames, rate in map(frames_and_rate, self.slices))

    @property
    def transcript(self) -> str:
        return self.page.locator("#transcript").inner_text()

    @property
    def confirmed(self) -> str:
        """The words on the page that will not change any more."""
        text: str = self.page.evaluate(_CONFIRMED)
        return text

    @property
    def state(self) -> str | None:
        return self.page.get_attribute("#state", "data-state")

    @property
    def banners(self) -> list[str]:
        return self.page.locator(".banner p").all_text_contents()

    @property
    def partials(self) -> list[str]:
        """Every grey text that was shown."""
        partials: list[str] = self.page.evaluate("window.partials")
        return partials

    @property
    def sent_in(self) -> list[tuple[str, str]]:
        """Kind of each frame that was sent, ``slice`` or ``text``, and the page's state at that moment."""
        return [(kind, state) for kind, state in self.page.evaluate("window.sentIn")]

    def messages_of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    def check(self, expected: tuple[str, ...] = ()) -> None:
        """Fail if the page complained, or asked for anything beyond its own server.

        :param expected: complaints that begin so are expected.
        """
        complaints = [text for text in self._complaints if not text.startswith(expected or ("\0",))]
        host = urlsplit(self.origin).netloc
        foreign = [address for address in self._addresses if urlsplit(address).netloc != host]
        assert self._addresses
        assert foreign == [], f"requests beyond the server: {foreign}"
        assert complaints == [], f"the page complained: {complaints}"

    def _on_request(self, request: Request) -> None:
        if urlsplit(request.url).scheme not in ("blob", "data"):  # these leave nothing
            self._addresses.append(request.url)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._complaints.append(message.text)

    def _on_socket(self, socket: WebSocket) -> None:
        self._addresses.append(socket.url)
        socket.on("framesent", self._on_sent)
        socket.on("framereceived", self._on_received)

    def _on_sent(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            self.slices.append(frame)

    def _on_received(self, frame: str | bytes) -> None:
        self.messages.append(json.loads(frame))


def frames_and_rate(slice_: bytes) -> tuple[int, int]:
    """Return the length in samples and the rate of one WAV."""
    with wave.open(io.BytesIO(slice_)) as file:
        return file.getnframes(), file.getframerate()
