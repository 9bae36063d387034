"""Sends the corpus once more, with the native threads of the decoders under the eyes of ``coverage``."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402
import sys
import threading
import zipfile
from collections.abc import Callable
from typing import Any

from tests.fuzz.connection import converse
from tests.fuzz.conversations import CORPUS
from whisper_service import native

_start_new_thread = native._start_new_thread


def _start_traced(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    def run() -> None:
        sys.settrace(threading.gettrace())
        function(*args)

    _start_new_thread(run, ())


if __name__ == "__main__":
    native._start_new_thread = _start_traced
    with zipfile.ZipFile(CORPUS) as corpus:
        for name in corpus.namelist():
            converse(corpus.read(name))
