"""axe-core finds nothing serious, in every state and both colour schemes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.page import LivePage
from tests.browser.test_reading import FAKE_SERVER
from tests.servers import Server

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js").read_text()
RUN = (
    "axe.run(document, { preload: false, resultTypes: ['violations'] }).then(({ violations }) => violations)"
)
SERIOUS = ("serious", "critical")


def findings(page: LivePage) -> list[str]:
    """What is serious or critical, in words."""
    if not page.page.evaluate("'axe' in window"):
        page.page.evaluate(AXE)
    violations: list[dict[str, Any]] = page.page.evaluate(RUN)
    return [
        f"{violation['id']}: {violation['help']}: {[node['html'] for node in violation['nodes']]}"
        for violation in violations
        if violation["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    server: Server, open_page: OpenPage, scheme: Literal["light", "dark"], width: int
) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        page.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.page.set_viewport_size({"width": width, "height": 800})
        assert findings(page) == [], "idle"

        page.press("#talk")
        page.wait_for_state("listening")
        page.page.evaluate("talk(2)")
        page.page.evaluate("say({ type: 'partial', text: ' and so', start: 120, end: 121 })")
        page.page.evaluate("say({ type: 'lag', behind_s: 3 })")
        page.page.evaluate("say({ type: 'ready', warnings: ['Demonstration model.'] })")
        assert findings(page) == [], "live"
        page.press("#settings summary")
        assert findings(page) == [], "live, with settings"
        page.page.keyboard.press("Escape")
        page.press("#downloads summary")
        assert findings(page) == [], "live, with downloads"
        page.page.keyboard.press("Escape")

        page.page.evaluate("window.sockets.at(-1).close(1006)")
        page.wait_for_state("disconnected")
        page.page.locator(".banner[data-kind=error]").wait_for()
        assert page.page.locator(".unconfirmed").count() == 1
        assert findings(page) == [], "error"

        page.press("#new")
        page.press("#past")
        page.page.locator("#archive[open] .entry").wait_for()
        assert findings(page) == [], "with the list of past transcripts"


def test_the_start_button_is_a_switch_with_one_name(server: Server, open_page: OpenPage) -> None:
    with open_page(server, init_script=FAKE_SERVER) as page:
        switch = page.page.get_by_role("button", name="Start or stop listening", exact=True)
        assert switch.get_attribute("aria-pressed") == "false"
        assert switch.inner_text() == "Start"
        page.press("#talk")
        page.wait_for_state("listening")
        assert switch.get_attribute("aria-pressed") == "true"
        assert switch.inner_text() == "Stop"
        assert page.page.get_by_role("status").first.inner_text() == "Listening"


def test_reduced_motion_is_honoured(server: Server, open_page: OpenPage) -> None:
    moving = """
    [...document.querySelectorAll('*')].filter((element) => {
      const style = getComputedStyle(element);
      return style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0;
    }).map(({ className }) => String(className))
    """
    with open_page(server, init_script=FAKE_SERVER) as page:
        page.page.evaluate("document.getElementById('state').dataset.state = 'connecting'")
        assert page.page.evaluate(moving) != []
        page.page.emulate_media(reduced_motion="reduce")
        assert page.page.evaluate(moving) == []


def test_everything_reached_by_tab_shows_the_focus(server: Server, open_page: OpenPage) -> None:
    outlined = """
    (() => {
      const shown = document.activeElement.type === 'radio'
        ? document.activeElement.nextElementSibling : document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(shown);
      return outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2;
    })()
    """
    with open_page(server, init_script=FAKE_SERVER) as page:
        page.press("#talk")
        page.wait_for_state("listening")
        page.page.evaluate("talk(1)")
        page.tab_to("#settings summary")
        page.page.keyboard.press("Enter")
        seen = []
        for _ in range(25):
            page.page.keyboard.press("Tab")
            name = page.page.evaluate("document.activeElement.id || document.activeElement.localName")
            if name == "body":
                break
            seen.append(name)
            assert page.page.evaluate(outlined), name
        assert {"language", "microphone", "echo", "talk", "copy", "clear", "scroller"} <= set(seen)
