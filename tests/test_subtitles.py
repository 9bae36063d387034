"""Transcripts as text files, subtitles and JSON."""

from __future__ import annotations

import json

import pytest

from whisper_service.engine.request import Word
from whisper_service.events import Final
from whisper_service.subtitles import FORMATS, cues

RATE = 16_000


def _final(number: int, *spoken: tuple[str, float, float]) -> Final:
    words = tuple(
        Word(text, round(start * RATE), round(end * RATE), round(end * RATE), 0.5, ())
        for text, start, end in spoken
    )
    text = "".join(word.text for word in words)
    return Final(number, text, words[0].start, words[-1].end, words, "en", words[-1].end)


FINALS = [
    _final(0, (" It", 0.5, 0.7), (" rains", 0.7, 1.0)),
    _final(1, (" here.", 1.0, 1.5), (" Cats", 1.6, 2.0), (" &", 2.0, 2.1), (" dogs", 2.1, 3661.25)),
]


def test_cues_end_with_sentences_not_with_finals() -> None:
    assert [cue.text for cue in cues(FINALS)] == ["It rains here.", "Cats &", "dogs"]


def test_a_pause_begins_a_new_cue() -> None:
    told = [_final(0, (" one", 0.0, 0.5), (" two", 1.6, 2.0))]
    assert [cue.text for cue in cues(told)] == ["one", "two"]


def test_no_cue_ends_with_an_abbreviation() -> None:
    told = [_final(0, (" Margaret", 0.0, 0.5), (" said", 0.5, 0.8), (" Mr.", 0.8, 1.0), (" Hale.", 1.0, 1.4))]
    assert [cue.text for cue in cues(told)] == ["Margaret said Mr. Hale."]


def test_a_mark_that_opens_a_final_ends_the_cue_of_the_word_before_it() -> None:
    told = [
        _final(0, (" It", 0.0, 0.5), (" rains", 0.5, 0.8)),
        _final(1, (". Then", 0.9, 1.1), (" sun", 1.2, 1.5)),
    ]
    assert [cue.text for cue in cues(told)] == ["It rains.", "Then sun"]


def test_text_has_paragraphs_where_people_pause() -> None:
    told = [
        _final(0, (" One.", 0.0, 0.5), (" Two.", 0.6, 1.0)),
        _final(1, (" Three.", 2.9, 3.2)),
        _final(2, (" Four.", 5.3, 6.0)),
    ]
    assert FORMATS["txt"](told) == "One. Two. Three.\n\nFour."


def test_a_cue_holds_no_more_than_can_be_read() -> None:
    long = [_final(0, *((f" word{index}", index * 0.1, index * 0.1 + 0.1) for index in range(60)))]
    assert all(len(cue.text) <= 84 for cue in cues(long)) and len(cues(long)) > 1


@pytest.mark.parametrize(
    ("style", "begins"),
    [
        ("txt", "It rains here. Cats & dogs"),
        (
            "srt",
            "1\n00:00:00,500 --> 00:00:01,500\nIt rains here.\n\n2\n00:00:01,600 --> 00:00:02,100\nCats &\n",
        ),
        (
            "vtt",
            "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nIt rains here.\n\n"
            "00:00:01.600 --> 00:00:02.100\nCats &amp;\n",
        ),
    ],
)
def test_formats(style: str, begins: str) -> None:
    assert FORMATS[style](FINALS).startswith(begins)


def test_hours_are_written() -> None:
    assert "01:01:01,250" in FORMATS["srt"](FINALS)


def test_json_holds_every_word() -> None:
    transcript = json.loads(FORMATS["json"](FINALS))
    assert transcript["text"] == " It rains here. Cats & dogs"
    assert transcript["finals"][1]["words"][0] == {
        "word": " here.",
        "start": 1.0,
        "end": 1.5,
        "probability": 0.5,
    }


@pytest.mark.parametrize(("style", "empty"), [("txt", ""), ("srt", ""), ("vtt", "WEBVTT\n")])
def test_nothing_said_is_a_valid_file(style: str, empty: str) -> None:
    assert FORMATS[style]([]) == empty
