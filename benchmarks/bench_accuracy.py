"""Word error rate of streams against openai-whisper: ``python -m benchmarks.bench_accuracy --talks FOLDER``.

FOLDER holds FLAC files, each with a JSON file of the same name, whose ``text`` is the reference transcript.
Every talk passes through a session and the engine in slices of 500 ms, as fast as they can process it. For
comparison, ``whisper.transcribe(…, temperature=0.0, condition_on_previous_text=False)`` decodes the whole
file in float32. All texts are normalised with Whisper's ``EnglishTextNormalizer``. The final figures are word
error rates of the whole corpus.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import jiwer
import whisper
from whisper.normalizers import EnglishTextNormalizer

from benchmarks.machine import describe
from whisper_service.audio.decode import decode
from whisper_service.config import StreamSettings
from whisper_service.engine.runner import Runner
from whisper_service.events import Done, Final
from whisper_service.model.checkpoints.find import find_checkpoint
from whisper_service.model.checkpoints.load import load_model
from whisper_service.model.speech.detector import SpeechDetector
from whisper_service.replay import replay

ROOT = Path(__file__).resolve().parents[1]
_SLICE_SAMPLES = 8_000
_GRID_SAMPLES = 8_000


@click.command(help=__doc__)
@click.option("--talks", type=Path, required=True)
@click.option("--model", "checkpoint", default=str(ROOT / "models" / "micro.en.pt"))
@click.option("--json", "json_path", type=Path)
def main(talks: Path, checkpoint: str, json_path: Path | None) -> None:
    """Run the benchmark; print a line for each talk, then the figures of the corpus."""
    model = load_model(find_checkpoint(checkpoint, deadline_s=600))
    runner, detector, normalise = Runner(model), SpeechDetector(), EnglishTextNormalizer()
    runner.warm_up()
    truths, streamed, whole, rows = [], [], [], []
    for path in sorted(talks.glob("*.flac")):
        pcm = decode(path.read_bytes()).samples
        truths.append(normalise(json.loads(path.with_suffix(".json").read_text())["text"]))
        begin = time.perf_counter()
        slices = (pcm[start : start + _SLICE_SAMPLES] for start in range(0, pcm.shape[0], _SLICE_SAMPLES))
        events = list(
            replay(
                slices,
                runner=runner,
                detector=detector,
                settings=StreamSettings(),
                grid_samples=_GRID_SAMPLES,
            )
        )
        took_s = time.perf_counter() - begin
        done = events[-1]
        assert isinstance(done, Done)
        finals = [event for event in events if isinstance(event, Final)]
        account = done.account
        assert account.received == pcm.shape[0] == account.speech + account.silent + account.lost
        streamed.append(normalise("".join(final.text for final in finals)))
        begin = time.perf_counter()
        result = whisper.transcribe(model, pcm, temperature=0.0, condition_on_previous_text=False, fp16=False)
        whole_s = time.perf_counter() - begin
        whole.append(normalise(result["text"]))
        rows.append(
            {
                "talk": path.stem,
                "seconds": round(pcm.shape[0] / 16_000, 1),
                "stream_wer": round(jiwer.wer(truths[-1], streamed[-1]), 4),
                "whisper_wer": round(jiwer.wer(truths[-1], whole[-1]), 4),
                "stream_s": round(took_s, 1),
                "whisper_s": round(whole_s, 1),
                "finals": len(finals),
            }
        )
        print(rows[-1], flush=True)
    result = {
        "machine": describe(),
        "stream_wer": round(jiwer.wer(truths, streamed), 4),
        "whisper_wer": round(jiwer.wer(truths, whole), 4),
        "talks": rows,
    }
    print(json.dumps({key: value for key, value in result.items() if key != "talks"}, indent=2))
    if json_path:
        json_path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
