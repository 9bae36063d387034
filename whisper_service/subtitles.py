"""A transcript as text, SubRip, WebVTT or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.engine.request import Word
from whisper_service.events import Final
from whisper_service.sentences import begins_paragraph, ends_sentence, leading_mark

#: A cue ends with a sentence, before a pause of more than a second, or before a word that would make it
#: longer than two lines of 42 characters or 7 s (the usual rules of subtitling, e.g. Netflix's Timed Text
#: Style Guide).
_PAUSE_SAMPLES = SAMPLE_RATE
_CUE_LETTERS = 84
_CUE_SAMPLES = 7 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Cue:
    """A piece of text that is spoken in the samples ``[start, end)``."""

    start: int
    end: int
    text: str


def cues(finals: Iterable[Final]) -> list[Cue]:
    """Return the words of ``finals`` as cues that are short enough to be read while they are spoken."""
    groups: list[list[Word]] = []
    for word in _with_their_marks(word for final in finals for word in final.words):
        if not groups or _is_full(groups[-1], word):
            groups.append([])
        groups[-1].append(word)
    return [
        Cue(group[0].start, max(group[-1].end, group[0].start), "".join(word.text for word in group).strip())
        for group in groups
    ]


def _with_their_marks(words: Iterable[Word]) -> list[Word]:
    """Return the words, each with the punctuation after it, even if a later final begins with that."""
    whole: list[Word] = []
    for word in words:
        mark = leading_mark(word.text) if whole else ""
        if mark:
            whole[-1] = replace(whole[-1], text=whole[-1].text + mark)
            word = replace(word, text=word.text.removeprefix(mark))
        if word.text:
            whole.append(word)
    return whole


def _is_full(group: Sequence[Word], word: Word) -> bool:
    letters = sum(len(item.text) for item in group) + len(word.text)
    return (
        ends_sentence(group[-1].text)
        or word.start - group[-1].end > _PAUSE_SAMPLES
        or word.end - group[0].start > _CUE_SAMPLES
        or letters > _CUE_LETTERS
    )


def as_text(finals: Sequence[Final]) -> str:
    """Return the transcript as text, with an empty line between paragraphs."""
    paragraphs: list[str] = []
    end = 0
    for final in finals:
        if not paragraphs or begins_paragraph(paragraphs[-1], pause=final.start - end):
            paragraphs.append("")
        paragraphs[-1] += final.text
        end = final.end
    return "\n\n".join(paragraph.strip() for paragraph in paragraphs)


def as_srt(finals: Sequence[Final]) -> str:
    """Return the transcript as SubRip."""
    return "\n".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{cue.text}\n"
        for number, cue in enumerate(cues(finals), start=1)
    )


def as_vtt(finals: Sequence[Final]) -> str:
    """Return the transcript as WebVTT (W3C)."""
    blocks = [
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_escaped(cue.text)}\n" for cue in cues(finals)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def as_json(finals: Sequence[Final]) -> str:
    """Return the text, the finals and the words as JSON, with times in seconds."""
    transcript = {
        "text": "".join(final.text for final in finals),
        "language": finals[-1].language if finals else None,
        "finals": [
            {
                "id": final.number,
                "text": final.text,
                "start": final.start / SAMPLE_RATE,
                "end": final.end / SAMPLE_RATE,
                "words": [
                    {
                        "word": word.text,
                        "start": word.start / SAMPLE_RATE,
                        "end": word.end / SAMPLE_RATE,
                        "probability": round(word.probability, 3),
                    }
                    for word in final.words
                ],
            }
            for final in finals
        ],
    }
    return json.dumps(transcript, ensure_ascii=False, indent=2)


FORMATS: dict[str, Callable[[Sequence[Final]], str]] = {
    "txt": as_text,
    "srt": as_srt,
    "vtt": as_vtt,
    "json": as_json,
}


def _clock(samples: int, point: str) -> str:
    milliseconds = round(samples * 1000 / SAMPLE_RATE)
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
