"""An open WebSocket under gevent, until its TCP connection ends.

The protocol is ``websockets``' sans-I/O :class:`~websockets.server.ServerProtocol`; socket, locks and
deadlines are ours. simple-websocket, on which flask-sock is built, ignores the byte count that ``send``
returns: under gevent a slow client gets a corrupt stream if messages have 18 KB or more. It also buffers
without a limit.

Source: RFC 6455; ``websockets`` 17, "Integrate the Sans-I/O layer".
"""

from __future__ import annotations

import socket
import struct
import time
from collections import deque
from contextlib import suppress
from typing import Protocol

import gevent
import gevent.socket
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

from whisper_service.errors import Full, TooBig, TranscriptionError
from whisper_service.web.budget import Allowance, ByteBudget

#: Size of one read. Together with the size limit of a message it bounds how much a client can make us hold.
READ_BYTES = 64 * 1024
#: How long :meth:`Transport.close` waits for the peer's close frame.
CLOSE_TIMEOUT_S = 1.0
#: RFC 6455, section 5.5: a control frame has at most 125 bytes, two of which are the close code.
CLOSE_REASON_BYTES = 123

#: Byte budget of a connection that shares it with no other.
_UNSHARED_BYTES = 1 << 30

_LINGER_RESET = struct.pack("ii", 1, 0)


class TransportClosed(Exception):
    """Nothing can be sent any more: the peer has closed or is lost, or we have closed."""


class SendTimeout(TransportClosed):
    """The peer did not take a message in time. Half a frame may be on the wire: the connection was reset."""


class _TimeIsUp(Exception):
    """:data:`CLOSE_TIMEOUT_S` is over."""


class Transport(Protocol):
    """A connection that carries messages.

    One greenlet calls :meth:`receive`; any greenlet may call the other methods meanwhile.
    """

    allowance: Allowance

    @property
    def last_heard(self) -> float:
        """Time (``time.monotonic``) of the last bytes from the peer, pongs included."""

    @property
    def close_code(self) -> int | None:
        """Code of the peer's close frame, 1005 if that had none; None if no close frame came."""

    def receive(self) -> str | bytes | None:
        """Return the next whole message, or None once the connection has ended. Blocks the greenlet.

        After a TooBig or Full nothing more can be received. The connection stays open, so that the caller can
        send the reason and close it.

        :raises TooBig: if a message is over the limit.
        :raises Full: if all connections together hold too many bytes.
        """

    def send(self, text: str) -> None:
        """Send ``text`` as one message. Blocks until the kernel has all of it.

        :raises TransportClosed: if it cannot be sent.
        :raises SendTimeout: if it could not be sent in time.
        """

    def ping(self) -> None:
        """Ask the peer for a pong, which updates :attr:`last_heard`.

        :raises TransportClosed: as for :meth:`send`.
        """

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End the connection. Blocks for at most :data:`CLOSE_TIMEOUT_S`; a second call waits for the first,
        and then resets the connection.

        No failure of the peer raises an error. A long ``reason`` is cut to the part that fits.
        """


class RefusingProtocol(ServerProtocol):
    """The server's side of the protocol. It does not close after a message over the limit.

    The client is told the reason first.
    """

    refusal: TranscriptionError | None = None

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        if code != CloseCode.MESSAGE_TOO_BIG or self.state is not State.OPEN:
            super().fail(code, reason)
            return
        self.refuse(
            TooBig(
                f"This message is longer than the limit of {self.max_message_size} bytes. "
                "Send slices of about 500 ms."
            )
        )

    def refuse(self, problem: TranscriptionError) -> None:
        """Accept no more messages, because of ``problem``. Data that still comes is dropped."""
        self.refusal = problem
        self.send_eof()
        self.parser = self.discard()
        next(self.parser)
        self.reader.buffer.clear()

    @property
    def held_bytes(self) -> int:
        """Number of bytes received of a frame that is not complete."""
        return len(self.reader.buffer)


class WsgiTransport:
    """A :class:`Transport` on the socket of a WSGI server.

    The socket still belongs to the server: a duplicate would cost a second descriptor for each stream, and a
    TLS socket cannot be duplicated. We only shut it down, which ends TCP for every descriptor. The server
    closes it when the view returns. This order also protects the stream: anything that the server still
    writes (``handshake.NoResponse``) fails with EPIPE, which pywsgi and gunicorn ignore. On a closed socket
    it would fail with EBADF and a traceback.

    :param sock: connected gevent socket.
    :param protocol: in state OPEN. It may still have the handshake response to send.
    :param budget: limit on the bytes that all connections together may hold.
    """

    def __init__(
        self,
        sock: gevent.socket.socket,
        protocol: RefusingProtocol,
        *,
        send_timeout_s: float,
        budget: ByteBudget | None = None,
    ) -> None:
        self.allowance = (budget or ByteBudget(_UNSHARED_BYTES)).open()
        self._sock = sock
        self._protocol = protocol
        self._send_timeout_s = send_timeout_s
        self._write_turn = BoundedSemaphore(1)
        # gevent allows only one reader on a socket. receive() holds this lock; close() reads once it is free.
        self._read_turn = BoundedSemaphore(1)
        self._outbox: list[bytes] = []
        self._messages: deque[str | bytes] = deque()
        self._message_bytes = 0  # length of these together, for text in characters
        self._partial = bytearray()
        self._partial_is_text = False
        self._closing = False
        self._heard_all = False
        self._ended = Event()
        self._last_heard = time.monotonic()
        sock.settimeout(None)
        with suppress(OSError):  # a Unix socket has no such option
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def last_heard(self) -> float:
        return self._last_heard

    @property
    def close_code(self) -> int | None:
        received = self._protocol.close_rcvd
        return None if received is None else int(received.code)

    def start(self) -> None:
        """Send the handshake response, if it is not sent yet."""
        self._flush(self._send_timeout_s)

    def receive(self) -> str | bytes | None:
        with self._read_turn:
            while not self._closing:
                if self._messages:
                    message = self._messages.popleft()
                    self._message_bytes -= len(message)
                    self._count_held()
                    return message
                if self._protocol.refusal is not None:
                    raise self._protocol.refusal
                if self._heard_all:
                    self._shut()
                elif self._failed():
                    self._hang_up()
                else:
                    self._read()
            # If another greenlet is in close(), it waits for the peer's close frame. We hold the read
            # lock, so we read for it.
            while not self._heard_all and not self._ended.is_set():
                self._read()
        return None

    def send(self, text: str) -> None:
        self._check_open()
        self._protocol.send_text(text.encode())
        self._flush(self._send_timeout_s)

    def ping(self) -> None:
        self._check_open()
        self._protocol.send_ping(b"")
        self._flush(self._send_timeout_s)

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self._closing:
            # Our caller may return from the view next, and then the server writes. The connection must have
            # ended before that.
            if not self._ended.wait(2 * CLOSE_TIMEOUT_S):
                self._drop()
            return
        self._closing = True
        try:
            with suppress(TransportClosed, _TimeIsUp), gevent.Timeout(CLOSE_TIMEOUT_S, _TimeIsUp()):
                if self._protocol.state is State.OPEN:
                    self._protocol.send_close(code, _cut(reason))
                self._flush(CLOSE_TIMEOUT_S)
                if self._protocol.refusal is not None:
                    self._half_close()
                self._read_to_the_end()
        finally:
            self._shut()

    def _check_open(self) -> None:
        if self._closing or self._ended.is_set() or self._protocol.state is not State.OPEN:
            raise TransportClosed

    def _failed(self) -> bool:
        """Return whether the peer broke the protocol. ServerProtocol has then written a close frame."""
        return self._protocol.state is State.CLOSING and self._protocol.close_rcvd is None

    def _flush(self, timeout_s: float) -> None:
        """Send the data that the protocol has written, in order. End the connection if that fails.

        The protocol itself needs no lock, because gevent switches only where something blocks. A
        reader with nothing to send does not wait for its turn, so it keeps reading while a writer waits for a
        peer that writes before it reads.

        :raises SendTimeout: if the data could not be sent in time.
        :raises TransportClosed: if the connection has ended.
        """
        written = [data for data in self._protocol.data_to_send() if data != SEND_EOF]
        if not written:
            return
        self._outbox += written
        try:
            with gevent.Timeout(timeout_s, TimeoutError("send timed out")), self._write_turn:
                data = b"".join(self._outbox)
                self._outbox.clear()
                if self._ended.is_set():
                    raise TransportClosed
                self._sock.sendall(data)
        except TimeoutError as exc:
            self._drop()
            raise SendTimeout from exc
        except (OSError, ValueError) as exc:  # ValueError: a TLS socket that was shut down meanwhile
            self._drop()
            raise TransportClosed from exc
        except BaseException:
            # The greenlet was killed, or close() ran out of time, maybe in the middle of a frame: nothing can
            # follow it.
            self._drop()
            raise

    def _read(self) -> None:
        """Read once and process the data; note the end of the TCP stream."""
        try:
            data = self._sock.recv(READ_BYTES)
        except (OSError, ValueError):
            data = b""
        if not data:
            self._heard_all = True
            self._protocol.receive_eof()
            return
        self._last_heard = time.monotonic()
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
        if not self._count_held() and self._is_open():
            self._drop_received()
            self._protocol.refuse(
                Full("The server holds too many long messages now. Send shorter ones, or try again later.")
            )
        try:
            self._flush(self._send_timeout_s)
        except TransportClosed:
            self._heard_all = True
        if self._protocol.close_rcvd is not None:
            self._heard_all = True
        # If the peer sends without a pause, recv() returns at once, and no other greenlet would ever run.
        gevent.sleep(0)

    def _take(self, frame: Frame) -> None:
        """Add a data frame to the message that is being received."""
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._partial_is_text = frame.opcode is Opcode.TEXT
        elif frame.opcode is not Opcode.CONT:
            return
        if self._closing:
            return
        message: bytes | bytearray
        if frame.fin and not self._partial:
            message = bytes(frame.data)  # a bytes object is not copied
        else:
            # One buffer, not a list of fragments: any number of empty fragments costs no memory.
            self._partial += frame.data
            if not frame.fin:
                return
            message, self._partial = self._partial, bytearray()
        if not self._partial_is_text:
            self._add(bytes(message))
            return
        try:
            self._add(message.decode())
        except UnicodeDecodeError:
            if not self._protocol.eof_sent:
                self._protocol.fail(CloseCode.INVALID_DATA, "text is not UTF-8")

    def _add(self, message: str | bytes) -> None:
        self._messages.append(message)
        self._message_bytes += len(message)

    def _count_held(self) -> bool:
        """Tell the budget how many bytes are held here; return whether there is room for them."""
        held = self._protocol.held_bytes + len(self._partial) + self._message_bytes
        return self.allowance.hold("socket", held)

    def _is_open(self) -> bool:
        state = self._protocol.state is State.OPEN and not self._protocol.eof_sent
        return state and not self._closing and self._protocol.refusal is None

    def _drop_received(self) -> None:
        self._partial = bytearray()
        self._messages.clear()
        self._message_bytes = 0
        self._protocol.reader.buffer.clear()

    def _read_to_the_end(self) -> None:
        with self._read_turn:
            while not self._heard_all:
                self._read()

    def _hang_up(self) -> None:
        """Close the connection to a peer that broke the protocol. Called by the reader."""
        self._closing = True
        try:
            with suppress(TransportClosed, _TimeIsUp), gevent.Timeout(CLOSE_TIMEOUT_S, _TimeIsUp()):
                self._flush(CLOSE_TIMEOUT_S)
                self._half_close()
                while not self._heard_all:
                    self._read()
        finally:
            self._shut()

    def _half_close(self) -> None:
        """End our sending direction, for a peer whose data is no longer parsed, not even its close frame.

        The data that the peer still sends is discarded until it has closed too: a socket closed with unread
        data sends a reset, which can overtake our close frame.
        """
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def _drop(self) -> None:
        """End the connection with a reset, so that the kernel drops the data that the peer does not read."""
        if self._ended.is_set():
            return  # a reset now could overtake a close frame
        with suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        self._shut()

    def _shut(self) -> None:
        """End the TCP connection, which wakes up its reader. The server closes the descriptor."""
        self._closing = True
        with suppress(OSError):  # the peer closed first
            self._sock.shutdown(socket.SHUT_RDWR)
        self._ended.set()
        # The protocol's objects refer to each other: their data would stay until a cyclic garbage collection.
        self._drop_received()
        self._outbox.clear()


def _cut(reason: str) -> str:
    """Return as much of ``reason`` as fits into a close frame, whole characters only."""
    return reason.encode()[:CLOSE_REASON_BYTES].decode(errors="ignore")
