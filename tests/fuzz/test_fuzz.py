"""Whatever a client sends: the server answers with what its protocol has, and goes on."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.connection import Wrong, converse
from tests.fuzz.conversations import CORPUS, conversation
from tests.fuzz.recordings import recordings
from whisper_service.protocol.native import NativeDialect

#: Enough for each kind of message and mutation; `make fuzz` sends a million messages.
EXAMPLES = 300


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
@given(st.binary(max_size=600))
def test_any_conversation(data: bytes) -> None:
    converse(data)


@pytest.mark.parametrize("path", sorted(CORPUS.with_name("found").iterdir()), ids=lambda path: path.name)
def test_a_fault_that_was_found(path: Path) -> None:
    converse(path.read_bytes())


def test_the_corpus() -> None:
    with zipfile.ZipFile(CORPUS) as corpus:
        assert len(corpus.namelist()) > 100
        for name in corpus.namelist():
            converse(corpus.read(name))


def test_without_data_it_is_the_simplest_talk() -> None:
    (connection,) = conversation(b"")
    assert connection.messages == 2 and connection.stops
    assert converse(b"") == 2


def test_the_recordings_are_in_many_formats() -> None:
    assert {data[:4] for data in recordings().values()} >= {
        b"RIFF",
        b"OggS",
        b"fLaC",
        b"\x1aE\xdf\xa3",
        b"FORM",
    }


def test_a_fault_of_the_server_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def receive(self: NativeDialect, data: str | bytes) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(NativeDialect, "receive", receive)
    with pytest.raises(Wrong, match="RuntimeError: a fault"):
        converse(b"")
