"""Runs in which something breaks while a talk is streamed: two gunicorn servers, a client that knows both."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.faults.proxy import proxy
from tests.live_streams import Message, stream
from tests.servers import MODEL, Server, free_port, running, wait_until, wait_until_ready
from tests.talks import RATE, Talk, talk
from whisper_service.client import LiveClient, StreamFailed

#: How much faster than real time the talk is sent.
SPEED = 4.0
#: How long a process is stopped, in seconds.
STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one run.

    :param problem: "" if the finals are those of the undisturbed run.
    :param at_s: when the fault came, in seconds of the talk.
    """

    fault: str
    seed: int
    at_s: float
    seconds: float
    reconnected: int
    problem: str


class Pair:
    """Two servers with the same model and key."""

    def __init__(self, first: Server, second: Server) -> None:
        self._servers = (first, second)

    def urls(self, order: int) -> list[str]:
        """Return the addresses, beginning with that of server ``order``."""
        return [self._servers[(order + index) % 2].ws("/transcribe") for index in range(2)]

    def port(self, index: int) -> int:
        return self._servers[index].port

    def master(self, index: int) -> int:
        """Return the process id of gunicorn itself."""
        return self._servers[index].process.pid

    def worker(self, index: int) -> int:
        """Return the process id of the newest worker of a server."""
        master = self.master(index)
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return int(children[-1])

    def wait(self) -> None:
        """Wait until both can take streams."""
        for server in self._servers:
            wait_until_ready(server)


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    """Run two gunicorn servers while the body runs."""
    with ExitStack() as stack:
        servers = []
        for name in ("first", "second"):
            port = free_port()
            command = ["-m", "gunicorn", "-c", "gunicorn.conf.py", "-b", f"127.0.0.1:{port}", "app:app"]
            settings = {"WHISPER_MODEL": MODEL, "WHISPER_SIGNING_KEY": "of these tests"}
            log = folder / f"{name}.log"
            servers.append(stack.enter_context(running(command, port=port, log_path=log, **settings)))
        made = Pair(*servers)
        made.wait()
        yield made


def spoken() -> Talk:
    """Return the talk of all runs."""
    return talk("talk-00")


def undisturbed(servers: Pair) -> list[Message]:
    """Return the messages of a run without a fault."""
    return stream(LiveClient(servers.urls(0)), _pcm(spoken()), speed=SPEED)


def _pcm(said: Talk) -> NDArray[np.int16]:
    return (said.samples * 32_767).astype("<i2")


def finals(messages: list[Message]) -> list[tuple[int, str, float, float]]:
    """Return what must be the same in every run."""
    return [(one["id"], one["text"], one["start"], one["end"]) for one in messages if one["type"] == "final"]


def one_run(servers: Pair, fault: str, seed: int, whole: list[Message]) -> Verdict:
    """Stream the talk, let the fault happen at a random moment, and compare the finals with ``whole``.

    :param fault: a name in ``FAULTS``.
    """
    dice = random.Random(f"{fault} {seed}")
    said = spoken()
    at, order = dice.randrange(said.samples.shape[0]), dice.randrange(2)
    servers.wait()
    worker = servers.worker(order)
    began = time.monotonic()
    with FAULTS[fault](servers, order, seed) as (urls, strike):
        try:
            messages = stream(LiveClient(urls), _pcm(said), speed=SPEED, at={at: strike})
            problem = difference(messages, whole)
        except StreamFailed as failure:
            messages, problem = [], str(failure)
    seconds = time.monotonic() - began
    if fault in ("kill", "term", "deploy"):
        wait_until(lambda: not Path(f"/proc/{worker}").exists(), timeout_s=40)
    lost = sum(one["type"] == "connection" and one["state"] == "lost" for one in messages)
    return Verdict(fault, seed, at / RATE, seconds, lost, problem)


#: The addresses for the client, and what breaks.
Prepared = tuple[list[str], Callable[[], None]]


@contextmanager
def _cut(servers: Pair, order: int, seed: int) -> Iterator[Prepared]:
    """Cut the connection, which is slow besides."""
    with proxy(servers.port(order), seed) as between:
        yield [f"ws://127.0.0.1:{between.port}/transcribe"], between.cut


@contextmanager
def _kill(servers: Pair, order: int, seed: int) -> Iterator[Prepared]:
    """Kill the worker with SIGKILL."""
    worker = servers.worker(order)
    yield servers.urls(order), lambda: os.kill(worker, signal.SIGKILL)


@contextmanager
def _term(servers: Pair, order: int, seed: int) -> Iterator[Prepared]:
    """Ask the worker to end, as a deploy does."""
    worker = servers.worker(order)
    yield servers.urls(order), lambda: os.kill(worker, signal.SIGTERM)


@contextmanager
def _deploy(servers: Pair, order: int, seed: int) -> Iterator[Prepared]:
    """Let gunicorn replace its worker by a new one (SIGHUP)."""
    yield servers.urls(order), lambda: os.kill(servers.master(order), signal.SIGHUP)


@contextmanager
def _stop(servers: Pair, order: int, seed: int) -> Iterator[Prepared]:
    """Stop the worker for a while, as a machine that runs out of memory does."""
    worker = servers.worker(order)
    going_on = threading.Timer(STOP_S, os.kill, (worker, signal.SIGCONT))

    def strike() -> None:
        os.kill(worker, signal.SIGSTOP)
        going_on.start()

    yield servers.urls(order), strike
    going_on.join()


FAULTS = {"kill": _kill, "cut": _cut, "term": _term, "deploy": _deploy, "stop": _stop}


def difference(messages: list[Message], whole: list[Message]) -> str:
    """Return in which way a run differs from the undisturbed one, or ""."""
    found, expected = finals(messages), finals(whole)
    if found != expected:
        for one, other in zip(found, expected, strict=False):
            if one != other:
                return f"final {one} instead of {other}"
        return f"{len(found)} finals instead of {len(expected)}"
    counts = [f"{kind}_samples" for kind in ("received", "speech", "silent", "lost")]
    if [messages[-1][name] for name in counts] != [whole[-1][name] for name in counts]:
        return "another account of the samples"
    return ""
