"""Visits to a server: good clients, and clients that stall, vanish, flood and come back."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import jiwer
import numpy as np
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.faults.proxy import proxy
from tests.faults.runs import finals
from tests.live_streams import SLICE, Message, stream
from tests.servers import Server
from tests.talks import RATE, talk
from whisper_service.client import LiveClient, StreamFailed

Pcm = NDArray[np.int16]

#: The fastest client sends so much faster than real time.
_FLOOD_SPEED = 40.0
#: The longest time in which a client that stalls neither sends nor reads, in seconds.
_LONGEST_STALL_S = 15.0
_MOST_CUTS = 3
#: Of the 80 to 160 words of a visit, so many may be others than those of the undisturbed stream.
_MOST_OTHER_WORDS = 2


@dataclass(frozen=True, slots=True)
class Speech:
    """What a client says, and the messages of an undisturbed stream of it.

    :param pcm: int16 at 16 kHz, ``(n_samples,)``.
    """

    pcm: Pcm
    whole: list[Message]


class Place:
    """The server that is visited, and what is said to it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.ws("/transcribe")
        first, second = (_pcm(talk(name).samples) for name in ("talk-00", "talk-04"))
        self.speeches = [
            Speech(pcm, stream(LiveClient(self.url), pcm, speed=8.0))
            for pcm in (first, second, np.concatenate([second, first]))
        ]

    def say(self, dice: random.Random) -> Speech:
        """Return something to say."""
        return dice.choice(self.speeches)


def _difference(messages: list[Message], whole: list[Message]) -> str:
    """Return in which way the text differs from that of the undisturbed stream, or "".

    Windows of several streams are computed together, which changes the last bits of all numbers. So a word
    may become final half a second sooner or later, and where two words are as probable, the model may write
    the other one. But no word may be lost.
    """
    found, expected = finals(messages), finals(whole)
    if [number for number, *_ in found] != list(range(len(found))):
        return "a final is missing, or comes twice"
    counts = jiwer.process_words(_text(expected), _text(found))
    if counts.deletions + counts.insertions + counts.substitutions > _MOST_OTHER_WORDS:
        return f"{_text(found)!r} instead of {_text(expected)!r}"
    if messages[-1]["lost_samples"] or messages[-1]["received_samples"] != whole[-1]["received_samples"]:
        return "another account of the samples"
    return ""


def _text(finals: list[tuple[int, str, float, float]]) -> str:
    return "".join(text for _, text, _, _ in finals)


def _pcm(samples: NDArray[np.float32]) -> Pcm:
    return (samples * 32_767).astype("<i2")


def steady(place: Place, dice: random.Random) -> str:
    """Speak in real time. Return what is wrong with the transcript, or ""."""
    said = place.say(dice)
    return _difference(stream(LiveClient(place.url), said.pcm, speed=1.0), said.whole)


def stalls(place: Place, dice: random.Random) -> str:
    """Speak, but stand still at two moments. Return what is wrong with the transcript, or ""."""
    said = place.say(dice)

    def stand_still() -> None:
        time.sleep(dice.uniform(1.0, _LONGEST_STALL_S))

    moments = {dice.randrange(said.pcm.shape[0]): stand_still for _ in range(2)}
    return _difference(stream(LiveClient(place.url), said.pcm, speed=1.0, at=moments), said.whole)


def does_not_read(place: Place, dice: random.Random) -> str:
    """Speak without reading the answers, and read them at the end. Return what is wrong, or ""."""
    said = place.say(dice)
    query = f"?format=s16le&rate={RATE}&channels=1&words=1"
    with connect(place.url + query, compression=None, ping_interval=None, proxy=None) as socket:
        for start in range(0, said.pcm.shape[0], SLICE):
            socket.send(said.pcm[start : start + SLICE].tobytes())
            time.sleep(SLICE / RATE)
        socket.send('{"type": "stop"}')
        time.sleep(dice.uniform(1.0, _LONGEST_STALL_S))
        return _difference([json.loads(frame) for frame in socket], said.whole)


def reconnects(place: Place, dice: random.Random) -> str:
    """Speak over a bad line, which breaks several times. Return what is wrong with the transcript, or ""."""
    said = place.say(dice)
    with proxy(place.server.port, dice.randrange(1_000)) as line:
        moments = {dice.randrange(said.pcm.shape[0]): line.cut for _ in range(dice.randint(1, _MOST_CUTS))}
        client = LiveClient(f"ws://127.0.0.1:{line.port}/transcribe")
        return _difference(stream(client, said.pcm, speed=1.0, at=moments), said.whole)


def floods(place: Place, dice: random.Random) -> str:
    """Send everything as fast as it is taken. Return what is wrong with the transcript, or ""."""
    said = place.say(dice)
    return _difference(stream(LiveClient(place.url), said.pcm, speed=_FLOOD_SPEED), said.whole)


def vanishes(place: Place, dice: random.Random) -> str:
    """Speak, and go in the middle of a word without a goodbye."""
    said = place.say(dice)
    query = f"?format=s16le&rate={RATE}&channels=1&resumable={dice.randrange(2)}"
    with connect(place.url + query, compression=None, ping_interval=None, proxy=None) as socket:
        for start in range(0, dice.randrange(said.pcm.shape[0]), SLICE):
            socket.send(said.pcm[start : start + SLICE].tobytes())
            time.sleep(SLICE / RATE)
        socket.socket.close()
    return ""


def talks_nonsense(place: Place, dice: random.Random) -> str:
    """Send a hundred messages that mean nothing. Return what is wrong with the answers, or ""."""
    kinds: list[Callable[[], str | bytes]] = [
        lambda: dice.randbytes(dice.randrange(1, 200_000)),
        lambda: "x" * dice.randrange(1, 200_000),
        lambda: json.dumps({"type": dice.choice(["start", "resume", "mark", "flush", "stop?", 7])}),
        lambda: "{" * dice.randrange(1, 10_000),
    ]
    answers: list[Message] = []
    with suppress(ConnectionClosed), connect(place.url, compression=None, proxy=None) as socket:
        for _ in range(100):
            socket.send(dice.choice(kinds)())
            with suppress(TimeoutError):
                answers.append(json.loads(socket.recv(timeout=0.05)))
    strange = {answer["type"] for answer in answers} - {"ready", "ack", "error", "lag", "partial", "final"}
    return f"nonsense is answered with {strange}" if strange else ""


def looks_in(place: Place, dice: random.Random) -> str:
    """Connect and go, twenty times."""
    for _ in range(20):
        with connect(place.url, compression=None, proxy=None) as socket:
            if dice.randrange(2):
                socket.recv()
    return ""


#: The visits and how often they are made, compared with each other.
VISITS: dict[Callable[[Place, random.Random], str], int] = {
    steady: 5,
    stalls: 3,
    does_not_read: 2,
    reconnects: 4,
    floods: 1,
    vanishes: 3,
    talks_nonsense: 1,
    looks_in: 1,
}


def visit(place: Place, kind: Callable[[Place, random.Random], str], dice: random.Random) -> str:
    """Make one visit; return what went wrong, or ""."""
    try:
        return kind(place, dice)
    except (StreamFailed, OSError, ConnectionClosed) as problem:
        return f"{type(problem).__name__}: {problem}"
