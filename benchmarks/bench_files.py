"""Word error rate and speed of whole files: ``python -m benchmarks.bench_files --talks FOLDER --model NAME``.

FOLDER holds FLAC files, each with a JSON file of the same name, whose ``text`` is the reference transcript.
The files are transcribed together, as ``python -m whisper_service transcribe`` does it, once for each number
of beams. ``--noise FILE --snr DB`` mixes a noise with every talk.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import jiwer
import numpy as np
from whisper.normalizers import EnglishTextNormalizer

from benchmarks.machine import describe
from whisper_service.assembly import Assembly
from whisper_service.audio.pcm import SAMPLE_RATE, Samples
from whisper_service.config import Config, ModelSettings, StreamSettings
from whisper_service.files import read
from whisper_service.offline import transcribe


@click.command(help=__doc__)
@click.option("--talks", type=Path, required=True)
@click.option("--model", required=True, help="A name, a file or a folder; computed in float32 on the CPU.")
@click.option("--beams", multiple=True, type=int, default=(1, 5), show_default=True)
@click.option("--noise", type=Path)
@click.option("--snr", default=10.0, show_default=True, help="Ratio of speech to noise, in dB.")
def main(talks: Path, model: str, beams: tuple[int, ...], noise: Path | None, snr: float) -> None:
    """Run the benchmark; print a line for each number of beams."""
    print(json.dumps(describe()))
    assembly = Assembly.of(Config(ModelSettings(name=model, device="cpu", dtype="float32")))
    runner, detector, normalise = assembly.runner(), assembly.detector(), EnglishTextNormalizer()
    paths = sorted(talks.glob("*.flac"))
    files = [read(path) for path in paths]
    if noise is not None:
        files = [_mixed(pcm, read(noise), snr) for pcm in files]
    truths = [normalise(json.loads(path.with_suffix(".json").read_text())["text"]) for path in paths]
    seconds = sum(pcm.shape[0] for pcm in files) / SAMPLE_RATE
    for count in beams:
        began = time.perf_counter()
        transcripts = transcribe(
            files,
            runner=runner,
            batch=runner.max_batch_offline,
            detector=detector,
            settings=StreamSettings(language="en", beam_size=count),
        )
        took_s = time.perf_counter() - began
        texts = [normalise("".join(final.text for final in finals)) for finals in transcripts]
        row = {"beams": count, "wer": round(jiwer.wer(truths, texts), 4), "speed": round(seconds / took_s, 1)}
        print(json.dumps(row), flush=True)


def _mixed(pcm: Samples, noise: Samples, snr: float) -> Samples:
    """Return the speech with the noise, repeated to its length."""
    long = np.resize(noise, pcm.shape[0])
    gain = np.sqrt((pcm**2).mean() / (long**2).mean() / 10 ** (snr / 10))
    mixed: Samples = (pcm + gain * long).astype(np.float32)
    return mixed


if __name__ == "__main__":
    main()
