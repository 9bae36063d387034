"""Clients that send too much, read nothing or vanish, and two that want very different things."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from tests.audio.test_decode import chunk, fmt, riff
from tests.bad_input.cases import MAX_MESSAGE_BYTES, accepted, assert_helps, assert_right, bounded_memory
from tests.servers import Server, wait_until
from tests.talks import DEADLINE_S, Client, Heard, assert_whole, sentences, stream_talk, talk

#: More than the kernel's buffers between a server and a client that reads nothing hold.
_UNREAD_BYTES = 6_400_000_000


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(bytes(MAX_MESSAGE_BYTES + 1), id="1 byte too many"),
        pytest.param("A" * (MAX_MESSAGE_BYTES + 1), id="text"),
        pytest.param(bytes(100_000_000), id="100 MB"),
        pytest.param([bytes(50_000)] * 40, id="fragments"),
    ],
)
def test_message_over_the_limit(server: Server, message: str | bytes | list[bytes]) -> None:
    spoken = sentences()

    with Client(server.ws("/transcribe")) as client, bounded_memory(server):
        client.wait_for("ready")
        client.send(spoken.wavs())
        with suppress(ConnectionClosed):
            client._connection.send(message)
        heard = client.heard()

    assert heard.code == 1009
    assert_helps(heard.messages[-1], "too_big", fatal=True)
    assert str(MAX_MESSAGE_BYTES) in heard.messages[-1]["message"]
    assert_right(spoken, heard)  # what came before is final


def test_message_of_the_limit_is_taken(server: Server) -> None:
    samples = (MAX_MESSAGE_BYTES - 44) // 2
    accepted(server, [riff(fmt(), chunk(b"data", bytes(2 * samples)))], samples=samples)


@contextmanager
def raw_client(server: Server, path: str = "/transcribe") -> Iterator[socket.socket]:
    """Give the TCP connection of a WebSocket whose handshake is done, with a small receive buffer."""
    with server.connect(receive_buffer_bytes=4096) as sock:
        sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1)
        assert b" 101 " in answer
        yield sock


def masked(opcode: Opcode, data: bytes) -> bytes:
    return Frame(opcode, data).serialize(mask=True)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(masked(Opcode.TEXT, b"{"), id="each answered by an error"),
        pytest.param(masked(Opcode.PING, bytes(125)), id="each answered by a pong"),
    ],
)
def test_client_that_never_reads(server: Server, frame: bytes) -> None:
    with raw_client(server) as sock, bounded_memory(server):
        sock.settimeout(DEADLINE_S)
        many = frame * 1000
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            for _ in range(_UNREAD_BYTES // len(many)):
                sock.sendall(many)


def test_client_that_vanishes_in_mid_frame(server: Server) -> None:
    frame = masked(Opcode.BINARY, sentences().wavs()[0])
    for end in (1, 2, 5, len(frame) // 2, len(frame) - 1):
        streams = _open_streams(server)
        with raw_client(server) as sock:
            _wait_for_streams(server, streams + 1)
            sock.sendall(frame + frame[:end])
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        _wait_for_streams(server, streams)


def _open_streams(server: Server) -> int:
    return server.log().count(": open") - server.log().count(": closed after")


def _wait_for_streams(server: Server, count: int) -> None:
    assert wait_until(lambda: _open_streams(server) == count, timeout_s=DEADLINE_S), server.log()


def test_streams_with_wildly_different_settings(server: Server) -> None:
    first, second = talk("talk-00").until(7.2), talk("talk-04").until(6.8)
    count = first.samples.shape[0]
    at_48k = np.interp(np.arange(count * 3) / 3, np.arange(count), first.samples)
    stereo = np.repeat(at_48k.astype("<f4"), 2).tobytes()
    size = 48_000 * 8 // 3  # 333 ms
    frames = {
        "/transcribe?format=f32le&rate=48000&channels=2&words=1&interim=0&min_silence_ms=5000"
        "&vad_threshold=0.05&min_speech_ms=0&full_transcript=1&prompt=An+algebra+lesson.": [
            stereo[at : at + size] for at in range(0, len(stereo), size)
        ],
        "/ws/transcribe?language=en&min_silence_ms=100&vad_threshold=0.9&min_speech_ms=300": second.raw(),
    }
    heard: dict[str, Heard] = {}

    def stream(path: str) -> None:
        heard[path] = stream_talk(server.ws(path), frames[path])

    threads = [threading.Thread(target=stream, args=(path,)) for path in frames]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)

    one, other = (heard[path] for path in frames)
    for spoken, heard_of_it in ((first, one), (second, other)):
        assert not heard_of_it.of("error")
        assert_whole(heard_of_it, samples=spoken.samples.shape[0])
        assert_right(spoken, heard_of_it)
    assert not one.of("partial") and other.of("partial")
    assert all("words" in final and "full_transcript" in final for final in one.of("final"))
    assert not any("words" in final or "full_transcript" in final for final in other.of("final"))
