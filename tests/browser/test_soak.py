"""A talk that never ends, through the real microphone, RecordRTC and server: nothing grows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from tests.browser.conftest import FLAGS, write_microphone
from tests.browser.growth import Growth
from tests.browser.page import LivePage
from tests.servers import Server

pytestmark = pytest.mark.browser

WARM_UP_MIN = 1.0
STEP_S = 20
#: RecordRTC alone would keep 11 MB a minute.
MOST_HEAP_BYTES = 2_000_000
MOST_BACKING_BYTES = 2_000_000
MOST_NODES = 100
#: RecordRTC's workers are made from blobs; one may be at work.
MOST_ADDRESSES = 3


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("minutes", [10])
def test_a_looped_talk_leaves_heap_and_document_flat(
    server: Server, playwright: Playwright, tmp_path: Path, minutes: int
) -> None:
    chromium = shutil.which("chromium")
    assert chromium
    talk = tmp_path / "talk.wav"
    write_microphone(talk)
    loop = f"--use-file-for-fake-audio-capture={talk}"
    with playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, loop]) as browser:
        page = LivePage(browser.new_page(), f"http://127.0.0.1:{server.port}")
        page.load()
        growth = Growth(page)
        page.press("#talk")
        page.wait_for_state("listening")
        page.page.wait_for_timeout(WARM_UP_MIN * 60_000)
        growth.measure()
        for _ in range(round((minutes - WARM_UP_MIN) * 60 / STEP_S)):
            page.page.wait_for_timeout(STEP_S * 1000)
            page.slices.clear()
            growth.measure()
        print(growth)

        assert page.state == "listening"
        assert page.confirmed.count("two questions") >= minutes  # the talk has 28 s
        assert growth.heap_bytes < MOST_HEAP_BYTES
        assert growth.backing_bytes < MOST_BACKING_BYTES
        assert growth.nodes < MOST_NODES
        assert growth.addresses <= MOST_ADDRESSES
        page.page.keyboard.press("Escape")
        page.wait_for_state("done")
        (done,) = page.messages_of("done")
        assert done["lost_samples"] == 0
        assert done["received_samples"] >= (minutes * 60 - 1) * 16_000
        page.check()
