"""Talks with known words, and a client that streams them, in the test's process, which is not patched."""

from __future__ import annotations

import json
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import jiwer
import numpy as np
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from whisper.normalizers import EnglishTextNormalizer

from benchmarks.slices import wav_slices
from whisper_service.audio.decode import decode
from whisper_service.audio.pcm import Recording

DATA = Path(__file__).resolve().parent / "data"
SAMPLE = Path(__file__).resolve().parent.parent / "static" / "samples" / "talk-00.flac"
RATE = 16_000
SLICE_MS = 500
#: Seconds after which a test no longer waits for the server; long, because the machine may be busy.
DEADLINE_S = 120.0

#: Limits of the word error rate. A full talk has 5 %. A short one may have a single wrong word in nine.
MAX_ERROR_RATE, MAX_ERROR_RATE_SHORT = 0.12, 0.25

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Talk:
    """Speech and what is said in it.

    :param samples: mono float32 at 16 kHz, shape ``(n,)``.
    :param words: each word with its start and end in seconds.
    """

    samples: NDArray[np.float32]
    words: tuple[tuple[str, float, float], ...]

    @property
    def text(self) -> str:
        return " ".join(word for word, _, _ in self.words)

    def until(self, seconds: float) -> Talk:
        """Return the talk up to ``seconds``, with the words that have ended by then."""
        words = tuple(word for word in self.words if word[2] <= seconds)
        return Talk(self.samples[: round(seconds * RATE)], words)

    def wavs(self, *, start_s: float = 0.0) -> list[bytes]:
        """Return the talk from ``start_s`` on as complete WAV files of 500 ms each."""
        return list(wav_slices(Recording(self.samples[round(start_s * RATE) :], RATE), slice_ms=SLICE_MS))

    def raw(self, dtype: str = "<i2") -> list[bytes]:
        """Return the talk as raw samples, ``<i2`` or ``<f4``, in slices of 500 ms."""
        samples = self.samples * (32_767 if dtype == "<i2" else 1)
        size = RATE * SLICE_MS // 1000
        return [samples[at : at + size].astype(dtype).tobytes() for at in range(0, samples.shape[0], size)]


@cache
def talk(name: str) -> Talk:
    """Return ``talk-00`` (the page's sample) or ``talk-04``."""
    path = SAMPLE if name == SAMPLE.stem else DATA / f"{name}.flac"
    pcm = decode(path.read_bytes())
    assert pcm.rate == RATE
    words = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))["words"]
    return Talk(pcm.samples, tuple((word["word"], word["start"], word["end"]) for word in words))


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Return the word error rate after Whisper's own normalisation of spelling and punctuation."""
    normalise = _normaliser()
    rate: float = jiwer.wer(normalise(reference), normalise(hypothesis))
    return rate


def letter_error_rate(reference: str, hypothesis: str) -> float:
    """Return the character error rate, which also suits languages without spaces."""
    rate: float = jiwer.cer(reference, hypothesis)
    return rate


@cache
def _normaliser() -> Callable[[str], str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it does not close the file of its spellings
        normaliser: Callable[[str], str] = EnglishTextNormalizer()
    return normaliser


class Heard(NamedTuple):
    """Everything that a server sent on a stream, from its first frame to its close frame."""

    frames: list[str]
    code: int | None
    reason: str

    @property
    def messages(self) -> list[Message]:
        return [json.loads(frame) for frame in self.frames]

    def of(self, kind: str) -> list[Message]:
        """Return the messages of one type."""
        return [message for message in self.messages if message["type"] == kind]

    @property
    def done(self) -> Message:
        """The only ``done`` message, which must also be the last message."""
        assert [message["type"] for message in self.messages].index("done") == len(self.frames) - 1
        return self.messages[-1]

    @property
    def transcript(self) -> str:
        return "".join(final["text"] for final in self.of("final"))


class Client:
    """The client's side of a stream. It reads all the time, in a thread of its own.

    :param url: the URL of the WebSocket, with its query.
    """

    def __init__(self, url: str) -> None:
        self._open = ExitStack()
        self._connection = self._open.enter_context(connect(url, compression=None, max_size=None, proxy=None))
        self._frames: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        self._reader.join(DEADLINE_S)

    def send(self, frames: Iterable[str | bytes]) -> None:
        """Send the frames as fast as the server reads them, until it closes the connection."""
        with suppress(ConnectionClosed):
            for frame in frames:
                self._connection.send(frame)

    def control(self, kind: str, **settings: Any) -> None:
        """Send a control message."""
        self.send([json.dumps({"type": kind, **settings})])

    def arrived(self) -> None:
        """Wait until the server has read all frames so far. It answers a ping only after them."""
        assert self._connection.ping().wait(DEADLINE_S), "no pong"

    def wait_for(self, kind: str, condition: Callable[[Message], bool] = lambda message: True) -> Message:
        """Return the first message of type ``kind`` that meets ``condition``. Blocks until it has arrived."""
        seen = 0
        deadline = time.monotonic() + DEADLINE_S
        with self._news:
            while True:
                for frame in self._frames[seen:]:
                    message: Message = json.loads(frame)
                    if message["type"] == kind and condition(message):
                        return message
                seen = len(self._frames)
                assert not self._ended, f"the stream ended without {kind!r}: {self._frames[-3:]}"
                assert self._news.wait(deadline - time.monotonic()), f"no {kind!r}: {self._frames[-3:]}"

    def wait_for_any(self) -> Message:
        """Return the first message. Blocks until it has arrived."""
        with self._news:
            assert self._news.wait_for(lambda: self._frames, DEADLINE_S)
            message: Message = json.loads(self._frames[0])
            return message

    def heard(self) -> Heard:
        """Return everything that the server has sent. Blocks until it has closed the connection."""
        self._reader.join(DEADLINE_S)
        assert not self._reader.is_alive(), f"the server does not close: {self._frames[-3:]}"
        return Heard(self._frames, self._connection.close_code, self._connection.close_reason or "")

    def check(self) -> None:
        """Fail if the server has sent an error, or closed the stream."""
        with self._news:
            errors = [frame for frame in self._frames if json.loads(frame)["type"] == "error"]
            assert not errors, errors
            assert not self._ended

    def vanish(self) -> None:
        """Break the connection without a close frame."""
        self._connection.socket.close()

    def _read(self) -> None:
        with suppress(ConnectionClosed):
            for frame in self._connection:
                assert isinstance(frame, str)
                with self._news:
                    self._frames.append(frame)
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


def stream_talk(url: str, frames: Iterable[str | bytes]) -> Heard:
    """Send ``frames`` and ``stop``; return everything that the server sends until it closes. Blocks."""
    with Client(url) as client:
        client.send(frames)
        client.control("stop")
        return client.heard()


def assert_whole(heard: Heard, *, samples: int) -> None:
    """Assert that a stream that its client has stopped is complete, and accounts for every sample."""
    assert heard.code == 1000
    assert [final["id"] for final in heard.of("final")] == list(range(len(heard.of("final"))))
    assert heard.transcript == heard.done["full_transcript"]
    account = [heard.done[f"{kind}_samples"] for kind in ("received", "speech", "silent", "lost")]
    assert account[0] == sum(account[1:]) == samples


def sentences(*, until_s: float = 3.3) -> Talk:
    """Return the first sentences of talk-00: one until 3.3 s, two until 7.2 s. Both times are in pauses."""
    return talk("talk-00").until(until_s)
