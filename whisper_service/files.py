"""Turns audio files on disk into transcripts, for ``python -m whisper_service transcribe``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress

from whisper_service.assembly import Assembly
from whisper_service.audio.decode import mono_blocks
from whisper_service.audio.pcm import SAMPLE_RATE, Samples
from whisper_service.audio.resample import Resampler
from whisper_service.config import Config, StreamSettings
from whisper_service.engine.runner import Runner
from whisper_service.errors import AudioError, BadAudio
from whisper_service.events import Final
from whisper_service.model.speech.detector import SpeechDetector
from whisper_service.offline import transcribe
from whisper_service.replay import replay
from whisper_service.subtitles import FORMATS

_SLICE_SAMPLES = SAMPLE_RATE // 2


def write_transcripts(
    paths: Sequence[Path],
    *,
    style: str,
    folder: Path | None,
    overrides: Mapping[str, str],
    settings: Mapping[str, Any],
    as_stream: bool,
    timestamps: bool,
) -> int:
    """Transcribe files, and write or print the transcripts. Progress goes to stderr. Blocks.

    A file that cannot be decoded is reported, and the other files are transcribed. Transcripts of files with
    the same name get numbers.

    :param style: a format of ``subtitles.FORMATS``.
    :param folder: the folder for the transcripts, ``name.style`` for each file; None prints them.
    :param overrides: ``WHISPER_*`` keys that override those of the environment.
    :param settings: values of ``StreamSettings`` that override the defaults.
    :param as_stream: whether the words are those of a live stream, not those of a file as a whole.
    :param timestamps: see ``offline.transcribe``.
    :returns: how many files could not be transcribed.
    :raises TranscriptionError: if the model cannot be loaded. The demonstration model is used only if it is
        named, because it makes nonsense of human speech.
    """
    config = Config.from_mapping(os.environ, overrides)
    readable: dict[Path, Samples] = {}
    for path in dict.fromkeys(paths):
        try:
            readable[path] = read(path)
        except AudioError as problem:
            click.echo(f"{path}: {problem}", err=True)
    failed = len(set(paths)) - len(readable)
    if not readable:
        return failed
    files = list(readable.values())
    assembly = Assembly.of(config)
    for warning in assembly.checkpoint.warnings:
        click.echo(warning, err=True)
    runner, detector = assembly.runner(), assembly.detector()
    chosen = config.stream.merged(settings).with_known_language(runner.info().languages)
    seconds = sum(pcm.shape[0] for pcm in files) / SAMPLE_RATE
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(", ".join(path.name for path in readable), total=seconds)
        if as_stream:
            grid = config.grid_ms * SAMPLE_RATE // 1000
            transcripts = [_as_stream(pcm, runner, detector, chosen, grid) for pcm in files]
        else:
            transcripts = transcribe(
                files,
                runner=runner,
                batch=runner.max_batch_offline,
                detector=detector,
                settings=chosen,
                timestamps=timestamps,
                progress=lambda seconds: bar.advance(task, seconds),
            )
    names = _names(readable)
    for path, finals in zip(readable, transcripts, strict=True):
        text = FORMATS[style](finals)
        if folder is None:
            click.echo(text)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{names[path]}.{style}").write_text(f"{text}\n")
    return failed


def _names(paths: Iterable[Path]) -> dict[Path, str]:
    """Return the name of the transcript of each file: its own, with a number if that is already taken."""
    names: dict[Path, str] = {}
    for path in paths:
        name, number = path.stem, 1
        while name in names.values():
            number += 1
            name = f"{path.stem}-{number}"
        names[path] = name
    return names


def read(path: Path) -> Samples:
    """Return the audio of a file, mono float32 at 16 kHz, ``(n_samples,)``.

    :raises AudioError: if the file cannot be decoded.
    """
    pieces: list[Samples] = []
    resampler: Resampler | None = None
    for block in mono_blocks(path.read_bytes()):
        if resampler is None or resampler.rate != block.rate:
            pieces += [] if resampler is None else [resampler.flush()]
            resampler = Resampler(block.rate)
        pieces.append(resampler.resample(block.samples))
    if resampler is None:
        raise BadAudio("The file holds no audio that can be decoded.")
    return np.concatenate([*pieces, resampler.flush()])


def _as_stream(
    pcm: Samples, runner: Runner, detector: SpeechDetector, settings: StreamSettings, grid: int
) -> list[Final]:
    slices = (pcm[start : start + _SLICE_SAMPLES] for start in range(0, pcm.shape[0], _SLICE_SAMPLES))
    events = replay(slices, runner=runner, detector=detector, settings=settings, grid_samples=grid)
    return [event for event in events if isinstance(event, Final)]
