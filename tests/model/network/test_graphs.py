"""Recorded decoder steps give the results of plain steps.

On a GPU a recording is a CUDA graph. Here its replay calls the step again.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from whisper.model import Whisper

from tests.conftest import Talk
from whisper_service.engine.request import Hypothesis, Kind, Request
from whisper_service.engine.runner import Runner
from whisper_service.model.network.graphs import Outputs

RATE = 16_000


class Recorder:
    """Imitates a CUDA graph: every replay reads and writes the tensors of the recording."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, run: Callable[[], Outputs]) -> tuple[Callable[[], None], Outputs]:
        self.recorded += 1
        run()
        outputs = run()

        def replay() -> None:
            self.replayed += 1
            for old, new in zip(outputs, run(), strict=True):
                old.copy_(new)

        return replay, outputs


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    played = Recorder()
    monkeypatch.setattr("whisper_service.engine.runner.recorder", lambda device: lambda: played)
    return played


def _request(talk: Talk, begin_s: float, end_s: float, **options: object) -> Request:
    pcm = talk.pcm[round(begin_s * RATE) : round(end_s * RATE)]
    return Request("s", 0, Kind.COMMIT, round(begin_s * RATE), pcm, **options)  # type: ignore[arg-type]


def _told(answers: list[Hypothesis]) -> list[list[tuple[tuple[int, ...], int, int]]]:
    return [[(word.tokens, word.start, word.attended) for word in answer.words] for answer in answers]


def test_recorded_steps_say_the_same(runner: Runner, model: Whisper, talk: Talk, recorder: Recorder) -> None:
    recording = Runner(model)
    # Short windows leave their batch early, and long ones move up. Batches grow, shrink, and grow beyond the
    # memory of the steps.
    batches = [
        [_request(talk, 0, 6), _request(talk, 8, 9.5)],
        [_request(talk, 2, 3), _request(talk, 0, 26, prompt="Algebra."), _request(talk, 5, 6)],
        [_request(talk, 4, 9)],
        [_request(talk, at, at + 1 + 2 * at, timestamps=at % 2 == 0) for at in range(5)],
        [_request(talk, 0, 6, beam_size=2), _request(talk, 8, 9.5)],
    ]
    for batch in batches:
        answers, expected = recording.run_batch(batch), runner.run_batch(batch)
        assert _told(answers) == _told(expected)
        for answer, plain in zip(answers, expected, strict=True):
            assert answer.average_logprob == pytest.approx(plain.average_logprob, abs=1e-4)
    assert recorder.replayed > 3 * recorder.recorded > 0


def test_a_size_is_recorded_once_and_kept_by_smaller_batches(
    model: Whisper, talk: Talk, recorder: Recorder
) -> None:
    recording = Runner(model)
    three = [_request(talk, 0, 3)] * 3  # equal windows leave the batch at the same step
    recording.run_batch(three)
    recorded = recorder.recorded
    recording.run_batch([*three, three[0]])
    assert recorder.recorded == recorded, "three rows and four are one size"
    recording.run_batch(three[:1])
    assert recorder.recorded > recorded
    recorded = recorder.recorded
    recording.run_batch(three)
    recording.run_batch(three[:1])
    assert recorder.recorded == recorded
