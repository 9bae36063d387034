"""A second stream, which runs during a test. Nothing that the test does to the server may affect it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.servers import Server
from tests.talks import (
    DEADLINE_S,
    MAX_ERROR_RATE_SHORT,
    Client,
    assert_whole,
    sentences,
    word_error_rate,
)

#: Seconds between two slices, as from a microphone.
_INTERVAL_S = 0.5


@contextmanager
def witness(server: Server) -> Iterator[Callable[[], None]]:
    """Stream a talk again and again while the body runs; fail if audio or words are missing.

    Yield a check that fails if the stream has got an error so far, or has ended.
    """
    spoken = sentences()
    over = threading.Event()
    rounds = 0

    def stream(client: Client) -> None:
        nonlocal rounds
        while not over.is_set():
            for wav in spoken.wavs():
                client.send([wav])
                over.wait(_INTERVAL_S)
            rounds += 1

    with Client(server.ws("/transcribe")) as client:
        client.wait_for("ready")
        thread = threading.Thread(target=stream, args=(client,))
        thread.start()
        try:
            yield client.check
        finally:
            over.set()
            thread.join(DEADLINE_S)
        client.control("stop")
        heard = client.heard()

    assert not heard.of("error")
    assert_whole(heard, samples=rounds * spoken.samples.shape[0])
    assert heard.done["lost_samples"] == 0
    text = " ".join([spoken.text] * rounds)
    assert word_error_rate(text, heard.transcript) <= MAX_ERROR_RATE_SHORT, heard.transcript
