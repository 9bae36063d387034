"""Chromium against the real server. The server is a subprocess: Playwright and gevent share no process."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.browser.page import LivePage
from tests.servers import ROOT, Server, free_port, running, wait_until
from whisper_service.audio.decode import decode

TALK = ROOT / "static" / "samples" / "talk-00.flac"
SILENCE_S = 1.0  # behind the talk
READY_TIMEOUT_S = 60.0
FLAGS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A document that Playwright answers counts as public, and may then not open a socket on 127.0.0.1.
    "--disable-features=LocalNetworkAccessChecks",
)

RunServer = Callable[..., AbstractContextManager[Server]]
OpenPage = Callable[..., AbstractContextManager[LivePage]]


@pytest.fixture(scope="session")
def run_server(tmp_path_factory: pytest.TempPathFactory) -> RunServer:
    """Runs the app with the demonstration model, or as ``environment`` says, until the body ends."""

    @contextmanager
    def run(**environment: str) -> Iterator[Server]:
        port = free_port()
        settings = {"PORT": str(port), "WHISPER_MODEL": str(ROOT / "models" / "micro.en.pt"), **environment}
        log_path = tmp_path_factory.mktemp("server") / "log"
        with running(["app.py"], port=port, log_path=log_path, **settings) as server:
            assert wait_until(lambda: "Listening on" in server.log(), timeout_s=READY_TIMEOUT_S), server.log()
            yield server

    return run


@pytest.fixture(scope="module")
def server(run_server: RunServer) -> Iterator[Server]:
    with run_server() as running_server:
        yield running_server


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium whose microphone hears the talk, from its beginning each time that it is opened."""
    chromium = shutil.which("chromium")
    assert chromium, "The page's tests need Chromium: apt-get install chromium"
    talk = tmp_path_factory.mktemp("microphone") / "talk.wav"
    write_microphone(talk)
    microphone = f"--use-file-for-fake-audio-capture={talk}%noloop"
    browser = playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, microphone])
    yield browser
    browser.close()


@pytest.fixture
def open_page(browser: Browser) -> OpenPage:
    """Opens a server's page and, when the body ends, checks that nothing went wrong in it."""

    @contextmanager
    def open_(server: Server, *, init_script: str = "", policy: str = "") -> Iterator[LivePage]:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = LivePage(context.new_page(), f"http://127.0.0.1:{server.port}")
        if init_script:
            page.page.add_init_script(init_script)
        page.load(policy)
        yield page
        page.check()
        context.close()

    return open_


def write_microphone(path: Path) -> None:
    """Write what the fake microphone hears: the talk, and a second of silence."""
    talk = decode(TALK.read_bytes())
    samples = np.append(talk.samples, np.zeros(int(SILENCE_S * talk.rate), np.float32))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(talk.rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
