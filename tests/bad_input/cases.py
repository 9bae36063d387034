"""What the tests of bad input share: a talk with something odd in it, and what must be left of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.servers import ROOT, Server, resident_bytes
from tests.talks import (
    MAX_ERROR_RATE_SHORT,
    Heard,
    Message,
    Talk,
    assert_whole,
    sentences,
    stream_talk,
    word_error_rate,
)
from tests.watch import watched

#: Small, so that a message over the limit is quick to send, and a bomb quick to decode.
MAX_MESSAGE_BYTES = 1_000_000
MAX_AUDIO_S = 150
SEND_TIMEOUT_S = 2.0
#: What a message over a limit, a bomb or a client that does not read may cost.
MAX_GROWTH_BYTES = 100_000_000
#: None of the server's inside is for clients.
_INSIDE = ["Traceback", "Error(", ".py", str(ROOT), "/tmp", "/home", "0x7f"]

Frame = str | bytes


def refused(server: Server, cases: Sequence[tuple[Frame, str]], *, path: str = "/transcribe") -> None:
    """Check that each frame in the middle of a talk is answered by an error, and costs nothing else."""
    spoken = sentences()
    slices = spoken.wavs()
    frames: list[Frame] = []
    codes: list[str] = []
    for number, slice_ in enumerate(slices):
        frames.append(slice_)
        for frame, code in cases[number :: len(slices)]:
            frames.append(frame)
            codes.append(code)

    heard = stream_talk(server.ws(path), frames)

    assert [error["code"] for error in heard.of("error")] == codes
    for error, code in zip(heard.of("error"), codes, strict=True):
        assert_helps(error, code)
    assert_whole(heard, samples=spoken.samples.shape[0])
    assert heard.done["lost_samples"] == 0
    assert_right(spoken, heard)


def accepted(server: Server, frames: Sequence[Frame], *, samples: int, path: str = "/transcribe") -> Heard:
    """Check that ``frames`` behind a talk are taken without an error, as so many samples at 16 kHz."""
    spoken = sentences()

    heard = stream_talk(server.ws(path), [*spoken.wavs(), *frames])

    assert not heard.of("error")
    assert_whole(heard, samples=spoken.samples.shape[0] + samples)
    assert heard.done["lost_samples"] == 0
    assert_right(spoken, heard)
    return heard


def assert_helps(error: Message, code: str, *, fatal: bool = False) -> None:
    """Check that ``error`` tells a person what was wrong, and nothing of the server's inside."""
    assert (error["type"], error["code"], error["fatal"]) == ("error", code, fatal), error
    assert len(error["message"].split()) >= 4, error
    assert not [part for part in _INSIDE if part in error["message"]], error
    assert len(error["message"]) < 500, error


def assert_right(spoken: Talk, heard: Heard) -> None:
    """Check the words, one or two wrong ones aside."""
    assert word_error_rate(spoken.text, heard.transcript) <= MAX_ERROR_RATE_SHORT, heard.transcript


@contextmanager
def bounded_memory(server: Server) -> Iterator[None]:
    """Fail if the server grows by more than ``MAX_GROWTH_BYTES`` at any moment of the body."""
    before = peak = resident_bytes(server.process.pid)

    def look() -> None:
        nonlocal peak
        peak = max(peak, resident_bytes(server.process.pid))

    with watched(look):
        yield
    assert peak - before < MAX_GROWTH_BYTES
