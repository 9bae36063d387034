"""A file through the same session and engine, without a server."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from whisper_service.audio.decode import decode
from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.audio.resample import Resampler
from whisper_service.config import Config, StreamSettings
from whisper_service.engine.engine import Runs
from whisper_service.engine.runner import Runner
from whisper_service.events import Event, Final
from whisper_service.model.checkpoint import find_checkpoint
from whisper_service.model.loading import load_model, resolve_device
from whisper_service.model.speech import SpeechDetector, SpeechState
from whisper_service.service import demonstration_checkpoint
from whisper_service.session.session import Session, Step
from whisper_service.subtitles import FORMATS

_SLICE_SAMPLES = SAMPLE_RATE // 2

Pcm = NDArray[np.float32]


def transcribe(
    slices: Iterator[Pcm],
    *,
    runner: Runs,
    detector: SpeechDetector,
    settings: StreamSettings,
    grid_samples: int,
    languages: frozenset[str],
) -> Iterator[Event]:
    """Yield what a live stream of these slices would tell its client. Blocks while the model runs.

    :param slices: mono float32 at 16 kHz, each ``(n_samples,)``; the cutting does not change the finals.
    """
    session = Session("file", settings, grid_samples=grid_samples, languages=languages)
    state = SpeechState()
    for pcm in slices:
        speech = detector.probabilities([(state, pcm)])[0]
        yield from settle(session, session.feed(pcm, speech), runner)
    yield from settle(session, session.finish(), runner)


def settle(session: Session, step: Step, runner: Runs) -> Iterator[Event]:
    """Yield the events of ``step``, and of all that answering its requests brings about."""
    steps = deque([step])
    while steps:
        step = steps.popleft()
        yield from step.events
        if step.requests:
            steps.extend(session.apply(answer) for answer in runner.run_batch(step.requests))


def print_transcript(file: Path, *, style: str, overrides: dict[str, str]) -> None:
    """Transcribe ``file`` and print it in a format of ``subtitles.FORMATS``; progress goes to stderr. Blocks.

    :raises TranscriptionError: if the file cannot be decoded or the model cannot be loaded.
    """
    config = Config.from_mapping(os.environ, overrides)
    decoded = decode(file.read_bytes())
    resampler = Resampler(decoded.rate)
    pcm = np.concatenate([resampler.resample(decoded.samples), resampler.flush()])
    checkpoint = find_checkpoint(
        config.model,
        deadline_s=config.download_timeout_s,
        cache_dir=Path(config.cache_dir) if config.cache_dir else None,
        demo=demonstration_checkpoint(),
    )
    for warning in checkpoint.warnings:
        click.echo(warning, err=True)
    runner = Runner(load_model(checkpoint, resolve_device(config.device)).model)
    finals: list[Final] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(file.name, total=pcm.shape[0])

        def slices() -> Iterator[Pcm]:
            for start in range(0, pcm.shape[0], _SLICE_SAMPLES):
                yield pcm[start : start + _SLICE_SAMPLES]
                progress.update(task, completed=start)

        events = transcribe(
            slices(),
            runner=runner,
            detector=SpeechDetector(),
            settings=config.stream_defaults().merged({"interim": False}),
            grid_samples=config.grid_ms * SAMPLE_RATE // 1000,
            languages=runner.languages,
        )
        finals = [event for event in events if isinstance(event, Final)]
    click.echo(FORMATS[style](finals))
