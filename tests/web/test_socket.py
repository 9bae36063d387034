"""The greenlets and queues of one open WebSocket."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial

import gevent
import pytest
from gevent.queue import Queue

from whisper_service.config import StreamSettings
from whisper_service.errors import Draining, InternalError
from whisper_service.parts import Arrival
from whisper_service.protocol.dialect import Frame
from whisper_service.protocol.dialects import of_transcribe
from whisper_service.web.budget import ByteBudget
from whisper_service.web.queues import Inbox, Outbox
from whisper_service.web.socket import Pulse, Socket
from whisper_service.web.transport import TransportClosed

pytestmark = pytest.mark.usefixtures("loop_that_knows_the_time")


def _arrival(data: str | bytes) -> Arrival:
    return Arrival(data, 0.0)


class FakeTransport:
    """A client in memory; `stalled` ones never take a frame."""

    def __init__(self, *, stalled: bool = False) -> None:
        self.incoming: Queue[str | bytes | None] = Queue()
        self.sent: list[str] = []
        self.pings = 0
        self.closed: tuple[int, str] | None = None
        self.last_heard = time.monotonic()
        self.allowance = ByteBudget(1 << 20).open()
        self.close_code = None
        self._stalled = stalled

    def receive(self) -> str | bytes | None:
        return self.incoming.get()

    def send(self, text: str) -> None:
        if self._stalled:
            gevent.sleep(60)
        if self.closed:
            raise TransportClosed
        self.sent.append(text)

    def ping(self) -> None:
        self.pings += 1

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self.closed is None:
            self.closed = (code, reason)
            self.incoming.put(None)


_PULSE = Pulse(25.0)


def _run(
    transport: FakeTransport,
    work: Callable[[Socket], None],
    *,
    pulse: Pulse = _PULSE,
    reply: str = "json",
) -> Socket:
    dialect = of_transcribe({"reply": reply}, StreamSettings())
    fail = partial(dialect.fail, fatal=True)
    socket = Socket(transport, work, pulse=pulse, fail=fail)
    with gevent.Timeout(5):
        socket.run()
    return socket


def test_frames_reach_the_stream_in_order_and_answers_the_client() -> None:
    transport = FakeTransport()
    for frame in ("a", b"b", "stop"):
        transport.incoming.put(frame)

    def work(socket: Socket) -> None:
        for frame in socket.inbox:
            socket.send([Frame(repr(frame.data))])
            if frame.data == "stop":
                return

    _run(transport, work)
    assert transport.sent == ["'a'", "b'b'", "'stop'"] and transport.closed == (1000, "")


def test_a_client_that_is_gone_ends_the_stream() -> None:
    transport, ended = FakeTransport(), []

    def work(socket: Socket) -> None:
        try:
            gevent.sleep(60)
        finally:
            ended.append(True)

    gevent.spawn_later(0.02, transport.incoming.put, None)
    _run(transport, work)
    assert ended == [True] and transport.closed is not None


def test_a_client_that_goes_on_sending_behind_the_end_is_let_go() -> None:
    transport = FakeTransport()
    for _ in range(200):
        transport.incoming.put("more")
    _run(transport, lambda socket: gevent.sleep(0.02))
    assert transport.closed == (1000, "")


def test_a_fault_is_told_and_closes_with_1011() -> None:
    transport = FakeTransport()

    def work(socket: Socket) -> None:
        raise InternalError("The server failed.")

    _run(transport, work)
    assert json.loads(transport.sent[-1]) == {
        "type": "error",
        "code": "internal",
        "message": "The server failed.",
        "fatal": True,
    }
    assert transport.closed == (1011, "internal")


def test_an_unexpected_fault_tells_nothing_of_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    transport = FakeTransport()

    def work(socket: Socket) -> None:
        raise ZeroDivisionError("secret")

    _run(transport, work)
    assert "secret" not in transport.sent[-1] and transport.closed == (1011, "internal")
    assert "secret" in caplog.text


def test_drain_comes_behind_what_was_received() -> None:
    transport, heard = FakeTransport(), []

    def work(socket: Socket) -> None:
        gevent.spawn_later(0.05, socket.drain, Draining("Bye."), 0.0)
        for frame in socket.inbox:
            heard.append(frame.data)

    transport.incoming.put("a")
    transport.incoming.put("b")
    _run(transport, work)
    assert heard == ["a", "b"] and transport.closed == (1012, "draining")


def test_a_silent_client_is_pinged_and_given_up() -> None:
    transport = FakeTransport()

    def work(socket: Socket) -> None:
        for _ in socket.inbox:
            pass

    _run(transport, work, pulse=Pulse(0.03))
    assert transport.pings >= 1 and transport.closed == (1011, "")


def test_a_client_that_does_not_read_is_closed_as_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whisper_service.web.socket._FLUSH_TIMEOUT_S", 0.05)
    transport = FakeTransport(stalled=True)

    def work(socket: Socket) -> None:
        for number in range(2_000):
            socket.send([Frame(f"final {number}")])
        for _ in socket.inbox:
            pass

    _run(transport, work)
    assert transport.closed == (1011, "too_slow")


def test_a_full_inbox_holds_the_reader() -> None:
    inbox = Inbox(10, ByteBudget(1 << 20).open())
    reader = gevent.spawn(lambda: [inbox.put(_arrival(b"12345")) for _ in range(5)])
    gevent.sleep(0.01)
    assert not reader.dead
    frames = iter(inbox)
    taken = [next(frames) for _ in range(3)]
    reader.join(1)
    assert reader.dead and [frame.data for frame in taken] == [b"12345"] * 3


def test_a_reader_and_a_worker_that_wait_for_each_other_both_wake_up() -> None:
    inbox = Inbox(10, ByteBudget(1 << 20).open())
    taken: list[Arrival] = []
    worker = gevent.spawn(lambda: taken.extend(inbox))
    with gevent.Timeout(5):
        for _ in range(100):
            inbox.put(_arrival(b"12345"))
        inbox.end()
        worker.join()
    assert len(taken) == 100


def test_one_frame_larger_than_the_inbox_is_taken() -> None:
    inbox = Inbox(10, ByteBudget(1 << 20).open())
    inbox.put(_arrival(b"x" * 100))
    inbox.end()
    assert [frame.data for frame in inbox] == [b"x" * 100]


def test_an_interrupt_overtakes_what_waits() -> None:
    inbox = Inbox(10, ByteBudget(1 << 20).open())
    inbox.put(_arrival(b"x"))
    inbox.interrupt(InternalError("now"))
    with pytest.raises(InternalError):
        list(inbox)


def test_a_partial_takes_the_place_of_the_partial_before_it_only() -> None:
    outbox = Outbox(overflow=lambda: None)
    for frame, replaces in (("p1", True), ("p2", True), ("final", False), ("p3", True), ("p4", True)):
        outbox.put(Frame(frame, replaces))
    assert [outbox.get(0) for _ in range(4)] == ["p2", "final", "p4", None]


def test_a_full_inbox_is_no_silence_of_the_client() -> None:
    """While nobody reads, no pong is heard."""
    transport = FakeTransport()
    for _ in range(100):
        transport.incoming.put("x")

    def work(socket: Socket) -> None:
        gevent.sleep(0.3)

    _run(transport, work, pulse=Pulse(0.02))
    assert transport.pings > 5 and transport.closed == (1000, "")


def test_a_process_that_stood_still_gives_nobody_up() -> None:
    transport = FakeTransport()

    def work(socket: Socket) -> None:
        gevent.sleep(0.08)  # one ping is out
        time.sleep(1.0)  # nobody runs
        gevent.spawn_later(0.01, lambda: setattr(transport, "last_heard", time.monotonic()))
        gevent.sleep(0.1)

    _run(transport, work, pulse=Pulse(0.06))
    assert transport.closed == (1000, "")


def test_a_writer_that_fails_ends_the_stream_and_says_so_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeTransport):
        def send(self, text: str) -> None:
            raise UnicodeEncodeError("utf-8", text, 0, 1, "surrogates not allowed")

    transport = Broken()

    def work(socket: Socket) -> None:
        socket.send([Frame("half a pair")])
        for _ in socket.inbox:
            pass

    _run(transport, work)
    assert transport.closed == (1011, "internal") and "surrogates not allowed" in caplog.text


def test_who_wants_text_is_sent_no_error() -> None:
    transport = FakeTransport()

    def work(socket: Socket) -> None:
        raise InternalError("It failed.")

    _run(transport, work, reply="text")
    assert transport.sent == [] and transport.closed == (1011, "internal")


def test_a_frame_knows_when_it_came_and_whether_its_client_had_to_wait() -> None:
    transport, frames = FakeTransport(), []
    for _ in range(70):
        transport.incoming.put("x")

    def work(socket: Socket) -> None:
        gevent.sleep(0.1)
        for frame in socket.inbox:
            frames.append(frame)
            if len(frames) == 70:
                gevent.spawn_later(0.2, transport.incoming.put, "late")
            if frame.data == "late":
                return

    _run(transport, work)
    assert [frame.held for frame in frames] == [False] * 65 + [True] * 5 + [False]
    assert frames[-1].at - frames[0].at > 0.2


def test_messages_that_come_too_fast_wait_and_none_is_lost() -> None:
    transport, times = FakeTransport(), []
    for number in range(60):
        transport.incoming.put(str(number))
    transport.incoming.put("stop")

    def work(socket: Socket) -> None:
        for frame in socket.inbox:
            times.append(time.monotonic())
            if frame.data == "stop":
                return

    _run(transport, work, pulse=Pulse(25.0, messages_s=40))
    assert len(times) == 61
    assert times[39] - times[0] < 0.3  # a second's messages may come at once
    assert 0.4 < times[60] - times[39] < 2.0


def test_a_client_that_says_nothing_is_closed_as_idle() -> None:
    transport = FakeTransport()

    def work(socket: Socket) -> None:
        for _ in socket.inbox:
            pass

    gevent.spawn_later(0.15, transport.incoming.put, "a word")
    began = time.monotonic()
    _run(transport, work, pulse=Pulse(25.0, idle_s=0.2))
    assert 0.3 < time.monotonic() - began < 1.5
    assert transport.closed == (4408, "idle")
    assert json.loads(transport.sent[-1])["message"] == "Nothing has come for 0.2 s."
