"""The service with a greenlet that ticks every 10 ms and records how late it is. For bench_heartbeat."""

from gevent import monkey

monkey.patch_all()

import time  # noqa: E402

import gevent  # noqa: E402
from flask import Flask, Response, jsonify  # noqa: E402

from whisper_service.extension import Transcriber  # noqa: E402
from whisper_service.server import serve  # noqa: E402

_TICK_S = 0.01
_late_ms: list[float] = []


def _beat() -> None:
    while True:
        begin = time.perf_counter()
        gevent.sleep(_TICK_S)
        _late_ms.append((time.perf_counter() - begin - _TICK_S) * 1000)


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
