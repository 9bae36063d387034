"""Lets libFuzzer choose the bytes of conversations, by the branches that they reach in the server.

``python -m tests.fuzz.target --messages N FOLDER [options of libFuzzer]`` stops after N messages; 0: never.
An input that reaches something new is kept in the folder. One that makes the server do wrong ends it all.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402
import os
import sys
import time

import atheris

with atheris.instrument_imports(include=["whisper_service.protocol", "whisper_service.audio"]):
    from tests.fuzz.connection import converse

from tests.servers import resident_bytes

#: How often the progress is told, in messages.
_TOLD_EVERY = 50_000


class _Target:
    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._began = time.monotonic()
        self._sent = self._told = 0

    def __call__(self, data: bytes) -> None:
        self._sent += converse(data)
        if not self._wanted:
            return
        if self._sent >= self._told + _TOLD_EVERY or self._sent >= self._wanted:
            self._told = self._sent
            seconds, resident = time.monotonic() - self._began, resident_bytes(os.getpid())
            print(f"messages {self._sent}, {seconds:.0f} s, {resident / 1e6:.0f} MB", flush=True)
        if self._sent >= self._wanted:
            os._exit(0)  # libFuzzer knows no end by messages; it has written all that it keeps


def main() -> None:
    wanted = int(sys.argv[2])
    # To merge corpora, libFuzzer runs its first argument again, in a shell.
    command = f"{sys.executable} -m {__spec__.name} --messages {wanted}"
    atheris.Setup([command, *sys.argv[3:]], _Target(wanted))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
