"""The cost of one live update, in our engine and in others: ``python -m benchmarks.bench_engine``.

An update transcribes a window that has grown by 500 ms since the update before, whose hypothesis is known.
The windows grow from 4 to 8 s; ``--seconds 16 24`` takes others. Every engine gets the same windows,
checkpoint and number of threads, in the same run. Ours goes on from the state of the update before. Other
rows show the cost with the whole encoder at every update (``WHISPER_ENCODER=full``).

``--weights FILE`` with ``--talks FOLDER`` measures a real checkpoint on real speech. These are the figures
that count. Without ``--weights``, the demonstration model is measured, and then models of common shapes that
recite a text (``benchmarks/reciting.py``: 45 known tokens and 5 new ones). Without ``--talks``, the bundled
talk is used. A recited text has no outliers in the hidden states and no doubtful words, so real checkpoints
can cost more. Our engine also gives the time of every word; the others are not asked for it.

``--weights`` and ``--shapes`` are repeated for several values: ``--shapes tiny.en --shapes base.en``.

*Page faults* are the minor page faults of this process during an update: new pages that the system had to
map.

*Floor* is the time that the multiplications of an update take at the speed of a plain matrix product of the
encoder's size on the same cores. ``--device cuda`` leaves out the other engines and measures larger shapes.
"""

from __future__ import annotations

import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import jiwer
import numpy as np
import torch
import whisper
from numpy.typing import NDArray
from whisper.model import ModelDimensions
from whisper.normalizers import EnglishTextNormalizer

from benchmarks.machine import describe
from benchmarks.player import MODEL, RATE
from benchmarks.reciting import SHAPES, recited, reciting_model
from benchmarks.rivals import Update, faster_whisper_batched, rivals
from whisper_service.config import StreamSettings
from whisper_service.engine.request import Hypothesis, Kind, Request
from whisper_service.engine.runner import Runner
from whisper_service.files import read
from whisper_service.model.checkpoints.find import find_checkpoint
from whisper_service.model.checkpoints.load import load_model
from whisper_service.model.decoding.decode import decode
from whisper_service.model.decoding.rules import Rules
from whisper_service.model.decoding.sampler import Sampler
from whisper_service.model.decoding.sequence import TokenSequence, capacity_for
from whisper_service.model.decoding.vocabulary import Vocabulary
from whisper_service.model.network.decoder import Decoder
from whisper_service.model.network.graphs import recorder
from whisper_service.model.network.precision import resolve_precision
from whisper_service.model.network.weights import decoder_weights
from whisper_service.model.speech.detector import SpeechDetector
from whisper_service.offline import transcribe, utterances

Samples = NDArray[np.float32]

_SAMPLE = Path(__file__).resolve().parents[1] / "static" / "samples" / "talk-00.flac"
#: Two windows differ by this much, in seconds.
_GROWTH_S = 0.5
#: The number of windows that are measured. The text of a talk changes from window to window, but a shape
#: recites the same text in all of them, so three are enough.
_WINDOWS, _RECITED_WINDOWS = 8, 3
_KNOWN, _NEW = 45, 5
#: The approximate length of the file: a shorter talk is repeated.
_FILE_S = 130
_BATCHES = {"cpu": (1, 2, 4, 8, 16), "cuda": (1, 4, 16, 64, 128)}

_normalise = EnglishTextNormalizer()


class Timed(NamedTuple):
    """The median seconds and page faults of an update, and each stream's text of the longest window."""

    seconds: float
    faults: float
    texts: list[str]


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _streams(talks: Sequence[Samples], count: int, seconds: float) -> list[Samples]:
    """Return ``count`` sections. Like the windows of streams, they begin where utterances begin."""
    samples = round(seconds * RATE)
    settings = StreamSettings()
    stretches = [
        pcm[start : start + samples]
        for pcm, speech in zip(talks, SpeechDetector().of_recordings(talks), strict=True)
        for start, _ in utterances(pcm, speech, settings)
        if start + samples <= pcm.shape[0]
    ]
    step = max(1, len(stretches) // count)
    return [stretches[number * step % len(stretches)] for number in range(count)]


def time_rival(start: Callable[[], Update], streams: Sequence[Samples], windows_s: Sequence[float]) -> Timed:
    """Return the cost of an update. The engine exists only during this call."""
    update = start()
    update(streams[0][: 2 * RATE])
    seconds, faults, texts = [], [], []
    for stream in streams:
        for window_s in windows_s:
            before, begin = _faults(), time.perf_counter()
            text = update(stream[: round(window_s * RATE)])
            seconds.append(time.perf_counter() - begin)
            faults.append(_faults() - before)
        texts.append(text)
    return Timed(statistics.median(seconds), statistics.median(faults), texts)


def time_ours(
    runner: Runner,
    streams: Sequence[Samples],
    windows_s: Sequence[float],
    *,
    draft: bool = True,
    whole: bool = False,
    known: Sequence[int] = (),
) -> Timed:
    """Return the cost of an update per stream, when all ``streams`` share a batch.

    Each window that is measured follows one that is shorter by half a second.

    :param draft: whether a request passes the known hypothesis as its draft.
    :param whole: whether every window is encoded as a whole.
    :param known: the tokens that every update knows; if empty, those of the update before.
    """
    answers: Sequence[Hypothesis] = []
    seconds, faults = [], []
    heard: tuple[int, ...] = ()
    for window_s in sorted({*windows_s, *(window_s - _GROWTH_S for window_s in windows_s)}):
        drafts = [tokens(answer) for answer in answers] or [()] * len(streams)
        if known:
            drafts = [tuple(known)] * len(streams)
        requests = [
            Request(
                stream=f"stream {number}",
                number=0,
                kind=Kind.COMMIT,
                start=0,
                pcm=stream[: round(window_s * RATE)],
                heard=None if whole else heard,
                language="en",
                draft=drafts[number] if draft else (),
            )
            for number, stream in enumerate(streams)
        ]
        before, begin = _faults(), time.perf_counter()
        answers = runner.run_batch(requests)
        if window_s in windows_s:
            seconds.append((time.perf_counter() - begin) / len(streams))
            faults.append((_faults() - before) / len(streams))
        heard += (round(window_s * RATE),)
    for number in range(len(streams)):
        runner.forget(f"stream {number}")
    texts = [text(answer) for answer in answers]
    return Timed(statistics.median(seconds), statistics.median(faults), texts)


def tokens(answer: Hypothesis) -> tuple[int, ...]:
    """Return the tokens of an answer."""
    return tuple(token for word in answer.words for token in word.tokens)


def text(answer: Hypothesis) -> str:
    """Return the text of an answer."""
    return "".join(word.text for word in answer.words)


def operations(dims: ModelDimensions, count: int) -> float:
    """Return the number of floating point operations of one update whose text has ``count`` tokens."""
    width, length = dims.n_audio_state, dims.n_audio_ctx
    convolutions = 2 * length * 3 * dims.n_mels * width + length * 3 * width * width
    layer = length * 12 * width * width + 2 * length * length * width
    crossed = dims.n_text_layer * length * 2 * width * width
    token = dims.n_text_layer * (14 * width * width + 2 * length * width) + dims.n_vocab * width
    products: float = convolutions + dims.n_audio_layer * layer + crossed + count * token
    return 2.0 * products


def product_speed(width: int, dtype: torch.dtype, device: torch.device) -> float:
    """Return the floating point operations per second of a product (1500 × width) · (width × 4 width)."""
    left = torch.randn(1500, width, device=device).to(dtype)
    right = torch.randn(4 * width, width, device=device).to(dtype)
    seconds = _best_of(lambda: torch.nn.functional.linear(left, right), 30, device)
    return 2.0 * 1500 * width * 4 * width / seconds


def _best_of(call: Callable[[], Any], times: int, device: torch.device) -> float:
    measured = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        measured.append(time.perf_counter() - begin)
    return min(measured)


def bench_updates(
    name: str,
    model: whisper.Whisper,
    runner: Runner,
    others: dict[str, Callable[[], Update]],
    streams: Sequence[Samples],
    windows_s: Sequence[float],
    known: Sequence[int] = (),
) -> dict[str, Any]:
    """Print the table of one checkpoint and return its rows."""
    device = runner.device
    batches = _BATCHES[device.type]
    rows: dict[str, dict[str, Any]] = {}
    ours: dict[str, Timed] = {
        f"ours, {count} stream{'s' * (count > 1)}": time_ours(runner, streams[:count], windows_s, known=known)
        for count in batches
    }
    ours["ours, 1 stream, no draft"] = time_ours(runner, streams[:1], windows_s, draft=False)
    for count in (1, batches[-1]):
        ours[f"ours, {count} stream{'s' * (count > 1)}, whole encoder"] = time_ours(
            runner, streams[:count], windows_s, whole=True, known=known
        )
    one = ours["ours, 1 stream"].seconds
    many = ours["ours, 8 streams"].seconds if 8 in batches else 0.0
    print(f"\n### {name}, {runner.precision.value}\n")
    print("| engine | ms per update | × ours, 1 stream | × ours, 8 streams | page faults | words differ |")
    print("|---|---|---|---|---|---|")
    heard = ours[f"ours, {batches[-1]} streams"].texts
    for label, (seconds, faults, _) in ours.items():
        rows[label] = {"ms": round(1000 * seconds, 1), "faults": round(faults)}
        print(f"| {label} | {1000 * seconds:.0f} | {seconds / one:.2f} | | {faults:.0f} | |", flush=True)
    played = streams[:1] if known else streams[:2]
    for label, start in others.items():
        seconds, faults, texts = time_rival(start, played, windows_s)
        expected = [_normalise(item) for item in heard[: len(played)]]
        differ = jiwer.wer(expected, [_normalise(item) for item in texts])
        rows[label] = {
            "ms": round(1000 * seconds, 1),
            "faults": round(faults),
            "of_one": round(seconds / one, 2),
            "of_eight": round(seconds / many, 2),
            "differ": round(100 * differ, 1),
        }
        ratios = f"{seconds / one:.1f} | {seconds / many:.1f}"
        print(
            f"| {label} | {1000 * seconds:.0f} | {ratios} | {faults:.0f} | {100 * differ:.0f} % |", flush=True
        )
    count = len(known) + _NEW if known else len(recited(model.dims, 30))
    work = operations(model.dims, count)
    speed = product_speed(model.dims.n_audio_state, runner.precision.dtype, device)
    rows["floor"] = {"ms": round(1000 * work / speed, 1), "share": round(work / speed / one, 2)}
    print(
        f"\nFloor: {work / 1e9:.1f} GFLOP at {speed / 1e9:.0f} GFLOP/s take {1000 * work / speed:.0f} ms, "
        f"{100 * work / speed / one:.0f} % of our update with one stream."
    )
    return rows


@torch.inference_mode()
def bench_decoder(model: whisper.Whisper, runner: Runner) -> dict[str, float]:
    """Print and return the tokens per second of step-by-step decoding, by the number of rows in the batch."""
    device, dims = runner.device, model.dims
    decoder = Decoder(
        decoder_weights(model, runner.precision, device), recorder(device), audio_positions=dims.n_audio_ctx
    )
    vocabulary = Vocabulary(model)
    sampler = Sampler(decoder, vocabulary, Rules(vocabulary, n_vocab=dims.n_vocab, device=device))
    head = vocabulary.head(vocabulary.tokenizer("en", "transcribe"), "", "")
    row = TokenSequence(head, head.index(vocabulary.sot), prefix=[], draft=[], budget=_KNOWN + _NEW)
    audio = torch.randn(1, dims.n_audio_ctx, dims.n_audio_state, device=device).to(runner.precision.dtype)
    speeds = {}
    for count in _BATCHES[device.type]:
        rows = [row] * count
        seconds = []
        for _ in range(2):
            cache = decoder.open(count, capacity=capacity_for(rows))
            keys_and_values = decoder.project(audio)[0].permute(2, 1, 3, 0, 4)
            for place in range(count):
                cache.hear(place, keys_and_values)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            begin = time.perf_counter()
            decode(sampler, cache, rows)
            seconds.append(time.perf_counter() - begin)
        speeds[str(count)] = round(count * row.budget / min(seconds), 1)
    line = ", ".join(f"{count}: {speed:.0f}" for count, speed in speeds.items())
    print(f"\nDecoder, tokens per second by number of rows in the batch: {line}", flush=True)
    return speeds


def bench_file(model: whisper.Whisper, runner: Runner, pcm: Samples, folder: Path) -> dict[str, float]:
    """Print and return each engine's speed on one file, in seconds of audio per second."""
    settings = StreamSettings()
    detector = SpeechDetector()

    def ours(audio: Samples) -> str:
        transcripts = transcribe(
            [audio],
            runner=runner,
            batch=runner.max_batch_offline,
            detector=detector,
            settings=settings,
        )
        return "".join(final.text for final in transcripts[0])

    engines: dict[str, Callable[[], Update]] = {"ours": lambda: ours}
    if runner.device.type == "cpu":
        for kind in ("int8", "float32"):
            engines[f"faster-whisper batched, {kind}"] = partial(faster_whisper_batched, model, folder, kind)
    rates, texts = {}, {}
    print(f"\n### One file of {pcm.shape[0] / RATE:.0f} s\n")
    print("| engine | seconds of audio per second | words that differ from ours |")
    print("|---|---|---|")
    for name, start in engines.items():
        update = start()
        update(pcm[: 5 * RATE])
        begin = time.perf_counter()
        texts[name] = update(pcm)
        rates[name] = round(pcm.shape[0] / RATE / (time.perf_counter() - begin), 1)
        del update
        differ = jiwer.wer(_normalise(texts["ours"]), _normalise(texts[name]))
        print(f"| {name} | {rates[name]:.1f} | {100 * differ:.0f} % |", flush=True)
    return rates


def bench_checkpoint(
    path: str, talks: Sequence[Samples], span: tuple[float, float], *, device: str, dtype: str
) -> dict[str, Any]:
    """Print and return the tables of a checkpoint on ``talks``: updates, and one file.

    :param span: the lengths of the shortest and the longest window, in seconds.
    """
    checkpoint = find_checkpoint(path, deadline_s=0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = load_model(checkpoint)
        runner = Runner.load(checkpoint, device=device, dtype=dtype)
        runner.warm_up()
        others = rivals(model, folder) if runner.device.type == "cpu" else {}
        streams = _streams(talks, _BATCHES[runner.device.type][-1], span[1])
        windows_s = np.linspace(*span, _WINDOWS).tolist()
        updates = bench_updates(f"{checkpoint.name}, real text", model, runner, others, streams, windows_s)
        longest = max(talks, key=len)
        file = np.tile(longest, max(1, round(_FILE_S * RATE / longest.shape[0])))
        return {"updates": updates, "file": bench_file(model, runner, file, folder)}


def bench_shape(
    shape: str, talks: Sequence[Samples], span: tuple[float, float], *, device: str, dtype: str
) -> dict[str, Any]:
    """Print and return the tables of a shape that recites a text: updates, and the decoder alone."""
    dims = SHAPES[shape]
    said = recited(dims, _KNOWN + _NEW)
    model = reciting_model(dims, said)
    with tempfile.TemporaryDirectory() as name:
        others = rivals(model, Path(name)) if device == "cpu" else {}
        precision = resolve_precision(dtype, torch.device(device), width=dims.n_audio_state)
        runner = Runner(model, torch.device(device), precision)
        runner.warm_up()
        streams = _streams(talks, _BATCHES[device][-1], span[1])
        windows_s = np.linspace(*span, _RECITED_WINDOWS).tolist()
        updates = bench_updates(f"shape of {shape}", model, runner, others, streams, windows_s, said[:_KNOWN])
        return {"updates": updates, "tokens_per_s": bench_decoder(model, runner)}


@click.command(help=__doc__)
@click.option("--talks", "folder", type=Path, help="folder of FLAC files; the bundled talk if left out")
@click.option(
    "--weights",
    multiple=True,
    metavar="FILE",
    help="checkpoints to measure; shapes are measured then only if --shapes names them",
)
@click.option("--seconds", "span", nargs=2, type=float, default=(4.0, 8.0), help="lengths of the windows")
@click.option("--device", default="cpu", type=click.Choice(["cpu", "cuda"]))
@click.option("--shapes", multiple=True, type=click.Choice(list(SHAPES)))
@click.option("--dtype", default="auto")
@click.option("--json", "json_path", type=Path)
def main(
    folder: Path | None,
    weights: tuple[str, ...],
    span: tuple[float, float],
    device: str,
    shapes: tuple[str, ...],
    dtype: str,
    json_path: Path | None,
) -> None:
    """Run the benchmark and print the tables."""
    paths = sorted(folder.glob("*.flac")) if folder else [_SAMPLE]
    talks = [read(path) for path in paths]
    machine = describe()
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    report: dict[str, Any] = {"machine": machine, "checkpoints": {}, "shapes": {}}
    for path in weights or [MODEL]:
        found = bench_checkpoint(path, talks, span, device=device, dtype=dtype)
        report["checkpoints"][Path(path).stem] = found
    by_default = ["tiny.en", "base.en"] if device == "cpu" else list(SHAPES)[1:]
    for shape in shapes or ([] if weights else by_default):
        report["shapes"][shape] = bench_shape(shape, talks, span, device=device, dtype=dtype)
    if json_path:
        json_path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
