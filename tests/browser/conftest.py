"""Chromium against the real server. The server is a subprocess: Playwright and gevent share no process."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.browser.page import LivePage
from tests.servers import ROOT, Server, free_port, running, wait_until
from whisper_service.audio.decode import decode

TALK = ROOT / "static" / "samples" / "talk-00.flac"
SILENCE_S = 1.0  # after the talk
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


@pytest.fixture(scope="package")
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
    with chromium(playwright, TALK, tmp_path_factory.mktemp("microphone")) as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> OpenPage:
    """Opens a server's page and, when the body ends, checks that nothing went wrong in it."""
    return partial(opened, browser)


@contextmanager
def chromium(playwright: Playwright, talk: Path, folder: Path) -> Iterator[Browser]:
    """Run a Chromium whose microphone hears ``talk``.

    :param folder: where the talk is written as Chromium takes it.
    """
    executable = shutil.which("chromium")
    assert executable, "The page's tests need Chromium: apt-get install chromium"
    write_microphone(folder / "talk.wav", talk)
    microphone = f"--use-file-for-fake-audio-capture={folder / 'talk.wav'}%noloop"
    browser = playwright.chromium.launch(executable_path=executable, args=[*FLAGS, microphone])
    yield browser
    browser.close()


@contextmanager
def opened(
    browser: Browser,
    server: Server,
    *,
    init_script: str = "",
    policy: str = "",
    complaints: tuple[str, ...] = (),
) -> Iterator[LivePage]:
    """Open a server's page and, when the body ends, check that nothing went wrong in it.

    :param complaints: what the browser may complain about: it does so at every failed connection.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = LivePage(context.new_page(), f"http://127.0.0.1:{server.port}")
    if init_script:
        page.page.add_init_script(init_script)
    page.load(policy)
    yield page
    page.check(complaints)
    context.close()


def write_microphone(path: Path, talk: Path = TALK) -> None:
    """Write what the fake microphone hears: the talk, and a second of silence."""
    audio = decode(talk.read_bytes())
    samples = np.append(audio.samples, np.zeros(int(SILENCE_S * audio.rate), np.float32))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(audio.rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
