"""Ten minutes of the same talk, again and again: the accuracy does not fall over time."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from tests.fakes import cut_evenly, done, finals
from tests.talks import RATE, talk, word_error_rate
from whisper_service.config import StreamSettings
from whisper_service.engine.runner import Runner
from whisper_service.model.speech.detector import SpeechDetector
from whisper_service.replay import replay

pytestmark = pytest.mark.slow

SECONDS = 600
#: The share of one word of the talk: after another context the same audio may give another word.
ONE_WORD = 0.02


@pytest.mark.timeout(1800)
def test_the_last_repetition_is_as_accurate_as_the_first(runner: Runner) -> None:
    said = talk("talk-00")
    dice = random.Random(0)
    pieces, begins, at = [], [], 0
    while at < SECONDS * RATE:
        pause = np.zeros(round(dice.uniform(1, 20) * RATE), dtype=np.float32)
        begins.append(at)
        pieces += [said.samples, pause]
        at += said.samples.shape[0] + pause.shape[0]
    events = list(
        replay(
            iter(cut_evenly(np.concatenate(pieces), RATE // 2)),
            runner=runner,
            detector=SpeechDetector(),
            settings=replace(StreamSettings(), interim=False),
            grid_samples=RATE // 2,
        )
    )
    rates = []
    for begin in begins:
        end = begin + said.samples.shape[0] + RATE // 2
        heard = "".join(final.text for final in finals(events) if begin - RATE // 2 <= final.start < end)
        rates.append(word_error_rate(said.text, heard))
    print("word error rate of each repetition:", [f"{100 * rate:.1f} %" for rate in rates])
    assert len(rates) > 10
    assert rates[-1] <= rates[0] + ONE_WORD
    assert max(rates) <= rates[0] + 2 * ONE_WORD
    account = done(events).account
    assert account.received == at == account.speech + account.silent + account.lost
