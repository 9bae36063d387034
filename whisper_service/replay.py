"""A stream without a server: the events that a client would get for given samples."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from whisper_service.audio.pcm import Samples
from whisper_service.config import StreamSettings
from whisper_service.engine.request import BatchRunner
from whisper_service.events import Event
from whisper_service.model.speech.detector import SpeechDetector, SpeechState
from whisper_service.session.carry import Carry
from whisper_service.session.session import Session, Step


def replay(
    slices: Iterator[Samples],
    *,
    runner: BatchRunner,
    detector: SpeechDetector,
    settings: StreamSettings,
    grid_samples: int,
) -> Iterator[Event]:
    """Yield the events that a live stream of these slices would report. Blocks while the model runs.

    :param slices: mono float32 at 16 kHz, each ``(n_samples,)``. Their lengths do not change the finals.
    """
    session = Session("file", settings, grid_samples=grid_samples, languages=runner.info().languages)
    state = SpeechState()
    for pcm in slices:
        speech = detector.probabilities([(state, pcm)])[0]
        yield from settle(session, session.feed(pcm, speech), runner)
    yield from settle(session, session.finish(), runner)


def settle(session: Session, step: Step, runner: BatchRunner) -> Iterator[Event]:
    """Yield the events of ``step``, and those of all steps that follow from the answers to its requests."""
    steps = deque([step])
    while steps:
        step = steps.popleft()
        yield from (event for event in step.events if not isinstance(event, Carry))
        if step.requests:
            steps.extend(session.apply(answer) for answer in runner.run_batch(step.requests))
