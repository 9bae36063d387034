"""Text frames that are no audio, and messages and settings that are not ours."""

from __future__ import annotations

import base64
import json

import pytest

from tests.bad_input.cases import accepted, assert_helps, assert_right, refused
from tests.servers import Server
from tests.talks import assert_whole, sentences, stream_talk

_DEEP = 100_000

OUT_OF_RANGE = [
    ("language", "english"),
    ("language", "xx"),
    ("task", "sing"),
    ("prompt", "x" * 1001),
    ("words", "maybe"),
    ("vad_threshold", "0.96"),
    ("vad_threshold", "nan"),
    ("min_silence_ms", "99"),
    ("min_silence_ms", "1e9"),
    ("min_speech_ms", "-1"),
    ("reply", "xml"),
    ("format", "s24be"),
    ("rate", "0"),
    ("rate", "-1"),
    ("rate", "1000000000"),
    ("rate", "16000.5"),
    ("rate", "9" * 5000),
    ("channels", "0"),
    ("channels", "33"),
    ("chanels", "1"),
]


def test_base64_that_is_none(server: Server) -> None:
    texts = [
        "this is not base64!",
        "a",
        "UklGRg==UklGRg==",
        "data:audio/wav,UklGRg==",
        "data:audio/wav;base64",
        "data:audio/wav;base64,?",
        "données",
        "[1, 2, 3]",
        '"text"',
        "\ufeff{}",
    ]
    refused(server, [(text, "bad_base64") for text in texts], path="/transcription")


def test_base64_of_something_else(server: Server) -> None:
    texts = ["null", base64.b64encode(b"no audio at all").decode(), "A" * 900_000]
    refused(server, [(text, "unsupported_audio") for text in texts], path="/transcription")


def test_json_that_is_not_ours(server: Server) -> None:
    texts = [
        "{",
        "{}",
        "{]",
        '{"type"}',
        '{"type":"sing"}',
        '{"type":null}',
        '{"type":7}',
        '{"type":["stop"]}',
        '{"type":{"type":"stop"}}',
        '{"type":NaN}',
        '{"type":-Infinity}',
        '{"type":1e999}',
        '{"type":1' + "0" * 100_000 + "}",
        '{"type":"STOP"}',
        '{"Type":"stop"}',
        '{"type":"\\ud800"}',
        '{"type":"' + "x" * 100_000 + '"}',
        '{"type":"stop"}{"type":"stop"}',
        '{"type":"stop",}',
        "{'type':'stop'}",
        '{"type":"keepalive","type":"sing"}',
        '{"command":"start","sampleRate":16000}',
        '{"a":' * _DEEP + "1" + "}" * _DEEP,
        '{"type":' + "[" * _DEEP + "]" * _DEEP + "}",
        '{"type":' + "[" * 900 + "]" * 900 + "}",
        " \n{",
        '{"type":"start","words":true}',  # after the first audio
    ]
    refused(server, [(text, "bad_message") for text in texts])


def test_setting_out_of_range_in_the_query(server: Server) -> None:
    for name, value in OUT_OF_RANGE:
        heard = stream_talk(server.ws(f"/transcribe?{name}={value}"), [])

        [error] = heard.messages
        assert_helps(error, "bad_setting", fatal=True)
        assert name in error["message"]
        assert (heard.code, heard.reason) == (4400, "bad_setting")


def test_settings_out_of_range_in_start(server: Server) -> None:
    odd: list[tuple[str, object]] = [
        *OUT_OF_RANGE,
        ("rate", 0),
        ("rate", 10**9),
        ("rate", 10**400),
        ("rate", True),
        ("rate", [16000]),
        ("rate", float("nan")),
        ("rate", float("inf")),
        ("vad_threshold", float("nan")),
        ("vad_threshold", {}),
        ("words", {"words": True}),
        ("prompt", 7),
        ("prompt", "\ud800"),
        ("prompt", ["a"]),
        ("language", 49),
        ("reply", []),
    ]
    starts = [json.dumps({"type": "start", name: value}) for name, value in odd]
    starts += ['{"type":"start","' + name + '":' + "[" * 900 + "]" * 900 + "}" for name in ("words", "rate")]
    spoken = sentences()

    heard = stream_talk(server.ws("/transcribe"), [*starts, *spoken.wavs()])

    assert len(heard.of("error")) == len(starts)
    for error in heard.of("error"):
        assert_helps(error, "bad_setting")
    assert_whole(heard, samples=spoken.samples.shape[0])
    assert_right(spoken, heard)


@pytest.mark.parametrize("prompt", ["<|endoftext|>", "<|startoftranscript|><|en|>", "\0", "👩‍👩‍👧" * 100])
def test_odd_prompt_is_words_like_others(server: Server, prompt: str) -> None:
    spoken = sentences()
    start = json.dumps({"type": "start", "prompt": prompt})

    heard = stream_talk(server.ws("/transcribe"), [start, *spoken.wavs()])

    assert not heard.of("error")
    assert_whole(heard, samples=spoken.samples.shape[0])


def test_white_space_around_base64_is_none_of_it(server: Server) -> None:
    text = base64.b64encode(sentences().wavs()[0]).decode()
    accepted(server, [f"\r\n {text}\n", f"data:audio/wav;base64, {text}"], samples=2 * 8_000)
