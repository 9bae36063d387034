"""Short words, and noises after speech: ``python -m benchmarks.bench_short_words --words FOLDER``.

FOLDER holds one recorded digit a file, as ``…_nine_….wav``. They are played as one stream, 1.25 s of silence
after each, in several random orders. Each noise of ``tests/data`` is played after 7.5 s of a talk, in bursts
of 1.5 s, as it was recorded and four times as loud. A word after that talk is a phantom.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from benchmarks.machine import describe
from benchmarks.player import RATE, Player
from benchmarks.scoring import align
from whisper_service.audio.pcm import Samples
from whisper_service.config import StreamSettings
from whisper_service.events import Final
from whisper_service.files import read

_DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SPELLINGS = {str(number): word for number, word in enumerate(_DIGITS)} | {"to": "two", "too": "two"}
_BURST = 3 * RATE // 2


def series(folder: Path, seed: int) -> tuple[Samples, list[str]]:
    """Return the recorded words of ``folder`` in a random order, and what they are."""
    paths = sorted(folder.glob("*.wav"))
    random.Random(seed).shuffle(paths)
    said = [part for path in paths for part in path.stem.split("_") if part in _DIGITS]
    parts = [piece for path in paths for piece in (read(path), _silence(1.25))]
    return np.concatenate([_silence(1), *parts]), said


def noises() -> Iterator[tuple[str, Samples]]:
    """Yield each noise as bursts of 1.5 s with pauses of 1.5 s."""
    for path in [*sorted((_DATA / "noise").glob("*.flac")), *(_DATA / "cases").glob("*/babble_*.flac")]:
        pcm = read(path)
        bursts = [pcm[begin : begin + _BURST] for begin in range(0, pcm.shape[0] - _BURST // 2, _BURST)][:6]
        for loudness in (1, 4):
            louder = [np.clip(loudness * burst, -1, 1).astype(np.float32) for burst in bursts]
            yield (
                f"{path.stem} x {loudness}",
                np.concatenate([piece for burst in louder for piece in (burst, _silence(1.5))]),
            )


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), dtype=np.float32)


def _finals(player: Player, pcm: Samples) -> list[Final]:
    told = player.play(pcm, StreamSettings(language="en"))
    return [event for _, event in told if isinstance(event, Final)]


def _digits(finals: list[Final]) -> list[str]:
    text = "".join(final.text for final in finals).lower()
    return [_SPELLINGS.get(word, word) for word in re.findall(r"[a-z]+|[0-9]", text)]


@click.command(help=__doc__)
@click.option("--words", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--model", default="tiny.en", show_default=True)
@click.option("--orders", default=4, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(words: Path, model: str, orders: int, json_path: Path | None) -> None:
    player = Player(model)
    said = right = heard = 0
    for seed in range(orders):
        pcm, truth = series(words, seed)
        found = _digits(_finals(player, pcm))
        said, heard = said + len(truth), heard + len(found)
        right += sum(place is not None for place in align(truth, found))
    print(f"{said} short words: {right} right, {heard - right} others")
    talk = read(_DATA / "human" / "real-04.flac")[: 15 * RATE // 2]
    phantoms = {}
    for name, noise in noises():
        finals = _finals(player, np.concatenate([talk, _silence(1.5), noise]))
        phantoms[name] = [final.text for final in finals if final.start > talk.shape[0] + RATE // 2]
    for name, texts in phantoms.items():
        print(f"{name}: {len(texts)} {texts or ''}")
    print(f"{sum(map(len, phantoms.values()))} phantoms")
    if json_path:
        row = {"said": said, "right": right, "others": heard - right, "phantoms": phantoms}
        json_path.write_text(json.dumps({"model": model, **row, "machine": describe()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
