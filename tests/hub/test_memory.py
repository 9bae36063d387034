"""Messages that are never completed hold at most the budget together, and free it in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from websockets.frames import Frame, Opcode

from tests.bad_input.test_clients import raw_client
from tests.servers import MODEL, Server, free_port, resident_bytes, running, wait_until, wait_until_ready
from tests.talks import MAX_ERROR_RATE_SHORT, sentences, stream_talk, word_error_rate

BUDGET_BYTES = 64 << 20
UNFINISHED_BYTES = 30_000_000
CLIENTS = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port = free_port()
    settings = {"PORT": str(port), "WHISPER_MODEL": MODEL, "WHISPER_BUFFER_BYTES": str(BUDGET_BYTES)}
    log_path = tmp_path_factory.mktemp("memory") / "log"
    with running(["app.py"], port=port, log_path=log_path, **settings) as server:
        wait_until_ready(server)
        stream_talk(server.ws("/transcribe"), sentences().wavs())
        yield server


def test_unfinished_messages_are_bounded_and_what_they_held_comes_back(server: Server) -> None:
    message = Frame(Opcode.BINARY, bytes(UNFINISHED_BYTES)).serialize(mask=True)
    before = resident_bytes(server.process.pid)
    limit = before + 3 * BUDGET_BYTES
    for _ in range(5):  # sixty messages, 1.8 GB
        with ExitStack() as stack:
            for _ in range(CLIENTS):
                sock = stack.enter_context(raw_client(server))
                sock.settimeout(5)
                with suppress(OSError):  # the server refuses it once the budget is used up
                    sock.sendall(message[:-1_000])
            assert resident_bytes(server.process.pid) - before < 4 * BUDGET_BYTES
            # Messages of ordinary slices do not count against the budget.
            spoken = sentences()
            heard = stream_talk(server.ws("/transcribe"), spoken.wavs())
            assert heard.code == 1000
            assert word_error_rate(spoken.text, heard.transcript) <= MAX_ERROR_RATE_SHORT
        # The server takes a moment to notice the closed sockets, and the allocator keeps some of the memory.
        assert wait_until(lambda: resident_bytes(server.process.pid) < limit, timeout_s=10)


def test_who_needs_more_than_there_is_is_told(server: Server) -> None:
    """A client whose message exceeds the rest of the budget gets an error that says what to do."""
    message = Frame(Opcode.BINARY, bytes(UNFINISHED_BYTES)).serialize(mask=True)
    with ExitStack() as stack:
        for _ in range(2):
            sock = stack.enter_context(raw_client(server))
            sock.settimeout(5)
            sock.sendall(message[:-1_000])
        heard = stream_talk(server.ws("/transcribe"), [bytes(UNFINISHED_BYTES)])
    assert (heard.code, heard.messages[-1]["code"]) == (1013, "full")
    assert "Send shorter ones" in heard.messages[-1]["message"]
