"""The page behind a proxy that serves it below a prefix, which it strips."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from playwright.sync_api import Browser

from tests.browser.page import LivePage
from tests.servers import Server

pytestmark = pytest.mark.browser

PREFIX = "/speech"


@contextmanager
def stripping_proxy(server: Server) -> Iterator[int]:
    """Run a proxy that hands on what is asked for below the prefix, without it; yield its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=hand_on, args=(client,), daemon=True).start()

    def hand_on(client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(65_536)
            if not data:
                return
            head += data
        stripped = re.sub(rb"^GET /speech/", b"GET /", head, count=1)
        if stripped == head:
            client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            client.close()
            return
        if b"upgrade: websocket" not in head.lower():  # one request on a connection
            stripped = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", stripped)
            stripped = stripped.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
        upstream = socket.create_connection(("127.0.0.1", server.port))
        upstream.sendall(stripped)
        back = threading.Thread(target=pump, args=(upstream, client), daemon=True)
        back.start()
        pump(client, upstream)
        back.join()
        client.close()
        upstream.close()

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


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
