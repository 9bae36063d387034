"""Delay and recall of keyword events: ``python -m benchmarks.bench_keywords --talks FOLDER``.

The keywords of a talk are its five longest words and two pairs of adjacent words, so all of them are said.
The talk is played in slices of 500 ms on a simulated clock, as in ``bench_quality``, once with the keywords
and once without.

*Recall* is the share of the keywords in the final text that confirmed events report. *Delay* is the time from
the end of the spoken keyword to the first event. *Of the truth* is the share of the keywords really said that
confirmed events report.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import jiwer
import numpy as np
from whisper.normalizers import EnglishTextNormalizer

from benchmarks.machine import describe
from benchmarks.player import MODEL, RATE, Player, Talk, load_talk
from benchmarks.scoring import Spoken
from whisper_service.config import StreamSettings
from whisper_service.events import Final, KeywordSpotted
from whisper_service.session.keywords import stems

WORDS, PAIRS = 5, 2
#: An event belongs to a spoken keyword if the ends of both are at most this far apart.
_NEAR_S = 1.0


@dataclass(slots=True)
class Told:
    """The transcript and keyword events that a client receives for one talk.

    :param first: for each hit, by its number, the time of its first event in seconds of the stream's clock.
    :param last: for each hit, by its number, its last event.
    """

    transcript: str = ""
    first: dict[int, float] = field(default_factory=dict)
    last: dict[int, KeywordSpotted] = field(default_factory=dict)

    @property
    def confirmed(self) -> list[KeywordSpotted]:
        return [hit for hit in self.last.values() if hit.final]


def keywords_of(talk: Talk) -> list[str]:
    """Return the longest words of the truth, and pairs of adjacent words within a sentence."""
    plain = [stem for word in talk.words for stem in [" ".join(stems(word.text, "xx"))] if stem]
    longest = sorted(dict.fromkeys(plain), key=lambda word: -len(word))[:WORDS]
    pairs = [
        f"{one.text} {other.text}"
        for one, other in zip(talk.words[20::40], talk.words[21::40], strict=False)
        if one.text.isalpha() and other.text.strip(".,").isalpha()
    ]
    return [*longest, *pairs[:PAIRS]]


def listen(player: Player, talk: Talk, keywords: Sequence[str]) -> Told:
    """Play the talk; return its transcript and keyword events. Blocks."""
    told = Told()
    for at, event in player.play(talk.pcm, StreamSettings(keywords=tuple(keywords))):
        if isinstance(event, KeywordSpotted):
            told.first.setdefault(event.number, at)
            told.last[event.number] = event
        elif isinstance(event, Final):
            told.transcript += event.text
    return told


def places(keyword: str, words: Sequence[str]) -> int:
    """Return how often ``keyword`` occurs in a text. Occurrences do not overlap."""
    wanted, units = stems(keyword, "en"), [stem for word in words for stem in stems(word, "en")]
    at = found = 0
    while at + len(wanted) <= len(units):
        hit = tuple(units[at : at + len(wanted)]) == wanted
        found += hit
        at += len(wanted) if hit else 1
    return found


def spoken_ends(keyword: str, words: Sequence[Spoken]) -> list[float]:
    """Return the end of each occurrence of ``keyword`` in the truth, in seconds."""
    wanted = stems(keyword, "en")
    units = [(stem, word.end) for word in words for stem in stems(word.text, "en")]
    return [
        units[at + len(wanted) - 1][1]
        for at in range(len(units) - len(wanted) + 1)
        if tuple(stem for stem, _ in units[at : at + len(wanted)]) == wanted
    ]


@click.command(help=__doc__)
@click.option("--talks", type=Path, required=True)
@click.option("--count", default=5, help="number of talks to play")
@click.option("--model", default=MODEL)
@click.option("--json", "json_path", type=Path)
def main(talks: Path, count: int, model: str, json_path: Path | None) -> None:
    """Run the benchmark and print the figures."""
    player, normalise = Player(model), EnglishTextNormalizer()
    texts: dict[str, list[str]] = {"truth": [], "with": [], "without": []}
    delays: list[float] = []
    counts = dict.fromkeys(("said", "of_them_told", "in_finals", "told", "retracted", "left_open"), 0)
    for path in sorted(talks.glob("*.flac"))[:count]:
        talk = load_talk(path)
        keywords = keywords_of(talk)
        told = listen(player, talk, keywords)
        texts["truth"].append(normalise(talk.text))
        texts["with"].append(normalise(told.transcript))
        texts["without"].append(normalise(listen(player, talk, ()).transcript))
        for keyword in keywords:
            ends = spoken_ends(keyword, talk.words)
            hits = [hit for hit in told.confirmed if hit.keyword == keyword]
            near = [(hit, end) for end in ends for hit in hits if abs(hit.end / RATE - end) <= _NEAR_S]
            delays += [told.first[hit.number] - end for hit, end in near]
            counts["said"] += len(ends)
            counts["of_them_told"] += len(near)
            counts["in_finals"] += places(keyword, told.transcript.split())
            counts["told"] += len(hits)
        counts["retracted"] += sum(hit.retracted for hit in told.last.values())
        counts["left_open"] += sum(not (hit.final or hit.retracted) for hit in told.last.values())
        print(talk.name, keywords, flush=True)
    p50, p95 = np.percentile(delays, [50, 95])
    row: dict[str, Any] = {
        **counts,
        "recall": round(counts["told"] / counts["in_finals"], 3),
        "of_the_truth": round(counts["of_them_told"] / counts["said"], 3),
        "delay_s": [round(float(p50), 2), round(float(p95), 2)],
        "wer_with": round(100 * jiwer.wer(texts["truth"], texts["with"]), 2),
        "wer_without": round(100 * jiwer.wer(texts["truth"], texts["without"]), 2),
    }
    print(json.dumps(row, indent=2))
    if json_path:
        json_path.write_text(json.dumps({"machine": describe(), "row": row}, indent=2) + "\n")


if __name__ == "__main__":
    main()
