"""gunicorn hooks for an app with a Transcriber. A host app's ``gunicorn.conf.py`` needs two lines::

    worker_class = "gevent"
    from whisper_service.gunicorn import child_exit, on_starting, post_worker_init, worker_exit

gunicorn's master process imports this module. The master is not patched by gevent and must not load torch.
So this module imports nothing of the package at its top; the hooks, which run in the worker, do. The app must
be the Flask app itself, not middleware around it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whisper_service.service import Service

#: Interval at which a worker checks whether it has to end, in seconds.
_LOOK_S = 0.1


def post_worker_init(worker: Any) -> None:
    """Load the model in the worker, after the fork. Drain the streams when the worker has to end."""
    import gevent

    from whisper_service.extension import Transcriber

    service = _service(worker)
    names = [sock.getsockname() for sock in worker.sockets]
    Transcriber.warn_if_open([name[0] for name in names if isinstance(name, tuple)], worker.app.callable)
    service.start()

    def drain_at_the_end() -> None:
        while worker.alive:
            gevent.sleep(_LOOK_S)
        service.drain()

    gevent.spawn(drain_at_the_end)


def on_starting(server: Any) -> None:
    """Delete the figures of an earlier run, if several workers share theirs."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for path in Path(folder).glob("*.db"):
            path.unlink()


def child_exit(server: Any, worker: Any) -> None:
    """Take the open streams of a worker that has ended out of the figures."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def worker_exit(server: Any, worker: Any) -> None:
    """Stop the native threads before the interpreter ends."""
    _service(worker).stop()


def _service(worker: Any) -> Service:
    from whisper_service.extension import Transcriber

    return Transcriber.service(worker.app.callable)
