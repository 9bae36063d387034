"""What gevent's own server says while it starts."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any, cast

import gevent
import pytest

from whisper_service import server
from whisper_service.config import Config
from whisper_service.errors import ModelUnavailable
from whisper_service.parts import Parts
from whisper_service.service import Service
from whisper_service.web.sockets import Sockets

pytestmark = pytest.mark.usefixtures("loop_that_knows_the_time")


class _Slow(Service):
    """Its model takes a while, and may then not be there."""

    def __init__(self, *, there: bool) -> None:
        super().__init__(Config(), Sockets(1_000_000))
        self._there = there

    def _load(self) -> None:
        gevent.sleep(0.2)
        if self._there:
            self._parts = cast(Parts, object())
        else:
            self._problem = ModelUnavailable("There is none.")
        self._settled.set()

    def about(self) -> dict[str, Any]:
        return {"model": "slow"}


def test_the_garbage_collector_need_not_look_at_what_was_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    service, before = Service(Config(), Sockets(1_000_000)), gc.get_freeze_count()
    parts = SimpleNamespace(engine=SimpleNamespace(info=lambda: SimpleNamespace(model="small")))
    monkeypatch.setattr(service, "_assemble", lambda: parts)
    service._load()
    try:
        assert gc.get_freeze_count() > before + 10_000
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("there", [True, False])
def test_a_start_that_takes_long_says_so_and_what_comes_of_it(
    there: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "_PATIENCE_S", 0.05)
    server._announce(_Slow(there=there), "http://127.0.0.1:5003")
    out, err = capsys.readouterr()
    assert 1 <= err.count("the model is still being loaded") <= 5
    assert ("Listening on http://127.0.0.1:5003 (model slow)" in out) is there
    assert ("there is no model" in err) is not there
