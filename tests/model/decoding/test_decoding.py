"""Timestamps and beam search, compared with openai-whisper's own decoding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import whisper
from whisper.model import Whisper

from tests.conftest import Talk
from whisper_service.engine.request import Hypothesis, Kind, Request
from whisper_service.engine.runner import Runner

RATE = 16_000
_TIMESTAMPS = 50_363


def _request(pcm: np.ndarray, **options: object) -> Request:
    return Request(stream="s", number=1, kind=Kind.FINAL, start=0, pcm=pcm, **options)  # type: ignore[arg-type]


def _tokens(answer: Hypothesis) -> list[int]:
    return [token for word in answer.words for token in word.tokens]


def _reference(model: Whisper, pcm: np.ndarray, **options: object) -> whisper.DecodingResult:
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(torch.from_numpy(pcm)))
    chosen = whisper.DecodingOptions(language="en", temperature=0.0, fp16=False, **options)  # type: ignore[arg-type]
    result = whisper.decode(model, mel, chosen)
    assert isinstance(result, whisper.DecodingResult)
    return result


@pytest.mark.parametrize(("begin_s", "end_s"), [(0, 4), (3, 12), (0, 26.8), (10, 20.5)])
def test_timestamps_are_whispers_and_become_no_words(
    runner: Runner, model: Whisper, talk: Talk, begin_s: float, end_s: float
) -> None:
    pcm = talk.pcm[round(begin_s * RATE) : round(end_s * RATE)]
    expected = _reference(model, pcm)
    answer, plain = runner.run_batch([_request(pcm, timestamps=True), _request(pcm)])
    words = [token for token in expected.tokens if token < _TIMESTAMPS]
    assert len(expected.tokens) > len(words) and _tokens(answer) == words
    assert answer.average_logprob == pytest.approx(expected.avg_logprob, abs=1e-3)
    # The words have almost the same times as without timestamps.
    begins = {word.text: word.start for word in plain.words}
    errors = [abs(word.start - begins[word.text]) / RATE for word in answer.words if word.text in begins]
    assert np.median(errors) <= 0.04


@pytest.mark.parametrize("beam_size", [2, 5])
def test_beams_are_whispers(runner: Runner, model: Whisper, talk: Talk, beam_size: int) -> None:
    windows = [talk.pcm[: 6 * RATE], talk.pcm[6 * RATE : 13 * RATE], talk.pcm[13 * RATE : 13 * RATE + 8_000]]
    suppressed = [-1, *range(_TIMESTAMPS, model.dims.n_vocab)]
    expected = [
        _reference(model, pcm, beam_size=beam_size, without_timestamps=True, suppress_tokens=suppressed)
        for pcm in windows
    ]
    answers = runner.run_batch([_request(pcm, beam_size=beam_size) for pcm in windows])
    assert [_tokens(answer) for answer in answers] == [result.tokens for result in expected]
    for answer, result in zip(answers, expected, strict=True):
        assert answer.average_logprob == pytest.approx(result.avg_logprob, abs=1e-3)


def test_a_text_that_is_complete_goes_on_only_if_the_model_must_speak(runner: Runner, talk: Talk) -> None:
    pcm = talk.pcm[: 4 * RATE]
    prefix = tuple(_tokens(runner.run(_request(pcm))))
    assert runner.run(_request(pcm, prefix=prefix)).words == ()
    for beam_size in (1, 2):
        answer = runner.run(_request(pcm, prefix=prefix, must_speak=True, beam_size=beam_size))
        assert any(letter.isalnum() for word in answer.words for letter in word.text)


def test_greedy_rows_and_beams_share_a_batch(runner: Runner, talk: Talk) -> None:
    pcm = talk.pcm[: 6 * RATE]
    requests = [_request(pcm, beam_size=3), _request(pcm), _request(pcm[:RATE], beam_size=3)]
    together = runner.run_batch(requests)
    assert [_tokens(answer) for answer in together] == [_tokens(runner.run(request)) for request in requests]
