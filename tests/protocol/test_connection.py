"""What a client's frames mean."""

from __future__ import annotations

import base64

import pytest

from whisper_service.config import StreamSettings
from whisper_service.errors import BadBase64, BadMessage, BadSetting
from whisper_service.protocol.connection import Audio, Connection, Control


@pytest.fixture
def connection() -> Connection:
    return Connection(StreamSettings(), languages=frozenset({"de", "en"}))


def test_a_binary_frame_is_audio(connection: Connection) -> None:
    assert connection.receive(b"{binary}") == Audio(b"{binary}")


@pytest.mark.parametrize("prefix", ["", "data:audio/wav;base64,"])
def test_a_text_frame_is_audio_in_base64(connection: Connection, prefix: str) -> None:
    assert connection.receive(prefix + base64.b64encode(b"RIFF").decode()) == Audio(b"RIFF")


@pytest.mark.parametrize("control", set(Control) - {Control.START})
def test_a_control_message(connection: Connection, control: Control) -> None:
    assert connection.receive(f'{{"type": "{control.value}"}}') is control


def test_start_chooses_settings(connection: Connection) -> None:
    command = connection.receive('{"type": "start", "language": "de", "words": true, "vad_threshold": 0.3}')
    assert command is Control.START
    assert connection.settings == StreamSettings(language="de", words=True, vad_threshold=0.3)


def test_a_language_that_the_model_does_not_know_changes_nothing(connection: Connection) -> None:
    with pytest.raises(BadSetting, match="'fr'; it knows: de, en"):
        connection.receive('{"type": "start", "language": "fr", "words": true}')
    assert connection.settings == StreamSettings()


def test_start_after_audio_is_refused(connection: Connection) -> None:
    connection.receive(b"audio")
    with pytest.raises(BadMessage, match="before the first audio"):
        connection.receive('{"type": "start", "language": "de"}')
    assert connection.settings.language is None


@pytest.mark.parametrize("text", ["{", "{]", '{"type": }', "{" * 100_000])
def test_what_does_not_parse_is_a_bad_message(connection: Connection, text: str) -> None:
    with pytest.raises(BadMessage, match="does not parse"):
        connection.receive(text)


@pytest.mark.parametrize("kind", ['"dance"', "7", "null", "[]", "{}"])
def test_an_unknown_type_is_named(connection: Connection, kind: str) -> None:
    with pytest.raises(BadMessage, match="no message of type .* known are: start, flush, stop, keepalive"):
        connection.receive(f'{{"type": {kind}}}')


def test_text_that_is_neither_is_bad_base64(connection: Connection) -> None:
    with pytest.raises(BadBase64):
        connection.receive("hello there!")


def test_a_setting_out_of_range_leaves_the_others(connection: Connection) -> None:
    with pytest.raises(BadSetting, match=r"vad_threshold is 7; accepted: 0.05 … 0.95"):
        connection.receive('{"type": "start", "language": "de", "vad_threshold": 7}')
    assert connection.settings == StreamSettings()
