"""Settings of the service and of a stream."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner

from whisper_service.cli import main
from whisper_service.config import Config, StreamSettings, describe
from whisper_service.errors import BadSetting, ConfigError


def test_defaults() -> None:
    config = Config.from_mapping({})
    assert (config.model.name, config.model.device, config.stream.min_silence_ms) == ("auto", "auto", 500)


def test_text_from_the_environment_is_converted_and_wins() -> None:
    config = Config.from_mapping(
        {"WHISPER_MIN_SILENCE_MS": 700, "WHISPER_MODEL": "tiny", "DEBUG": True},
        {"WHISPER_MIN_SILENCE_MS": "800", "PATH": "x"},
    )
    assert (config.stream.min_silence_ms, config.model.name) == (800, "tiny")


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("WHISPER_MODLE", "tiny", "There is no setting WHISPER_MODLE. Did you mean WHISPER_MODEL?"),
        ("WHISPER_MIN_SILENCE_MS", "soon", "WHISPER_MIN_SILENCE_MS is 'soon'; accepted: 100 … 5,000 ms."),
        ("WHISPER_MIN_SILENCE_MS", 99, "WHISPER_MIN_SILENCE_MS is 99; accepted: 100 … 5,000 ms."),
        ("WHISPER_MIN_SILENCE_MS", 500.5, "WHISPER_MIN_SILENCE_MS is 500.5; accepted: 100 … 5,000 ms."),
        ("WHISPER_VAD_THRESHOLD", "nan", "WHISPER_VAD_THRESHOLD is 'nan'; accepted: 0.05 … 0.95."),
        ("WHISPER_VAD_THRESHOLD", True, "WHISPER_VAD_THRESHOLD is True; accepted: 0.05 … 0.95."),
        ("WHISPER_DEVICE", "gpu", "WHISPER_DEVICE is 'gpu'; accepted: auto | cpu | cuda | cuda:N."),
        (
            "WHISPER_RAW_FORMAT",
            "mp3",
            "WHISPER_RAW_FORMAT is 'mp3'; accepted: (empty) | s16le | f32le | mulaw | alaw.",
        ),
        (
            "WHISPER_LANGUAGE",
            "English",
            "WHISPER_LANGUAGE is 'English'; accepted: auto | a language code such as en or de.",
        ),
    ],
)
def test_what_is_not_accepted_is_named_with_what_is(key: str, value: object, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Config.from_mapping({key: value})
    assert str(raised.value) == problem


def test_query_parameters_choose_the_settings_of_a_stream() -> None:
    chosen = {"language": "DE", "words": "1", "format": "f32le", "rate": "48000", "channels": "2"}
    settings = StreamSettings().merged(chosen)
    assert settings.language == "de" and settings.words
    raw = settings.raw_format
    assert raw is not None and (raw.encoding, raw.rate, raw.channels) == ("f32le", 48_000, 2)


@pytest.mark.parametrize("rate", ["0", "1000000000", "-1", "1e3x", "inf", [], {}])
def test_a_stream_cannot_choose_what_the_server_does_not_list(rate: object) -> None:
    with pytest.raises(BadSetting, match=r"rate is .*; accepted: auto \| 1,000 … 384,000 Hz"):
        StreamSettings().merged({"rate": rate})


@pytest.mark.parametrize("text", ["exam, deadline,,exam , ", ["exam", "deadline"], ("exam", " deadline")])
def test_keywords_are_a_list_or_a_text_with_commas(text: object) -> None:
    assert StreamSettings().merged({"keywords": text}).keywords == ("exam", "deadline")


@pytest.mark.parametrize("bad", [3, None, ["a", 1], {"a": 1}, "x" * 101, ",".join(map(str, range(101)))])
def test_keywords_out_of_range_are_refused(bad: object) -> None:
    with pytest.raises(BadSetting, match="keywords is .*; accepted: words or phrases"):
        StreamSettings().merged({"keywords": bad})


def test_an_unknown_setting_of_a_stream_is_named() -> None:
    with pytest.raises(BadSetting, match="There is no setting 'langauge'. Did you mean language?"):
        StreamSettings().merged({"langauge": "de"})


def test_the_servers_defaults_are_those_of_a_stream() -> None:
    chosen = {
        "language": "fr",
        "prompt": "Poincaré",
        "context": False,
        "policy": "align_att",
        "vad_threshold": 0.3,
        "min_silence_ms": 700,
        "min_speech_ms": 100,
    }
    keys = {item.name for item in describe(Config)}
    assert set(chosen) == {
        item.name for item in fields(StreamSettings) if f"WHISPER_{item.name.upper()}" in keys
    }
    config = Config.from_mapping({f"WHISPER_{name.upper()}": value for name, value in chosen.items()})
    assert config.stream == StreamSettings(**chosen)


@pytest.mark.parametrize("kind", [Config, StreamSettings])
def test_every_setting_is_documented(kind: type[Config] | type[StreamSettings]) -> None:
    document = (Path(__file__).resolve().parents[1] / "docs" / "config.md").read_text()
    for item in describe(kind):
        accepts = item.accepts.replace("|", r"\|")
        assert f"| `{item.name}` | `{item.default}` | {accepts} | {item.description} |" in document


def test_the_command_line_prints_them() -> None:
    output = CliRunner().invoke(main, ["settings"]).output
    assert "WHISPER_MODEL = auto" in output and "vad_threshold = 0.5" in output
