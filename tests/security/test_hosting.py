"""Servers that cannot serve live streams are refused at the start, with the line to type instead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.servers import ROOT, free_port, gunicorn, running

GUNICORN = "A live stream blocks this worker of gunicorn"
LINE = "gunicorn -k gevent -c gunicorn.conf.py app:app"


def _output(command: list[str]) -> str:
    """Run a command that must end with an error; return its output."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "WHISPER_MODEL": "/nowhere.pt"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


@pytest.mark.parametrize(("worker", "threads"), [("sync", None), ("gthread", 4)])
@pytest.mark.parametrize("app", ["app:app", "tests.security.plain_app:app"])
def test_other_workers_of_gunicorn_are_refused(app: str, worker: str, threads: int | None) -> None:
    output = _output(gunicorn(app, port=free_port(), worker=worker, threads=threads))
    assert GUNICORN in output and LINE in output


def test_flask_run_is_refused() -> None:
    output = _output(["-m", "flask", "--app", "tests.security.plain_app", "run", "--port", str(free_port())])
    assert "'flask run' cannot serve live streams" in output and LINE in output


def test_other_commands_of_flask_work() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "tests.security.plain_app", "whisper", "settings"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and "WHISPER_ORIGINS" in done.stdout


def test_a_server_that_shows_itself_only_at_a_request_refuses_there(tmp_path: Path) -> None:
    port = free_port()
    command = ["-m", "tests.security.plain_app", str(port)]
    with (
        running(command, port=port, log_path=tmp_path / "log", WHISPER_MODEL="/nowhere.pt") as server,
        pytest.raises(InvalidStatus) as refused,
        connect(server.ws("/transcribe"), proxy=None),
    ):
        pass
    assert refused.value.response.status_code == 500
    assert b"cannot serve live streams" in (refused.value.response.body or b"")
    assert "gunicorn -k gevent" in server.log() and "Traceback" not in server.log()
