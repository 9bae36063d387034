"""The engine on a GPU: ``python -m pytest -m cuda`` on a machine that has one."""

from __future__ import annotations

import subprocess
import sys

import jiwer
import numpy as np
import pytest
import torch
from whisper.model import Whisper
from whisper.normalizers import EnglishTextNormalizer

from tests.conftest import CHECKPOINT, Talk
from whisper_service.engine.request import Hypothesis, Kind, Request
from whisper_service.engine.runner import Runner
from whisper_service.model.checkpoints.find import find_checkpoint
from whisper_service.model.network.precision import Precision

pytestmark = pytest.mark.cuda

RATE = 16_000
_normalise = EnglishTextNormalizer()


@pytest.fixture(scope="module", autouse=True)
def driver() -> None:
    """Start CUDA's driver before the tests: it keeps a socket, which would count as a leak of the first."""
    torch.zeros(1, device="cuda")


def _windows(talk: Talk, count: int) -> list[Request]:
    dice = np.random.default_rng(0)
    requests = []
    for number in range(count):
        start = int(dice.integers(0, 20 * RATE))
        pcm = talk.pcm[start : start + int(dice.integers(RATE, 7 * RATE))]
        requests.append(Request(f"s{number}", 0, Kind.COMMIT, start, pcm, prompt="Algebra." * (number % 2)))
    return requests


def _text(answer: Hypothesis) -> str:
    return "".join(word.text for word in answer.words)


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.BFLOAT16, Precision.FLOAT16])
def test_a_batch_says_what_the_cpu_says(
    runner: Runner, model: Whisper, talk: Talk, precision: Precision
) -> None:
    gpu = Runner(model, torch.device("cuda"), precision)
    requests = _windows(talk, 64)
    expected = [_normalise(_text(runner.run(request))) for request in requests]
    found = [_normalise(_text(answer)) for answer in gpu.run_batch(requests)]
    allowed = 0.002 if precision is Precision.FLOAT32 else 0.02
    assert jiwer.wer(expected, found) <= allowed


def test_auto_takes_the_gpu_and_half_precision(talk: Talk) -> None:
    gpu = Runner.load(find_checkpoint(str(CHECKPOINT), deadline_s=0))
    assert gpu.device.type == "cuda" and gpu.precision is not Precision.FLOAT32
    assert not torch.backends.cuda.cudnn_sdp_enabled()
    gpu.warm_up()
    (answer,) = gpu.run_batch([Request("s", 0, Kind.FINAL, 0, talk.pcm)])
    assert jiwer.wer(_normalise(talk.text), _normalise(_text(answer))) <= 0.0275


@pytest.mark.parametrize("options", [{"beam_size": 5}, {"timestamps": True}])
def test_all_ways_of_decoding_run_there(
    runner: Runner, model: Whisper, talk: Talk, options: dict[str, object]
) -> None:
    request = Request("s", 0, Kind.FINAL, 0, talk.pcm[: 12 * RATE], **options)  # type: ignore[arg-type]
    gpu = Runner(model, torch.device("cuda"))
    assert _text(gpu.run(request)) == _text(runner.run(request))


def test_batches_grow_and_shrink(runner: Runner, model: Whisper, talk: Talk) -> None:
    gpu = Runner(model, torch.device("cuda"))
    requests = _windows(talk, 5)
    for count in (1, 3, 2, 5, 1, 3):
        found = [_text(answer) for answer in gpu.run_batch(requests[:count])]
        assert found == [_text(runner.run(request)) for request in requests[:count]]


def test_the_engine_answers_under_gevent() -> None:
    # In a process of its own, because monkey-patching cannot be undone.
    script = f"""
from gevent import monkey; monkey.patch_all()
import gevent, numpy as np
from gevent.event import AsyncResult
from whisper_service.engine.bridge import EngineBridge
from whisper_service.engine.request import Kind, Request
from whisper_service.engine.runner import Runner
from whisper_service.files import read
from whisper_service.model.checkpoints.find import find_checkpoint
from pathlib import Path

def load():
    return Runner.load(find_checkpoint({str(CHECKPOINT)!r}, deadline_s=0), device="cuda")

engine = EngineBridge(load)
engine.start()
engine.wait(60)  # without a timer the loop would have nothing to wait for
answer = AsyncResult()
pcm = read(Path("static/samples/talk-00.flac"))
engine.submit(Request("s", 0, Kind.FINAL, 0, pcm), answer.set)
print(len(answer.get(timeout=60).words))
engine.stop(10)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert int(result.stdout) > 40, result.stderr


def test_a_stream_keeps_its_frames_on_the_gpu(model: Whisper, talk: Talk) -> None:
    gpu = Runner(model, torch.device("cuda"))
    for seconds in (4.0, 4.5, 5.0):
        grown = Request("s", 0, Kind.COMMIT, 0, talk.pcm[: round(seconds * RATE)])
        anew = Request("other", 0, Kind.COMMIT, 0, grown.pcm)
        assert _text(gpu.run(grown)) == _text(gpu.run(anew))
        gpu.forget("other")
