"""Conversations of a client with the server: valid ones, and then mutated at every level.

A conversation is a function of bytes. Without bytes it is the simplest valid one: a WAV, then ``stop``.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.choices import Choices
from tests.fuzz.recordings import recordings, samples, wav

#: The bytes of conversations, each of which reaches something in the server that the others do not.
CORPUS = Path(__file__).with_name("corpus.zip")
#: Stands for the last token that the server has sent, until the message is sent.
TOKEN = "$TOKEN"

_TEXT, _BINARY, _CONTINUED, _CLOSE, _PING, _PONG = 1, 2, 0, 8, 9, 10
_MOST_STEPS = 40
_STOP = json.dumps({"type": "stop"})
#: Pieces of 20 ms to 250 ms of 16-bit samples, and one that is odd.
_SIZES = [8_000, 640, 1_600, 3_200, 333]
_QUERIES: list[dict[str, str]] = [
    {},
    {"resumable": "1"},
    {"words": "1", "resumable": "1", "keywords": "word,two words"},
    {"format": "s16le"},
    {"format": "f32le", "rate": "44100", "channels": "2"},
    {"format": "mulaw"},
    {"format": "alaw", "rate": "16000", "channels": "2"},
    {"full_transcript": "1", "min_silence_ms": "100", "language": "en"},
    {"interim": "0", "policy": "local_agreement", "prompt": "names"},
    {"reply": "text"},
    {"language": "xx"},
    {"vad_threshold": "nan"},
]
_SETTINGS: dict[str, object] = {
    "language": "en",
    "words": True,
    "interim": False,
    "full_transcript": True,
    "keywords": ["word", "two words"],
    "vad_threshold": 0.3,
    "min_silence_ms": 200,
    "prompt": "names",
    "policy": "local_agreement",
    "format": "s16le",
    "rate": 8_000,
    "channels": 2,
    "resumable": True,
    "task": "translate",
    "reply": "text",
    "dance": 1,
}
_ODD_VALUES: list[object] = [
    None, True, 0, -1, 0.5, 2**53, 2**70, 1e308, float("nan"),
    "", "0", "en", "x" * 200, "9" * 5000, "\ud800", "\x00", [], [[]], [None, 1], {}, {"type": "stop"},
]  # fmt: skip
_ODD_TEXTS = [
    "",
    " ",
    "{",
    "{}",
    "[]",
    "null",
    "stop",
    "eof",
    "data:audio/wav;base64,",
    "=",
    "A",
    "\u2028",
    "é",
]
_ODD_BYTES = [b"", b"\0", b"\xff" * 4, b"\x80\0\0\0", b"\x7f\xff\xff\xff", b"RIFF", b"fLaC", b"OggS", b"ftyp"]
#: Base64 as clients write it: in lines, for addresses, without padding, or with the type in front.
_SPELLINGS: list[Callable[[str], str]] = [
    str,
    "data:audio/wav;base64,".__add__,
    lambda text: "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
    lambda text: text.replace("+", "-").replace("/", "_"),
    lambda text: text.rstrip("="),
    lambda text: "data:audio/webm;codecs=opus;base64," + text + "\n",
]
_CLOSE_CODES = [1000, 1001, 1005, 1006, 2999, 4999, 0, 65535]

Message = str | bytes


@dataclass
class Connection:
    """What a client sends over one connection.

    :param query: the parameters of the address.
    :param messages: how many messages there are.
    :param frames: the WebSocket frames. ``TOKEN`` stands for a token of the connection before.
    :param stops: whether the server has to end the stream by itself.
    :param hurries: whether the client does not wait for the last answers.
    :param close: the client's close frame; b"" if it just leaves.
    """

    query: dict[str, str]
    messages: int
    frames: list[bytes]
    stops: bool
    hurries: bool
    close: bytes


def conversation(data: bytes) -> Iterator[Connection]:
    """Yield the connections of one client after each other: up to three."""
    choices = Choices(data)
    query = choices.one_of(_QUERIES)
    for number in range(3):
        if choices.chance(0.2):
            query = choices.one_of(_QUERIES)
        messages = list(_mutated_order(choices, list(_messages(choices, resumes=number > 0))))
        frames = list(_frames(choices, messages))
        broken = choices.chance(0.05)
        if broken:
            frames.insert(choices.below(len(frames) + 1), _broken_frame(choices))
        yield Connection(
            dict(query),
            messages=len(messages),
            frames=frames,
            stops=_STOP in messages and not broken,
            hurries=choices.chance(0.1),
            close=b"" if choices.chance(0.2) else _closing(choices),
        )
        if not choices.chance(0.3):
            return


def _messages(choices: Choices, *, resumes: bool) -> Iterator[Message]:
    """Yield the messages of a stream."""
    if resumes:
        yield _control(
            choices, {"type": "resume", "token": TOKEN} | choices.one_of([{}, {"from": 0}, {"from": 900}])
        )
    if choices.chance(0.3):
        yield _control(choices, {"type": "start"} | dict([choices.one_of(list(_SETTINGS.items()))]))
    yield from _audio(choices)
    for _ in range(_MOST_STEPS):
        if not choices.chance(0.8):
            break
        if choices.chance(0.6):
            yield from _audio(choices)
        else:
            yield choices.one_of([_command(choices), choices.one_of(_ODD_TEXTS), choices.one_of(_ODD_BYTES)])
    if not choices.chance(0.1):
        yield _STOP


def _command(choices: Choices) -> str:
    kind = choices.one_of(["flush", "mark", "keepalive", "stop", "start", "resume", "auth", "dance"])
    extra: dict[str, object] = {"id": choices.one_of(["a", 7])} if kind == "mark" else {}
    if kind in ("resume", "auth"):
        extra = {"token": choices.one_of([TOKEN, "x", 5])}
    return _control(choices, {"type": kind} | extra)


def _control(choices: Choices, message: dict[str, object]) -> str:
    """Return the text of a control message; sometimes with odd values, more members, or broken."""
    if choices.chance(0.3):
        message[choices.one_of([*message, *_SETTINGS])] = choices.one_of(_ODD_VALUES)
    text = json.dumps(message)
    return _mutated(choices, text.encode()).decode(errors="replace") if choices.chance(0.15) else text


def _audio(choices: Choices) -> Iterator[Message]:
    """Yield the messages of one recording, whole or in pieces."""
    kind = choices.one_of(["slices", "raw", "file", "pieces", "base64"])
    if kind in ("slices", "raw", "base64"):
        size = choices.one_of(_SIZES)
        piece = samples().tobytes()[2 * choices.below(4_000) :][:size]
        data = (
            piece if kind == "raw" else wav(piece, rate=choices.one_of([16_000, 44_100, 8_000, 1, 384_000]))
        )
    else:
        data = choices.one_of(list(recordings().values())) * choices.one_of([1, 1, 1, 1, 1, 1, 1, 20])
    if choices.chance(0.4):
        data = _mutated(choices, data)
    if kind == "base64":
        text = choices.one_of(_SPELLINGS)(base64.b64encode(data).decode())
        yield _mutated(choices, text.encode()).decode(errors="replace") if choices.chance(0.2) else text
    elif kind == "pieces":
        count = 1 + choices.below(6)
        size = -(-len(data) // count) or 1
        yield from (data[start : start + size] for start in range(0, len(data), size))
    else:
        yield data


def _mutated(choices: Choices, data: bytes) -> bytes:
    """Return ``data`` with one to four changes. Most of them are near the beginning, where headers are."""
    changed = bytearray(data)
    for _ in range(1 + choices.below(4)):
        at = choices.below(64) if choices.chance(0.6) else choices.below(len(changed) + 1)
        at = min(at, len(changed))
        match choices.below(7):
            case 0 if at < len(changed):
                changed[at] ^= 1 << choices.below(8)
            case 1:
                new = choices.one_of(_ODD_BYTES)
                changed[at : at + len(new)] = new
            case 2:
                del changed[at : at + 1 + choices.below(200)]
            case 3:
                changed[at:at] = choices.some_bytes(1 + choices.below(8))
            case 4:
                changed[at:at] = changed[at : at + 1 + choices.below(300)]
            case 5:
                del changed[at:]
            case 6:
                other = choices.one_of(list(recordings().values()))
                changed[at : at + 100] = other[: 1 + choices.below(200)]
    return bytes(changed)


def _mutated_order(choices: Choices, messages: list[Message]) -> Iterator[Message]:
    """Yield the messages; some are left out, doubled, or changed places."""
    for index, message in enumerate(messages):
        if not choices.chance(0.05):
            yield message
            continue
        match choices.below(3):
            case 0:
                yield from (message, message)
            case 1:
                yield choices.one_of(messages)
            case _ if index:
                yield from (message, messages[index - 1])


def _frames(choices: Choices, messages: list[Message]) -> Iterator[bytes]:
    """Yield the frames of the messages. Some messages are in fragments."""
    for message in messages:
        payload = message.encode(errors="replace") if isinstance(message, str) else message
        opcode = _TEXT if isinstance(message, str) else _BINARY
        if choices.chance(0.1):
            middle = choices.below(len(payload) + 1)
            yield framed(payload[:middle], opcode, fin=False)
            if choices.chance(0.5):
                yield framed(b"ping", choices.one_of([_PING, _PONG]))
            yield framed(payload[middle:], _CONTINUED)
        else:
            yield framed(payload, opcode)


def _closing(choices: Choices) -> bytes:
    return framed(struct.pack("!H", choices.one_of(_CLOSE_CODES)), _CLOSE)


def _broken_frame(choices: Choices) -> bytes:
    """Return a frame that breaks RFC 6455, or that makes the next ones break it."""
    payload, opcode = _STOP.encode(), choices.one_of([_TEXT, _BINARY])
    match choices.below(5):
        case 0:
            return framed(payload, choices.one_of([3, 11, 15]))
        case 1:
            return framed(payload, opcode, masked=False)
        case 2:
            return framed(b"x" * 200, _PING)
        case 3:
            return framed(payload, _CONTINUED)
        case _:
            return _mutated(choices, framed(payload, opcode))


def framed(payload: bytes, opcode: int, *, fin: bool = True, masked: bool = True) -> bytes:
    """Return a client's frame (RFC 6455, section 5.2). The mask is zero: the payload stays readable."""
    length, mask = len(payload), 0x80 if masked else 0
    if length < 126:
        head = struct.pack("!BB", opcode | (0x80 if fin else 0), mask | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", opcode | (0x80 if fin else 0), mask | 126, length)
    else:
        head = struct.pack("!BBQ", opcode | (0x80 if fin else 0), mask | 127, length)
    return head + (bytes(4) if masked else b"") + payload
