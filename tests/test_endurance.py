"""A lecture of 90 minutes, and a thousand visitors: what is remembered does not grow."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from websockets.sync.client import connect

from tests.fakes import INFO, Samples, done
from tests.servers import MODEL, free_port, resident_bytes, running, wait_until, wait_until_ready
from tests.talks import RATE, talk
from whisper_service.config import StreamSettings
from whisper_service.engine.request import EngineInfo, Hypothesis, Request
from whisper_service.engine.runner import Runner
from whisper_service.model.speech.detector import SpeechDetector
from whisper_service.replay import replay

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

BLOCK_S = 600
VISITORS = 1000
MEGABYTE = 1 << 20


class Metered:
    """A runner that notes what its answers cost.

    :param seconds: the processor's time for each answer.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.max_batch = runner.max_batch
        self.seconds: list[float] = []

    def forget(self, stream: str) -> None:
        self._runner.forget(stream)

    def info(self) -> EngineInfo:
        return INFO

    def run_batch(self, requests: Sequence[Request]) -> list[Hypothesis]:
        begin = time.process_time()
        answers = self._runner.run_batch(requests)
        self.seconds += [(time.process_time() - begin) / len(requests)] * len(requests)
        return answers


def test_a_stream_of_90_minutes_costs_as_much_at_its_end(runner: Runner) -> None:
    said = talk("talk-00").samples
    metered = Metered(runner)
    blocks: list[tuple[float, float]] = []  # seconds an answer, resident bytes
    samples = 90 * 60 * RATE

    def slices() -> Iterator[Samples]:
        sent = told = 0
        while sent < samples:
            place = sent % (said.shape[0] // RATE * RATE)
            piece = said[place : place + 2 * RATE]
            yield piece
            sent += piece.shape[0]
            if sent // (BLOCK_S * RATE) > len(blocks):
                answers, told = metered.seconds[told:], len(metered.seconds)
                blocks.append((float(np.median(answers)), resident_bytes(os.getpid())))
                print(f"{sent / RATE / 60:.0f} min: {blocks[-1][0]:.3f} s, {blocks[-1][1] / MEGABYTE:.0f} MB")

    events = list(
        replay(
            slices(),
            runner=metered,
            detector=SpeechDetector(),
            settings=replace(StreamSettings(), interim=False),
            grid_samples=2 * RATE,
        )
    )
    account = done(events).account
    assert account.received == account.speech + account.silent + account.lost >= samples
    assert len(blocks) == 9
    (early_s, early_bytes), (late_s, late_bytes) = blocks[1], blocks[-1]
    assert late_s < 1.25 * early_s
    # Ten words a second for 70 minutes, each with its tokens, are the transcript that this test keeps.
    assert late_bytes < early_bytes + 30 * MEGABYTE


def test_a_thousand_visitors_leave_nothing_behind(tmp_path: Path) -> None:
    port = free_port()
    wavs = talk("talk-00").until(2.0).wavs()
    with running(
        ["app.py"], port=port, log_path=tmp_path / "log", PORT=str(port), WHISPER_MODEL=MODEL
    ) as server:
        wait_until_ready(server)

        def visit(number: int) -> None:
            with connect(server.ws("/transcribe")) as socket:
                # Most look in and go, some speak, and of those some leave in the middle of a word.
                for wav in wavs if number % 10 == 0 else wavs[:1] if number % 10 == 1 else ():
                    socket.send(wav)
                if number % 20 == 0:
                    socket.send('{"type": "stop"}')
                    for _ in socket:
                        pass

        def state() -> tuple[int, int, int]:
            folder = Path(f"/proc/{server.process.pid}")
            return (
                resident_bytes(server.process.pid),
                len(list((folder / "fd").iterdir())),
                len(list((folder / "task").iterdir())),
            )

        for number in range(VISITORS // 5):
            visit(number)
        resident, files, threads = state()
        for number in range(VISITORS // 5, VISITORS):
            visit(number)
        assert wait_until(lambda: state()[1] <= files, timeout_s=30), "files are left open"
        now, _, threads_now = state()
        print(
            f"after {VISITORS // 5} visitors {resident / MEGABYTE:.0f} MB, after all {now / MEGABYTE:.0f} MB"
        )
        assert threads_now <= threads
        assert now < resident + 20 * MEGABYTE
