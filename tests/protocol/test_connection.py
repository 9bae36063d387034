"""What a client's frames mean."""

from __future__ import annotations

import base64
import time

import pytest

from whisper_service.config import StreamSettings
from whisper_service.errors import BadMessage, BadSetting, InternalError
from whisper_service.protocol.connection import Audio, Connection, Control


@pytest.fixture
def connection() -> Connection:
    return Connection(StreamSettings(), languages=frozenset({"de", "en"}))


def test_a_binary_frame_is_audio(connection: Connection) -> None:
    assert connection.receive(b"{binary}") == Audio(b"{binary}")


@pytest.mark.parametrize("prefix", ["", "data:audio/wav;base64,"])
def test_a_text_frame_is_audio_in_base64(connection: Connection, prefix: str) -> None:
    text = prefix + base64.b64encode(b"RIFF").decode()
    assert connection.receive(text) == Audio(text)


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


@pytest.mark.parametrize("text", ["{", "{]", '{"type": }', "{" * 60_000])
def test_what_does_not_parse_is_a_bad_message(connection: Connection, text: str) -> None:
    with pytest.raises(BadMessage, match="does not parse"):
        connection.receive(text)


@pytest.mark.parametrize("kind", ['"dance"', "7", "null", "[]", "{}"])
def test_an_unknown_type_is_named(connection: Connection, kind: str) -> None:
    with pytest.raises(BadMessage, match="no message of type .* known are: start, flush, stop, keepalive"):
        connection.receive(f'{{"type": {kind}}}')


def test_a_setting_out_of_range_leaves_the_others(connection: Connection) -> None:
    with pytest.raises(BadSetting, match=r"vad_threshold is 7; accepted: 0.05 … 0.95"):
        connection.receive('{"type": "start", "language": "de", "vad_threshold": 7}')
    assert connection.settings == StreamSettings()


@pytest.mark.parametrize(
    "text", ["END_OF_AUDIO", '"eof"', " stop ", "EOS", '{"eof": 1}', '{"event": "stop"}']
)
def test_other_ways_to_end_a_stream_are_answered_with_ours(connection: Connection, text: str) -> None:
    with pytest.raises(BadMessage, match='To end the stream send {"type": "stop"}.'):
        connection.receive(text)


@pytest.mark.parametrize(
    "text", ['{"type": "start", "prompt": "' + "x" * 65_536 + '"}', "{" + " " * 31_000_000]
)
def test_a_long_control_message_is_not_parsed(connection: Connection, text: str) -> None:
    with pytest.raises(BadMessage, match="may have 65536 characters") as caught:
        connection.receive(text)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "start", "' + "x" * 60_000 + '": 1}',
        '{"type": "start", "prompt": "' + "x" * 60_000 + '"}',
        '{"type": "' + "x" * 60_000 + '"}',
        '{"type": "start", "keywords": ["' + "x" * 60_000 + '"]}',
    ],
)
def test_an_error_echoes_little_and_comes_at_once(connection: Connection, text: str) -> None:
    began = time.process_time()
    with pytest.raises(BadMessage) as caught:
        connection.receive(text)
    assert str(caught.value).count("x") <= 100 and time.process_time() - began < 0.1


@pytest.mark.parametrize("name", ["keywords", "prompt"])
def test_half_a_surrogate_pair_is_no_text(connection: Connection, name: str) -> None:
    with pytest.raises(BadSetting):
        connection.receive('{"type": "start", "' + name + '": "a\\ud800b"}')


def test_who_wants_text_is_told_no_problem(connection: Connection) -> None:
    problem = InternalError("It failed.")
    assert '"internal"' in str(connection.explain(problem))
    connection.receive('{"type": "start", "reply": "text"}')
    assert connection.explain(problem) is None
