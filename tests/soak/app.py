"""The app, with a route that says what is open in its process: ``python -m tests.soak.app``."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402
import gc
import os
import threading
from collections import Counter
from pathlib import Path

from flask import Response, jsonify
from greenlet import greenlet

from app import app
from whisper_service import server


@app.get("/open")
def what_is_open() -> Response:
    """Return the resident bytes, and how many greenlets, threads and descriptors of each kind are open."""
    gc.collect()
    greenlets = (thing for thing in gc.get_objects() if isinstance(thing, greenlet) and not thing.dead)
    return jsonify(
        greenlets=Counter(type(one).__name__ for one in greenlets),
        threads=Counter(thread.name.rstrip("0123456789") for thread in threading.enumerate()),
        descriptors=Counter(_kind(descriptor) for descriptor in os.listdir("/proc/self/fd")),
    )


def _kind(descriptor: str) -> str:
    """Return the kind of a descriptor, or the name of its file without the folder."""
    try:
        return Path(os.readlink(f"/proc/self/fd/{descriptor}").split(":")[0]).name
    except FileNotFoundError:  # the descriptor of the listing itself
        return "listing"


if __name__ == "__main__":
    server.serve(app)
