"""Which model hears is on the page before anybody speaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import OpenPage, RunServer
from tests.servers import Server

pytestmark = pytest.mark.browser


def test_the_demonstration_model_says_so_before_start(
    run_server: RunServer, open_page: OpenPage, tmp_path: Path
) -> None:
    settings = {
        "WHISPER_MODEL": "auto",
        "WHISPER_DOWNLOAD_TIMEOUT_S": "0",
        "WHISPER_CACHE_DIR": str(tmp_path),
    }
    with run_server(**settings) as server, open_page(server) as page:
        page.wait_until(lambda: bool(page.banners))
        assert page.state == "idle"
        (banner,) = page.banners
        assert "Demonstration model: it understands only the synthetic voices" in banner
        # Start clears what was said before, but not this.
        page.press("#talk")
        page.wait_for_state("listening")
        assert page.banners == page.messages_of("ready")[0]["warnings"] == [banner]
        page.press("#talk")
        page.wait_for_state("done")


def test_the_name_of_the_model_stands_on_the_page_before_start(server: Server, open_page: OpenPage) -> None:
    with open_page(server) as page:
        page.page.locator("#about", has_text="Model micro.en.").wait_for()
        assert page.state == "idle" and page.banners == []
