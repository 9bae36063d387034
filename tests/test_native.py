"""In a monkey-patched process, no native thread ever has a gevent hub."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time

import gevent
import pytest

from tests.servers import ROOT
from whisper_service.native import HubCalls

_SCRIPT = """
from gevent import monkey; monkey.patch_all()
import time
import gevent
import numpy as np
from gevent._hub_local import get_hub_if_exists
from tests.fakes import INFO, FakeEngine
from whisper_service.audio.stream import ContainerThreads
from whisper_service.engine.bridge import EngineBridge
from whisper_service.engine.listening import SpeechBridge
from whisper_service.engine.request import EngineInfo, Kind, Request
from whisper_service.native import Pipe, Pool

hubs = {}

class Runner:
    max_batch = 1
    def info(self) -> EngineInfo:
        return INFO

    def run_batch(self, requests):
        # What the thread did after the batch before is seen here.
        hubs.setdefault("engine", []).append(get_hub_if_exists())
        return [FakeEngine().run(request) for request in requests]
    def forget(self, stream):
        pass

class Detector:
    def probabilities(self, batch):
        hubs.setdefault("detector", []).append(get_hub_if_exists())
        return [[0.0] for _ in batch]

engine, speech = EngineBridge(Runner), SpeechBridge(Detector)
engine.start(); speech.start(); engine.wait(10)
pcm = np.zeros(512, dtype=np.float32)
for number in range(5):
    done = gevent.event.Event()
    request = Request(stream="s", number=number, kind=Kind.FINAL, start=0, pcm=pcm)
    engine.submit(request, lambda answer: done.set())
    assert done.wait(10)
    speech.probabilities(None, pcm)
pool = Pool(1)
for _ in range(3):
    pool.apply(lambda: hubs.setdefault("pool", []).append(get_hub_if_exists()))

def generate(source):
    while data := source.read(1):
        hubs.setdefault("container", []).append(get_hub_if_exists())
        yield data

pipe = Pipe(generate)
for _ in range(3):
    pipe.source.put(bytes(100))
    pipe.take()
pipe.abort()
webm = open("tests/data/containers/jfk_opus.webm", "rb").read()
stream = ContainerThreads(1).stream("matroska")
stream.write(webm); stream.close()
assert sum(len(block.samples) for block in stream.blocks()) > 100_000
engine.stop(5); speech.stop(5)
assert {name: set(seen) for name, seen in hubs.items()} == {
    name: {None} for name in ("engine", "detector", "pool", "container")
}, hubs
print("none has a hub")
"""


def test_no_native_thread_ever_has_a_hub() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0 and "none has a hub" in done.stdout, done.stdout + done.stderr


_FAILING = """
from gevent import monkey
monkey.patch_all()
from whisper_service.native import Pool

try:
    Pool(1).apply(int, "no number")
except ValueError:
    print("raised here")
"""


def test_an_error_in_a_native_thread_is_raised_to_the_caller_and_not_printed() -> None:
    """Otherwise a client that sends bad base64 fills the server's log with tracebacks."""
    done = subprocess.run(
        [sys.executable, "-c", _FAILING], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr) == ("raised here\n", "")


def test_functions_for_the_hub_are_called_in_order_from_any_threads() -> None:
    calls = HubCalls()
    called: list[tuple[int, int]] = []

    def post_all(name: int) -> None:
        for number in range(2_000):
            calls.post(called.append, (name, number))

    threads = [threading.Thread(target=post_all, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    with gevent.Timeout(10):
        while len(called) < 6_000:
            gevent.sleep(0.001)
    for thread in threads:
        thread.join()
    for name in range(3):
        assert [number for owner, number in called if owner == name] == list(range(2_000))


def test_the_error_of_one_function_does_not_stop_the_others(capfd: pytest.CaptureFixture[str]) -> None:
    calls = HubCalls()
    called: list[int] = []
    for number in range(3):
        calls.post(called.append, number)
        calls.post(int, "no number")
    with gevent.Timeout(10):
        while len(called) < 3:
            gevent.sleep(0.001)
    assert called == [0, 1, 2]
    assert "no number" in capfd.readouterr().err  # gevent reports it


def test_the_answers_of_a_large_batch_leave_turns_to_others(loop_that_knows_the_time: None) -> None:
    calls, done, seen = HubCalls(), 0, [0]

    def work() -> None:
        nonlocal done
        time.sleep(0.0005)  # not gevent's: as a stream that computes
        done += 1

    def beat() -> None:
        while done < 100:
            gevent.sleep(0.0001)
            seen.append(done)

    heart = gevent.spawn(beat)
    gevent.sleep(0)
    for _ in range(100):
        # An answer wakes a stream, which then works.
        calls.post(gevent.spawn, work)
    with gevent.Timeout(10):
        heart.join()
    assert max(after - before for before, after in itertools.pairwise(seen)) <= 10
