"""Streams sent by the product's own client, which goes on after a broken connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whisper_service.client import LiveClient, StreamFailed

RATE = 16_000
SLICE = RATE // 5

Message = dict[str, Any]


def stream(
    client: LiveClient,
    pcm: NDArray[np.int16],
    *,
    speed: float,
    at: Mapping[int, Callable[[], object]] | None = None,
) -> list[Message]:
    """Send ``pcm`` and stop; return all messages. Blocks.

    :param speed: how much faster than real time the audio is sent.
    :param at: what to do before the slice that holds a sample.
    :raises StreamFailed: if the stream fails.
    """
    actions = at or {}

    def send() -> None:
        began = time.monotonic()
        for start in range(0, pcm.shape[0], SLICE):
            time.sleep(max(0.0, began + start / RATE / speed - time.monotonic()))
            for sample in sorted(sample for sample in actions if start <= sample < start + SLICE):
                actions[sample]()
            client.send(pcm[start : start + SLICE].tobytes())
        client.stop()

    def send_all() -> None:
        with suppress(StreamFailed):  # the iteration below raises it too
            send()

    with client:
        sender = threading.Thread(target=send_all)
        sender.start()
        try:
            return list(client)
        finally:
            sender.join(60)
