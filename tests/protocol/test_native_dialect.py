"""The native dialect: the meaning of a client's frames, and the frames that it gets."""

from __future__ import annotations

import base64
import json
import time

import pytest

from whisper_service.config import StreamSettings
from whisper_service.errors import BadMessage, BadSetting, InternalError
from whisper_service.events import Final, Partial
from whisper_service.protocol.dialect import Audio, Control, Opening
from whisper_service.protocol.native import ControlType, NativeDialect

OPENING = Opening("s", "m", frozenset({"de", "en"}), 1_000)


@pytest.fixture
def dialect() -> NativeDialect:
    dialect = NativeDialect({}, StreamSettings())
    dialect.ready(OPENING)
    return dialect


def test_a_binary_frame_is_audio(dialect: NativeDialect) -> None:
    assert dialect.receive(b"{binary}") == (Audio(b"{binary}"),)


@pytest.mark.parametrize("prefix", ["", "data:audio/wav;base64,"])
def test_a_text_frame_is_audio_in_base64(dialect: NativeDialect, prefix: str) -> None:
    text = prefix + base64.b64encode(b"RIFF").decode()
    assert dialect.receive(text) == (Audio(text),)


@pytest.mark.parametrize("control", Control)
def test_a_control_message(dialect: NativeDialect, control: Control) -> None:
    assert dialect.receive(f'{{"type": "{control.value}"}}') == (control,)


def test_keepalive_asks_for_nothing(dialect: NativeDialect) -> None:
    assert dialect.receive(f'{{"type": "{ControlType.KEEPALIVE.value}"}}') == ()


def test_start_chooses_settings(dialect: NativeDialect) -> None:
    commands = dialect.receive('{"type": "start", "language": "de", "words": true, "vad_threshold": 0.3}')
    assert commands == ()
    assert dialect.settings == StreamSettings(language="de", words=True, vad_threshold=0.3)


def test_a_language_that_the_model_does_not_know_changes_nothing(dialect: NativeDialect) -> None:
    with pytest.raises(BadSetting, match="'fr'; it knows: de, en"):
        dialect.receive('{"type": "start", "language": "fr", "words": true}')
    assert dialect.settings == StreamSettings()


def test_start_after_audio_is_refused(dialect: NativeDialect) -> None:
    dialect.receive(b"audio")
    with pytest.raises(BadMessage, match="before the first audio"):
        dialect.receive('{"type": "start", "language": "de"}')
    assert dialect.settings.language is None


@pytest.mark.parametrize("text", ["{", "{]", '{"type": }', "{" * 60_000])
def test_what_does_not_parse_is_a_bad_message(dialect: NativeDialect, text: str) -> None:
    with pytest.raises(BadMessage, match="does not parse"):
        dialect.receive(text)


@pytest.mark.parametrize("kind", ['"dance"', "7", "null", "[]", "{}"])
def test_an_unknown_type_is_named(dialect: NativeDialect, kind: str) -> None:
    with pytest.raises(BadMessage, match="no message of type .* known are: start, flush, stop, keepalive"):
        dialect.receive(f'{{"type": {kind}}}')


def test_a_setting_out_of_range_leaves_the_others(dialect: NativeDialect) -> None:
    with pytest.raises(BadSetting, match=r"vad_threshold is 7; accepted: 0.05 … 0.95"):
        dialect.receive('{"type": "start", "language": "de", "vad_threshold": 7}')
    assert dialect.settings == StreamSettings()


@pytest.mark.parametrize(
    "text", ["END_OF_AUDIO", '"eof"', " stop ", "EOS", '{"eof": 1}', '{"event": "stop"}']
)
def test_other_ways_to_end_a_stream_are_answered_with_ours(dialect: NativeDialect, text: str) -> None:
    with pytest.raises(BadMessage, match='To end the stream send {"type": "stop"}.'):
        dialect.receive(text)


@pytest.mark.parametrize(
    "text", ['{"type": "start", "prompt": "' + "x" * 65_536 + '"}', "{" + " " * 31_000_000]
)
def test_a_long_control_message_is_not_parsed(dialect: NativeDialect, text: str) -> None:
    with pytest.raises(BadMessage, match="may have 65536 characters") as caught:
        dialect.receive(text)
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
def test_an_error_echoes_little_and_comes_at_once(dialect: NativeDialect, text: str) -> None:
    began = time.process_time()
    with pytest.raises(BadMessage) as caught:
        dialect.receive(text)
    assert str(caught.value).count("x") <= 100 and time.process_time() - began < 0.1


@pytest.mark.parametrize("name", ["keywords", "prompt"])
def test_half_a_surrogate_pair_is_no_text(dialect: NativeDialect, name: str) -> None:
    with pytest.raises(BadSetting):
        dialect.receive('{"type": "start", "' + name + '": "a\\ud800b"}')


def test_a_mark_must_be_text_that_can_be_sent_back(dialect: NativeDialect) -> None:
    with pytest.raises(BadMessage, match="id of a mark"):
        dialect.receive(r'{"type": "mark", "id": "a\ud800b"}')


def test_the_address_chooses_settings() -> None:
    dialect = NativeDialect({"language": "de", "words": "1"}, StreamSettings(prompt="Names."))
    (frame,) = dialect.ready(OPENING)
    assert json.loads(frame.text)["language"] == "de"
    assert dialect.settings == StreamSettings(prompt="Names.", language="de", words=True)


def test_a_bad_address_is_an_error_before_the_stream_is_open() -> None:
    dialect = NativeDialect({"language": "fr"}, StreamSettings())
    with pytest.raises(BadSetting, match="'fr'; it knows: de, en") as caught:
        dialect.ready(OPENING)
    failure = dialect.fail(caught.value, fatal=True)
    assert (failure.close_code, failure.reason) == (4400, "bad_setting")
    assert [json.loads(frame.text)["fatal"] for frame in failure.frames] == [True]


def test_a_problem_that_the_stream_survives_is_not_fatal(dialect: NativeDialect) -> None:
    (frame,) = dialect.fail(BadMessage("No."), fatal=False).frames
    assert json.loads(frame.text) == {
        "type": "error",
        "code": "bad_message",
        "message": "No.",
        "fatal": False,
    }


def test_a_fault_closes_with_its_own_code(dialect: NativeDialect) -> None:
    assert dialect.fail(InternalError("It failed."), fatal=True).close_code == 1011


def test_partials_may_be_replaced_and_finals_not(dialect: NativeDialect) -> None:
    partial, final = Partial(" a", 0, 1, ()), Final(0, " a", 0, 1, (), "en", 1)
    assert [frame.replaces for event in (partial, final) for frame in dialect.tell(event)] == [True, False]


def test_plain_text_is_chosen_in_the_address_alone(dialect: NativeDialect) -> None:
    with pytest.raises(BadMessage, match="reply=text"):
        dialect.receive('{"type": "start", "reply": "text"}')
