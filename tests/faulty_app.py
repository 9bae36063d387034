"""The app with an engine or a detector that fails as soon as a file says so, for a subprocess.

``python -m tests.faulty_app``. The name of the file is in FAULT, and its contents say what fails.
REQUEST_TIMEOUT_S is the time in which the head of a request must arrive.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402
import os
import re
import time
from pathlib import Path
from typing import Any

from app import app
from whisper_service import server
from whisper_service.engine import bridge
from whisper_service.engine.request import Hypothesis, Request
from whisper_service.engine.runner import Runner
from whisper_service.model.speech.detector import SpeechDetector

_FAULT = Path(os.environ["FAULT"])
_run, _probabilities = Runner.run_batch, SpeechDetector.probabilities


def _said() -> str:
    return _FAULT.read_text() if _FAULT.exists() else ""


def _nothing(request: Request) -> Hypothesis:
    return Hypothesis(request.stream, request.number, (), "en", 1.0, 0.0, "en", 1.0)


def run_batch(self: Runner, requests: Any) -> Any:
    if _said() == "the thread ends":
        raise SystemExit
    if found := re.fullmatch(r"each request takes (\S+) s", _said()):
        time.sleep(float(found[1]) * len(requests))
        return [_nothing(request) for request in requests]
    if _said() == "each request raises":
        raise RuntimeError("CUDA error: device-side assert triggered")
    return _run(self, requests)


def probabilities(self: SpeechDetector, batch: Any) -> Any:
    if _said() == "the detector raises":
        raise RuntimeError("no")
    return _probabilities(self, batch)


Runner.run_batch, SpeechDetector.probabilities = run_batch, probabilities  # type: ignore[method-assign]

bridge._SHORTEST_PAUSE_S, bridge._MOST_RESTARTS = 0.1, 3
server._REQUEST_TIMEOUT_S = float(os.environ.get("REQUEST_TIMEOUT_S", server._REQUEST_TIMEOUT_S))

if __name__ == "__main__":
    server.serve(app)
