"""Detects languages in rough and in whole windows: ``python -m benchmarks.bench_language --model base``.

The beginnings and the middles of the clips in ``tests/data`` (FLEURS in four languages, and two English
readings) are cut to a few lengths. Each piece is asked about twice: encoded as a whole, and encoded roughly,
as a stream does it while its language is not certain (``Request.rough``). Milliseconds are medians, and
contain the text of the piece.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

import click

from benchmarks.machine import describe
from whisper_service.audio.pcm import Samples
from whisper_service.engine.request import Hypothesis, Kind, Request
from whisper_service.engine.runner import Runner
from whisper_service.files import read
from whisper_service.model.checkpoints.find import find_checkpoint

_DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
#: Probability from which a stream believes a detection (``session/language.py``).
_SURE = 0.7
_RATE = 16_000


def clips() -> list[tuple[str, Samples]]:
    """Return the language and the samples of each clip."""
    foreign = [
        (path.stem.split("_")[1], read(path)) for path in sorted((_DATA / "languages").glob("fleurs_*.*"))
    ]
    return foreign + [("en", read(path)) for path in sorted((_DATA / "human").glob("*.flac"))]


def detect(runner: Runner, pcm: Samples, *, rough: bool) -> tuple[Hypothesis, float]:
    """Return the answer about a window, and how long it took in milliseconds."""
    begin = time.perf_counter()
    answer = runner.run(
        Request(stream="s", number=0, kind=Kind.DISPLAY, start=0, pcm=pcm, detect=True, rough=rough)
    )
    return answer, 1000 * (time.perf_counter() - begin)


@click.command(help=__doc__)
@click.option("--model", default="base", show_default=True)
@click.option("--dtype", default="float32", show_default=True, help="see WHISPER_DTYPE")
@click.option("--seconds", type=float, multiple=True, default=(0.6, 1.2, 2.0, 4.0), show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(model: str, dtype: str, seconds: tuple[float, ...], json_path: Path | None) -> None:
    runner = Runner.load(find_checkpoint(model, deadline_s=60), device="cpu", dtype=dtype)
    runner.warm_up()
    rows = []
    print("| length | pieces | same language | right: whole, rough | sure and wrong | milliseconds |")
    print("|---|---|---|---|---|---|")
    for length in seconds:
        found = []
        took: tuple[list[float], list[float]] = ([], [])
        for language, pcm in clips():
            for begin in (0, pcm.shape[0] // 2):
                piece = pcm[begin : begin + round(length * _RATE)]
                whole, whole_ms = detect(runner, piece, rough=False)
                rough, rough_ms = detect(runner, piece, rough=True)
                found.append((language, whole, rough))
                took[0].append(whole_ms)
                took[1].append(rough_ms)
        pairs = {
            "right": [sum(pair[at].detected == truth for truth, *pair in found) for at in (0, 1)],
            "sure_and_wrong": [sum(_misleads(truth, pair[at]) for truth, *pair in found) for at in (0, 1)],
            "ms": [round(statistics.median(times)) for times in took],
        }
        same = sum(whole.detected == rough.detected for _, whole, rough in found)
        rows.append({"seconds": length, "pieces": len(found), "same": same, **pairs})
        cells = " | ".join(f"{whole}, {rough}" for whole, rough in pairs.values())
        print(f"| {length:g} s | {len(found)} | {same} | {cells} |", flush=True)
    if json_path:
        json_path.write_text(json.dumps({"model": model, "rows": rows, "machine": describe()}, indent=1))


def _misleads(language: str, answer: Hypothesis) -> bool:
    return answer.detected != language and answer.language_probability >= _SURE


if __name__ == "__main__":
    main()
