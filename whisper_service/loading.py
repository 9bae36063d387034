"""Starts the engine and the detector of a service, and gives the parts that its streams share.

This module imports torch, which takes seconds and hundreds of megabytes. So ``service`` imports it only when
the model is to be loaded: the other commands of an app start without it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import numpy as np

from whisper_service.assembly import Assembly
from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.audio.stream import ContainerThreads
from whisper_service.capacity import Capacity
from whisper_service.config import Config
from whisper_service.engine.bridge import EngineBridge
from whisper_service.engine.listening import SpeechBridge
from whisper_service.engine.runner import Runner
from whisper_service.model.network import cores
from whisper_service.model.speech.detector import SpeechDetector, SpeechState, lead_in_start
from whisper_service.native import Pool
from whisper_service.parts import Parts

log = logging.getLogger(__name__)

#: Native threads that decode long base64 text. If all are busy, further clients wait.
_DECODING_THREADS = 2


def start_threads(
    config: Config, on_batch: Callable[[Sequence[float], float], None]
) -> tuple[EngineBridge, SpeechBridge]:
    """Start the threads of the engine and the detector, which begin to load. Blocks for a download at most.

    :param on_batch: see ``EngineBridge``.
    :raises ModelUnavailable: if there is no checkpoint.
    """
    assembly = Assembly.of(config, demonstration=True)

    def load() -> Runner:
        runner = assembly.runner()
        runner.warm_up()
        return runner

    def load_detector() -> SpeechDetector:
        cores.use_one()
        return assembly.detector()

    engine, speech = EngineBridge(load, on_batch), SpeechBridge(load_detector)
    engine.start()
    speech.start()
    return engine, speech


def probe(speech: SpeechBridge) -> None:
    """Wait until the detector has loaded and answers. Blocks the greenlet.

    :raises InternalError: if it does not answer.
    """
    speech.probabilities(SpeechState(), np.zeros(SAMPLE_RATE, dtype=np.float32))


def parts(config: Config, engine: EngineBridge, speech: SpeechBridge) -> Parts:
    """Wait until both have loaded; return the parts of all streams. Blocks the greenlet.

    :raises ConfigError: if there is no such device or precision.
    :raises ModelUnavailable: if the checkpoint cannot be loaded.
    """
    engine.wait()
    probe(speech)
    # Both threads have set how many cores they use. This call is for later threads, perhaps of the app.
    cores.use_all()
    info, limits = engine.info(), config.limits
    log.info("%s computes in %s on %s", info.model, info.precision, info.device)
    if info.rough_word_times:
        log.info("%s has no list of alignment heads: word times are less exact", info.model)
    return Parts(
        engine=engine,
        speech=speech,
        speech_state=SpeechState,
        lead_in_start=lead_in_start,
        containers=ContainerThreads(limits.container_streams),
        in_thread=Pool(_DECODING_THREADS).apply,
        max_message_bytes=limits.max_message_bytes,
        max_audio_samples=round(limits.max_audio_s * SAMPLE_RATE),
        grid_samples=config.grid_ms * SAMPLE_RATE // 1000,
        drain_timeout_s=limits.drain_timeout_s,
        capacity=Capacity(
            engine.pace,
            jobs_per_s=1000 / config.grid_ms,
            limit=limits.max_streams,
            clock=time.monotonic,
        ),
    )
