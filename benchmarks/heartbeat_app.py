"""The service with a greenlet that ticks every 10 ms and records how late it is. For bench_heartbeat.

With FAKE_ENGINE=1 the model is not asked: every second of a window has two words at once.
"""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import time  # noqa: E402
from collections.abc import Sequence  # noqa: E402

import gevent  # noqa: E402
from flask import Flask, Response, jsonify  # noqa: E402

from whisper_service.engine.request import Hypothesis, Request, Word  # noqa: E402
from whisper_service.engine.runner import Runner  # noqa: E402
from whisper_service.extension import Transcriber  # noqa: E402
from whisper_service.server import serve  # noqa: E402

_TICK_S = 0.01
_WORD_SAMPLES = 8_000
_late_ms: list[float] = []


def _beat() -> None:
    while True:
        begin = time.perf_counter()
        gevent.sleep(_TICK_S)
        _late_ms.append((time.perf_counter() - begin - _TICK_S) * 1000)


def _answer(request: Request) -> Hypothesis:
    first = -(-request.start // _WORD_SAMPLES)
    last = (request.start + request.pcm.shape[0]) // _WORD_SAMPLES
    words = [
        Word(f" w{number}", at := number * _WORD_SAMPLES, at + 4_000, at + 4_000, 1.0, (number,))
        for number in range(first, last)
    ]
    return Hypothesis(
        stream=request.stream,
        number=request.number,
        words=tuple(words[len(request.prefix) :]),
        language="en",
        no_speech_probability=0.0,
        average_logprob=-0.1,
        detected="en",
        language_probability=1.0,
    )


def _run_batch(self: Runner, requests: Sequence[Request]) -> list[Hypothesis]:
    return [_answer(request) for request in requests]


if os.environ.get("FAKE_ENGINE") == "1":
    Runner.run_batch = _run_batch  # type: ignore[method-assign]

app = Flask(__name__, static_folder=None)
Transcriber(app)


@app.get("/late")
def late() -> Response:
    """Return the lateness of each tick since the last call, in ms."""
    taken = _late_ms.copy()
    _late_ms.clear()
    return jsonify(taken)


if __name__ == "__main__":
    gevent.spawn(_beat)
    serve(app)
