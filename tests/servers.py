"""Servers in subprocesses, for tests: a test process is never monkey-patched."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.privacy import found_in

ROOT = Path(__file__).resolve().parent.parent
#: The checkpoint that understands the talks.
MODEL = "models/micro.en.pt"
START_TIMEOUT_S = 60.0
READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Server:
    """A running server on 127.0.0.1."""

    port: int
    process: subprocess.Popen[bytes]
    log_path: Path

    def ws(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def get(self, path: str, *, timeout_s: float = 5.0) -> bytes:
        """Return the body of a plain GET; raises ``urllib.error.HTTPError`` for 4xx and 5xx."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout_s) as answer:
            body: bytes = answer.read()
            return body

    def connect(self, *, receive_buffer_bytes: int | None = None) -> socket.socket:
        """Return a plain TCP connection."""
        sock = socket.socket()
        sock.settimeout(5.0)
        if receive_buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        sock.connect(("127.0.0.1", self.port))
        return sock

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 5.0) -> bool:
    """Return whether ``condition`` came true in time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(POLL_S)
    return True


def status(server: Server, path: str) -> tuple[int, str]:
    """Return the HTTP status and the ``status`` that the body gives."""
    try:
        return 200, json.loads(server.get(path))["status"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["status"]


def wait_until_ready(server: Server, prefix: str = "") -> None:
    def is_ready() -> bool:
        try:
            return status(server, f"{prefix}/readyz")[0] == 200
        except TimeoutError:  # gunicorn listens before its worker has imported the app
            return False

    assert wait_until(is_ready, timeout_s=READY_TIMEOUT_S), server.log()


@contextmanager
def running(command: Sequence[str], *, port: int, log_path: Path, **environment: str) -> Iterator[Server]:
    """Run ``python <command>`` in the repository's root while the body runs; it must listen on ``port``.

    At the end its log must have no keys, and nothing of what was said.

    :param log_path: takes stdout and stderr.
    :param environment: variables beside our own.
    :raises RuntimeError: if it ends or does not listen in time.
    """
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PYTHONUNBUFFERED": "1",
                # Tests also run where two streams are too many for the machine.
                "WHISPER_MAX_STREAMS": "1000",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: process.poll() is not None or _listens(port), timeout_s=START_TIMEOUT_S)
        if process.poll() is not None or not _listens(port):
            output = log_path.read_text(errors="replace")
            raise RuntimeError(f"{' '.join(command)} does not listen:\n{output}")
        yield Server(port, process, log_path)
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    private = found_in(log_path.read_text(errors="replace"))
    assert not private, f"the server's log has {private}"


def resident_bytes(pid: int) -> int:
    """Return how much of a process is in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def gunicorn(app: str, *, port: int, worker: str, threads: int | None = None) -> list[str]:
    """Return the command of one gunicorn worker for :func:`running`."""
    # The control socket would be one for all servers of this user.
    command = ["-m", "gunicorn", app, "-b", f"127.0.0.1:{port}", "-k", worker, "-w", "1"]
    # The gunicorn.conf.py in the working folder is for our own app.
    command += ["-c", os.devnull]
    command += ["--graceful-timeout", "1", "--no-control-socket", "--access-logfile", "-"]
    return command if threads is None else [*command, "--threads", str(threads)]


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
