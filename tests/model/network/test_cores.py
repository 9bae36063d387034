"""A thread uses the cores that it asked for. New threads use all cores after a call of ``use_all``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from whisper_service.model.network import cores


def test_one_thread_takes_one_core_and_the_others_all() -> None:
    mine = torch.get_num_threads()

    def after(take: Callable[[], None]) -> int:
        take()
        return torch.get_num_threads()

    with ThreadPoolExecutor(1) as detector, ThreadPoolExecutor(1) as engine:
        assert detector.submit(after, cores.use_one).result() == 1
        assert engine.submit(after, cores.use_all).result() == mine
        assert detector.submit(torch.get_num_threads).result() == 1
        assert torch.get_num_threads() == mine
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == mine
