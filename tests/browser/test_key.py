"""The page of a server that needs a key."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenPage, RunServer
from tests.browser.page import LivePage
from whisper_service.web.keys import hash_of, make

pytestmark = pytest.mark.browser


def _type_key(page: LivePage, key: str) -> None:
    page.press("#settings > summary")
    page.page.fill("#key", key)
    page.page.keyboard.press("Tab")
    page.page.keyboard.press("Escape")


def test_a_locked_server_asks_for_its_key_and_takes_it(run_server: RunServer, open_page: OpenPage) -> None:
    key = make()
    refusals = ("Failed to load resource", "WebSocket connection")
    with (
        run_server(WHISPER_KEYS=f"alice:{hash_of(key)}") as server,
        open_page(server, complaints=refusals) as page,
    ):
        page.wait_until(lambda: bool(page.banners))
        assert page.banners == ["This service needs a key. Enter it in the settings."]
        page.press("#sample")
        assert page.state == "idle" and len(page.banners) == 1
        _type_key(page, make())
        page.press("#sample")
        page.wait_for_state("disconnected")
        page.wait_until(lambda: bool(page.banners))
        assert page.banners == ["This key is not known here, or too old. Enter it in the settings."]
        _type_key(page, key)
        page.press("#sample")
        page.wait_for_state("listening")
        page.wait_for_words("algebra")
        page.page.reload()
        page.page.wait_for_timeout(500)
        assert not any("key" in banner for banner in page.banners)
        assert key not in server.log()
