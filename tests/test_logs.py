"""The log as JSON: each line is an object, and names the stream that it is about."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import speak
from tests.servers import Server, free_port, gunicorn, running, wait_until_ready
from tests.talks import Client
from whisper_service.errors import ConfigError
from whisper_service.logs import SessionFilter, configuration, json_formatter, of_session


def _lines(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log().splitlines() if not line.startswith("Listening on")]


def _stream(server: Server) -> str:
    """Stream a talk; return the name of the stream."""
    pcm, _ = speak([0.2, 0.2])
    with Client(server.ws("/transcribe?format=f32le")) as client:
        name: str = client.wait_for("ready")["session"]
        client.send([pcm.tobytes()])
        client.control("stop")
        client.wait_for("done")
    return name


@pytest.mark.parametrize("way", ["python", "gunicorn"])
def test_each_line_is_an_object(tmp_path: Path, way: str) -> None:
    port = free_port()
    command: Sequence[str] = ["-m", "tests.fake_service"]
    if way == "gunicorn":
        command = [*gunicorn("tests.fake_service:app", port=port, worker="gevent"), "-c", "gunicorn.conf.py"]
    settings = {"PORT": str(port), "LOG_FORMAT": "json"}
    with running(command, port=port, log_path=tmp_path / "log", **settings) as server:
        wait_until_ready(server)
        first, second = _stream(server), _stream(server)
    lines = _lines(server)
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    sessions = [line["session"] for line in lines if "session" in line]
    assert {first, second} == set(sessions) and sessions == sorted(sessions, key=[first, second].index)
    opened = next(line for line in lines if line["message"] == f"{second}: open")
    assert opened["logger"] == "whisper_service.live" and opened["session"] == second
    if way == "gunicorn":
        assert any(line["logger"] == "gunicorn.error" for line in lines)


def test_a_traceback_is_in_the_line() -> None:
    record = logging.LogRecord("a", logging.ERROR, "", 0, "it %s", ("fails",), None)
    try:
        raise ValueError("why")
    except ValueError as problem:
        record.exc_info = type(problem), problem, problem.__traceback__
    with of_session("s1"):
        SessionFilter().filter(record)
    line = json.loads(json_formatter().format(record))
    assert "ValueError: why" in line.pop("exception")
    del line["time"]
    assert line == {"level": "ERROR", "logger": "a", "message": "it fails", "session": "s1"}


def test_outside_a_stream_there_is_no_session() -> None:
    with of_session("s1"), of_session("s2"):
        pass
    record = logging.LogRecord("a", logging.INFO, "", 0, "x", (), None)
    SessionFilter().filter(record)
    assert "session" not in json.loads(json_formatter().format(record))


def test_another_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_FORMAT", "xml")
    with pytest.raises(ConfigError, match="LOG_FORMAT is 'xml'; accepted: text, json"):
        configuration()
