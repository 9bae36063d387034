"""The check that runs with every test finds what a test leaves."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import gevent
import pytest

from tests import leaks
from tests.leaks import nothing_left


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(leaks, "_GRACE_S", 0.1)
        yield


def test_a_thread_is_found() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    with pytest.raises(AssertionError, match="left after the test: .'thread"), nothing_left():
        thread.start()
    over.set()
    thread.join()


def test_a_greenlet_is_found() -> None:
    with pytest.raises(AssertionError, match="left after the test: .'greenlet"), nothing_left():
        greenlet = gevent.spawn(gevent.sleep, 60)
    greenlet.kill()


def test_a_socket_is_found() -> None:
    with pytest.raises(AssertionError, match="left after the test: .'socket"), nothing_left():
        left = socket.socket()
    left.close()


def test_what_ends_soon_is_no_leak() -> None:
    with nothing_left():
        threading.Thread(target=threading.Event().wait, args=(0.02,)).start()
        gevent.spawn(gevent.sleep, 0.02)
