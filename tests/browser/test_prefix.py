"""The page behind a proxy that serves it below a prefix, which it strips."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from playwright.sync_api import Browser

from tests.browser.page import LivePage
from tests.servers import Server

pytestmark = pytest.mark.browser

PREFIX = "/speech"

Pump = Callable[[socket.socket, socket.socket], None]


@contextmanager
def stripping_proxy(server: Server) -> Iterator[int]:
    """Run a proxy that hands on requests below the prefix, without the prefix; yield its port.

    The browser sends heads without bodies, one after the other on a connection, and then perhaps a WebSocket.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=hand_on, args=(client, server.port), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # ends `accept`
        listener.close()


def hand_on(client: socket.socket, port: int) -> None:
    """Serve one connection of a browser: its requests to ``port``, the responses back."""
    with client, socket.create_connection(("127.0.0.1", port)) as upstream:
        back = threading.Thread(target=until_one_ends, args=(responses, client, upstream), daemon=True)
        back.start()
        until_one_ends(requests, client, upstream)
        back.join()


def until_one_ends(pump: Pump, client: socket.socket, upstream: socket.socket) -> None:
    """Run ``pump`` until one side ends, then end the other: browsers reuse a connection that seems alive."""
    with suppress(OSError):
        pump(client, upstream)
    for sock in (client, upstream):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def requests(client: socket.socket, upstream: socket.socket) -> None:
    with client.makefile("rb") as source:
        upgraded = False
        while not upgraded:
            head = read_head(source)
            stripped = head.replace(f"GET {PREFIX}/".encode(), b"GET /", 1)
            if stripped == head:  # the end, or a request that is not below the prefix
                return
            upstream.sendall(stripped)
            upgraded = b"upgrade: websocket" in head.lower()
        while data := source.read1():
            upstream.sendall(data)


def responses(client: socket.socket, upstream: socket.socket) -> None:
    while data := upstream.recv(65_536):
        client.sendall(data)


def read_head(source: io.BufferedReader) -> bytes:
    lines = [source.readline()]
    while lines[-1] not in (b"\r\n", b""):
        lines.append(source.readline())
    return b"".join(lines)


def test_the_page_works_below_a_prefix_that_a_proxy_strips(server: Server, browser: Browser) -> None:
    with stripping_proxy(server) as port:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = LivePage(context.new_page(), f"http://127.0.0.1:{port}{PREFIX}/")
        page.load()
        page.press("#talk")
        page.wait_for_state("listening")
        page.wait_for_words("There will be")
        page.press("#talk")
        page.wait_for_state("done")
        page.check()
        assert page.banners == []
        sockets = [address for address in page._addresses if address.startswith("ws")]
        assert len(sockets) == 1 and sockets[0].startswith(f"ws://127.0.0.1:{port}{PREFIX}/transcribe?")
        assert all(f":{port}{PREFIX}/" in address for address in page._addresses)
        context.close()
