"""The doctor finds what is wrong, and says what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import MODEL, ROOT, free_port, running, wait_until_ready

pytestmark = pytest.mark.heavy


def _doctor(*arguments: str, **settings: str) -> tuple[int, str]:
    """Return the exit status and the output."""
    environment = {**os.environ, "PORT": str(free_port()), "WHISPER_MODEL": MODEL, **settings}
    command = [sys.executable, "-m", "flask", "--app", "app", "whisper", "doctor", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def test_a_good_installation_is_told_so() -> None:
    status, said = _doctor(WHISPER_SIGNING_KEY="a long random text")
    assert status == 0, said
    for text in (
        "micro.en computes in",
        "live streams",
        "FFmpeg is there",
        "speech detector works",
        "is free",
    ):
        assert text in said
    assert "problem" not in said


def test_what_is_wrong_is_named_with_what_to_do(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("")
    keys.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, said = _doctor(
            PORT=str(taken.getsockname()[1]),
            WHISPER_MODEL="base.en",
            XDG_CACHE_HOME=str(tmp_path),
            WHISPER_KEYS_FILE=str(keys),
            WHISPER_ORIGINS="*",
            WHISPER_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0",
        )
    assert status == 1
    for text in (
        "base.en is not on this machine",
        f"chmod 600 {keys}",
        "Every web page may use",
        "Redis of WHISPER_REDIS_URL does not answer",
        "could not listen",
    ):
        assert text in said, said


def test_a_wrong_setting_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "whisper_service", "doctor"],
        cwd=ROOT,
        env={**os.environ, "WHISPER_MODLE": "base"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and "Did you mean WHISPER_MODEL?" in done.stdout and not done.stderr


def test_a_running_service_is_looked_at_from_outside(tmp_path: Path) -> None:
    port = free_port()
    with running(
        ["app.py"], port=port, log_path=tmp_path / "log", PORT=str(port), WHISPER_MODEL=MODEL
    ) as server:
        wait_until_ready(server)
        status, said = _doctor("--url", f"http://127.0.0.1:{port}")
        assert status == 0 and "opens a WebSocket for pages of" in said
        status, said = _doctor("--url", f"http://127.0.0.1:{port}/nowhere")
        assert status == 1 and "is the prefix right?" in said
    status, said = _doctor("--url", f"http://127.0.0.1:{port}")
    assert status == 1 and "cannot be reached" in said
