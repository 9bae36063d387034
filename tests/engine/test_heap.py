"""Free memory goes back to the system, but not after every batch."""

from __future__ import annotations

import ctypes
import os

import pytest

from tests.servers import resident_bytes
from whisper_service.engine.memory import Trimmer


def test_memory_is_given_back_every_half_minute() -> None:
    calls: list[float] = []
    now = 0.0
    trim = Trimmer(lambda: calls.append(now))
    for now in (100.0, 100.1, 129.9, 130.0, 140.0, 160.5):
        trim(now)
    assert calls == [100.0, 130.0, 160.5]


def test_the_system_gets_what_is_free() -> None:
    """Blocks below the threshold of mmap lie in the heap, and one that is in use holds all below it."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [libc.malloc(100_000) for _ in range(1_000)]
    for block in blocks:
        ctypes.memset(block, 1, 100_000)
    for block in blocks[:-1]:
        libc.free(block)
    before = resident_bytes(os.getpid())
    Trimmer()(0.0)
    assert resident_bytes(os.getpid()) < before - 50_000_000
    libc.free(blocks[-1])


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    Trimmer()(0.0)
