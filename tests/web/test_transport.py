from __future__ import annotations

import json
import socket
import struct
import time
import urllib.error
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from tests.servers import Server, free_port, gunicorn, running, wait_until
from whisper_service.web.handshake import UnsupportedServer, accept

APP = "tests.web.echo_app"
MAX_MESSAGE_BYTES = 2 * 1024 * 1024  # as in the app, which patches and so cannot be imported here
FLOOD_MESSAGES, FLOOD_CHARACTERS = 310, 66_000
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SERVERS = ["pywsgi", "gunicorn", "pywsgi+gevent-websocket", "gunicorn+gevent-websocket"]
OWN_HANDSHAKE = pytest.mark.parametrize("server", SERVERS[:2], indirect=True)
GEVENT_WEBSOCKET = "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port = free_port()
    command = {
        "pywsgi": ["-m", APP, str(port)],
        "gunicorn": gunicorn(f"{APP}:app", port=port, worker="gevent"),
        "pywsgi+gevent-websocket": ["-m", APP, str(port), "gevent-websocket"],
        "gunicorn+gevent-websocket": gunicorn(f"{APP}:app", port=port, worker=GEVENT_WEBSOCKET),
    }[request.param]
    with running(command, port=port, log_path=tmp_path_factory.mktemp("server") / "log") as running_server:
        yield running_server
    log = running_server.log()
    assert log.count("Traceback") == log.count("RuntimeError: on purpose"), log


def open_client(server: Server, path: str, **options: Any) -> ClientConnection:
    client: ClientConnection = connect(server.ws(path), compression=None, max_size=None, **options)
    return client


def open_raw(server: Server, path: str) -> socket.socket:
    """Return a socket after the handshake, with small buffers and no library at this end."""
    sock = server.connect(receive_buffer_bytes=16 * 1024)
    sock.sendall(HANDSHAKE.format(path=path).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    assert b" 101 " in head, head
    return sock


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while chunk := sock.recv(65536):
        data += chunk
    return data


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return Frame(Opcode.CLOSE, struct.pack("!H", code) + reason).serialize(mask=False)


def masked(opcode: Opcode, payload: bytes) -> bytes:
    return Frame(opcode, payload).serialize(mask=True)


def outcome(server: Server, key: str) -> dict[str, Any]:
    """Return what became of a connection, once its handler has ended."""
    result: dict[str, Any] = json.loads(server.get(f"/outcome/{key}"))
    return result


def test_echo_text_and_binary(server: Server) -> None:
    with open_client(server, "/ws/echo") as client:
        client.send("grüß dich 🎙")
        assert client.recv(2) == "grüß dich 🎙"
        client.send(b"\x00\xff\x10\x20" * 100)
        assert client.recv(2) == "400 bytes 00ff1020"
        client.send("")
        assert client.recv(2) == ""


def test_echo_of_fragments_is_one_message(server: Server) -> None:
    with open_client(server, "/ws/echo") as client:
        client.send(["gr", "", "üß", " dich"])
        assert client.recv(2) == "grüß dich"


def test_messages_of_one_read_come_in_order(server: Server) -> None:
    with open_client(server, "/ws/echo") as client:
        client.socket.sendall(b"".join(masked(Opcode.TEXT, str(i).encode()) for i in range(2000)))
        assert [client.recv(2) for _ in range(2000)] == [str(i) for i in range(2000)]


def test_frame_arrives_byte_by_byte(server: Server) -> None:
    with open_raw(server, "/ws/echo") as sock:
        for byte in masked(Opcode.TEXT, b"slow"):
            sock.sendall(bytes([byte]))
        assert sock.recv(100) == b"\x81\x04slow"


def test_megabyte_goes_both_ways(server: Server) -> None:
    with open_client(server, "/ws/big") as client:
        assert client.recv(5) == "x" * 1_000_000
        client.send("z" * 1_000_000)
        assert client.recv(5) == "z" * 1_000_000


def test_stalling_client_gets_an_intact_stream(server: Server) -> None:
    sock = server.connect(receive_buffer_bytes=64 * 1024)
    with open_client(server, "/ws/flood", sock=sock, max_queue=1) as client:
        time.sleep(1.0)  # the stall under test
        received: list[str] = []
        for _ in range(FLOOD_MESSAGES):
            message = client.recv(5)
            assert isinstance(message, str)
            received.append(message)
            client.ping()
    expected = [f"{i:06d}" + chr(ord("a") + i % 26) * FLOOD_CHARACTERS for i in range(FLOOD_MESSAGES)]
    assert sorted(received) == expected
    assert [m for m in received if int(m[:6]) % 2] == expected[1::2]


def test_client_that_never_reads_is_dropped(server: Server) -> None:
    with open_raw(server, "/ws/pour?id=never&send_timeout_s=0.3") as sock:
        result = outcome(server, "never")
        assert result["raised"] == "SendTimeout"
        assert result["seconds"] < 2
        with pytest.raises(ConnectionResetError):
            read_all(sock)


def test_message_over_the_limit_closes_with_1009(server: Server) -> None:
    with open_client(server, "/ws/echo?id=big") as client:
        with pytest.raises(ConnectionClosedError) as closed:
            client.send(b"x" * (MAX_MESSAGE_BYTES + 1))
            client.recv(5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
    assert outcome(server, "big")["raised"] == "TooBig"


def test_fragments_over_the_limit_close_with_1009(server: Server) -> None:
    with open_client(server, "/ws/echo") as client:
        with pytest.raises(ConnectionClosedError) as closed:
            client.send([b"x" * (MAX_MESSAGE_BYTES // 2)] * 3)
            client.recv(5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


def test_message_of_the_limit_is_taken(server: Server) -> None:
    with open_client(server, "/ws/echo") as client:
        client.send(b"x" * MAX_MESSAGE_BYTES)
        assert client.recv(5) == f"{MAX_MESSAGE_BYTES} bytes 78787878"


def test_size_is_refused_before_the_payload_comes(server: Server) -> None:
    with open_raw(server, "/ws/echo") as sock:
        sock.sendall(b"\x82" + bytes([0xFF]) + struct.pack("!Q", 6 * 2**30) + b"mask")
        assert sock.recv(4)[2:] == struct.pack("!H", 1009)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (masked(Opcode.TEXT, b"\xff\xfe"), 1007),
        (masked(Opcode.CONT, b"?"), 1002),
        (Frame(Opcode.TEXT, b"unmasked").serialize(mask=False), 1002),
    ],
    ids=["no UTF-8", "continues nothing", "unmasked"],
)
def test_broken_protocol_closes_with_its_code(server: Server, frame: bytes, code: int) -> None:
    with open_raw(server, "/ws/echo?id=broken") as sock:
        sock.sendall(frame)
        assert sock.recv(4)[2:] == struct.pack("!H", code)
        sock.shutdown(socket.SHUT_WR)
        assert b"HTTP" not in read_all(sock)


@pytest.mark.parametrize("code", [1000, 1011, 1012, 4001])
def test_close_code_reaches_the_client(server: Server, code: int) -> None:
    with open_client(server, f"/ws/close?code={code}") as client:
        client.send("now")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(2)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code
    assert closed.value.rcvd.reason.startswith("because because")


def test_close_from_another_greenlet_ends_receive(server: Server) -> None:
    with open_client(server, "/ws/close_elsewhere?id=elsewhere") as client:
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(2)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
    assert outcome(server, "elsewhere") | {"seconds": 0} == {"raised": None, "close_code": 1012, "seconds": 0}


@pytest.mark.parametrize("name", ["leave", "close_elsewhere"])
def test_close_waits_a_second_for_a_silent_peer(server: Server, name: str) -> None:
    with open_raw(server, f"/ws/{name}?id=silent-{name}") as sock:
        started_s = time.monotonic()
        data = read_all(sock)
        assert 0.9 < time.monotonic() - started_s < 1.5
        assert data in (b"\x81\x03bye" + close_frame(1000), close_frame(1012, b"restart"))


def test_close_of_the_client_returns_and_ends_tcp(server: Server) -> None:
    with open_client(server, "/ws/echo?id=polite", close_timeout=5) as client:
        client.send("hello")
        client.recv(2)
        started_s = time.monotonic()
        client.close(4002, "enough")
        assert time.monotonic() - started_s < 1
    assert outcome(server, "polite")["close_code"] == 4002


@pytest.mark.parametrize("spoil", ["", "&spoil=1"])
def test_nothing_follows_the_close_frame(server: Server, spoil: str) -> None:
    with open_raw(server, f"/ws/leave?x=1{spoil}") as sock:
        sock.sendall(masked(Opcode.CLOSE, struct.pack("!H", 1000)))
        assert read_all(sock) in (
            b"\x81\x03bye" + close_frame(1000),  # ours was first, theirs was first, or they crossed
            close_frame(1000),
        )


@pytest.mark.parametrize("reset", [False, True])
def test_vanished_client_ends_receive(server: Server, reset: bool) -> None:
    sock = open_raw(server, f"/ws/echo?id=vanished{reset}")
    if reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    result = outcome(server, f"vanished{reset}")
    assert (result["raised"], result["close_code"]) == (None, None)
    assert result["seconds"] < 0.5


def test_exception_in_the_handler_closes_with_1011(server: Server) -> None:
    with open_raw(server, "/ws/fail") as sock:
        sock.sendall(masked(Opcode.TEXT, b"now"))
        reply = close_frame(1011, b"internal")
        assert sock.recv(100) == reply
        sock.sendall(masked(Opcode.CLOSE, reply[2:]))
        assert read_all(sock) == b""


def test_pong_moves_last_heard(server: Server) -> None:
    with open_client(server, "/ws/heard") as client:
        assert client.recv(3) == "heard"


def test_ping_of_the_client_is_answered(server: Server) -> None:
    with open_client(server, "/ws/echo") as client:
        assert client.ping("payload").wait(2)


def test_plain_get_is_refused(server: Server) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.get("/ws/echo")
    assert refused.value.code == 400
    refused.value.close()


@OWN_HANDSHAKE
@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("dGhlIHNhbXBsZSBub25jZQ==", "short", 400),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", 400),
        ("Sec-WebSocket-Key", "X-Key", 400),
        ("HTTP/1.1", "HTTP/1.0", 505),
        ("Host:", "Transfer-Encoding: gzip\r\nHost:", 400),
    ],
)
def test_bad_handshake_is_refused(server: Server, old: str, new: str, status: int) -> None:
    with server.connect() as sock:
        sock.sendall(HANDSHAKE.format(path="/ws/echo").replace(old, new).encode())
        assert f" {status} ".encode() in sock.recv(4096).splitlines()[0]


@OWN_HANDSHAKE
def test_a_client_that_offers_a_subprotocol_gets_none(server: Server) -> None:
    with open_client(server, "/ws/echo", subprotocols=["other"]) as client:
        assert client.subprotocol is None


@OWN_HANDSHAKE
def test_deflate_is_declined(server: Server) -> None:
    with connect(server.ws("/ws/echo"), compression="deflate") as client:
        assert client.protocol.extensions == []


@OWN_HANDSHAKE
def test_flask_sock_works_beside_it(server: Server) -> None:
    with open_client(server, "/flask-sock", close_timeout=0.1) as client:
        client.send("hello")
        assert client.recv(2) == "hello"


def test_no_socket_is_left(server: Server) -> None:
    def sockets() -> int:
        count: int = json.loads(server.get("/sockets"))["open"]
        return count

    before = sockets()
    for name in ("leave", "echo", "fail"):
        for _ in range(5):
            with open_client(server, f"/ws/{name}") as client, suppress(ConnectionClosed):
                client.send("now")
    assert wait_until(lambda: sockets() <= before, timeout_s=2)


@pytest.mark.parametrize("key", ["gunicorn.socket", "wsgi.websocket", None])
def test_accept_wants_a_socket_of_gevent(key: str | None) -> None:
    with socket.socket() as sock:
        environ = {} if key is None else {key: sock}
        with pytest.raises(UnsupportedServer, match="gunicorn -k gevent"):
            accept(environ, max_message_bytes=1, send_timeout_s=1)


def test_accept_refuses_threads(tmp_path: Path) -> None:
    """A thread of its own for each stream is what gevent is there to avoid."""
    port = free_port()
    program = (
        "import flask, werkzeug; from whisper_service.web import handshake\n"
        "app = flask.Flask('threaded')\n"
        "@app.route('/ws', websocket=True)\n"
        "def ws():\n"
        "    return handshake.serve(flask.request.environ, print, max_message_bytes=1, send_timeout_s=1)\n"
        f"app.run(port={port})"
    )
    with running(["-c", program], port=port, log_path=tmp_path / "log") as server, server.connect() as sock:
        sock.sendall(HANDSHAKE.format(path="/ws").encode())
        assert b" 500 " in sock.recv(4096).splitlines()[0]
        assert wait_until(lambda: "gunicorn -k gevent" in server.log())
