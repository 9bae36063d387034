"""Timestamps and beam search, compared with openai-whisper's own decoding, and sampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import whisper
from whisper.model import Whisper

from tests.conftest import Talk
from whisper_service.engine.request import Hypothesis, Kind, Request
from whisper_service.engine.runner import Runner
from whisper_service.model.decoding.sampler import Sampler
from whisper_service.model.decoding.sampling import sample
from whisper_service.model.decoding.sequence import Decoded, TokenSequence

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


def test_greedy_rows_and_beams_share_a_batch(runner: Runner, talk: Talk) -> None:
    pcm = talk.pcm[: 6 * RATE]
    requests = [_request(pcm, beam_size=3), _request(pcm), _request(pcm[:RATE], beam_size=3)]
    together = runner.run_batch(requests)
    assert [_tokens(answer) for answer in together] == [_tokens(runner.run(request)) for request in requests]


def _drawn(runner: Runner, pcm: np.ndarray, temperature: float, *, beside: int = 0) -> list[int]:
    """Return the tokens that are sampled for a window, with ``beside`` copies of it in the same batch."""
    sampler: Sampler = runner._sampler
    audio = torch.from_numpy(pcm)
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(audio))
    with torch.inference_mode():
        encoded = whisper_audio(runner, torch.stack([mel] * (beside + 1)))
        head = sampler.vocabulary.head(sampler.vocabulary.tokenizer("en", "transcribe"), "", "")
        rows = [TokenSequence(head=head, sot_index=0, prefix=[], draft=[], budget=40)] * (beside + 1)
        cache = sampler.decoder.open(encoded, capacity=60)
        return sample(sampler, cache, rows, temperature=temperature)[-1].tokens


def whisper_audio(runner: Runner, mel: torch.Tensor) -> torch.Tensor:
    from whisper_service.model.network.encoder import encode

    return encode(runner._encoder, mel)


def test_chance_is_the_same_every_time_and_beside_others(runner: Runner, talk: Talk) -> None:
    """Sampling draws the same tokens every time, alone or in a batch."""
    pcm = talk.pcm[: 4 * RATE]
    assert _drawn(runner, pcm, 1.0) == _drawn(runner, pcm, 1.0) == _drawn(runner, pcm, 1.0, beside=2)


def test_a_low_temperature_draws_the_likeliest_text(runner: Runner, talk: Talk) -> None:
    pcm = talk.pcm[: 4 * RATE]
    assert _drawn(runner, pcm, 0.01) == _tokens(runner.run(_request(pcm)))
    assert _drawn(runner, pcm, 5.0) != _tokens(runner.run(_request(pcm)))


def test_chance_helps_where_the_likeliest_text_fails(
    runner: Runner, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a request with ``fallback`` is sampled, at rising temperatures until the text passes."""
    tried: list[float] = []

    def draw(
        sampler: Sampler, cache: object, rows: list[TokenSequence], *, temperature: float
    ) -> list[Decoded]:
        tried.append(temperature)
        good = temperature > 0.5
        return [
            Decoded([300, 301], [-0.1, -0.1], -0.1 if good else -9.0, 0.0, [torch.rand(8, 5, 1500)])
        ] * len(rows)

    monkeypatch.setattr("whisper_service.model.decoding.decode.sample", draw)
    clear, backwards = talk.pcm[: 5 * RATE], np.ascontiguousarray(talk.pcm[: 5 * RATE][::-1])
    requests = [_request(clear, fallback=True), _request(backwards, fallback=True), _request(backwards)]
    answers = runner.run_batch(requests)
    assert tried == [0.2, 0.4, 0.6]
    assert answers[2].average_logprob < -1.0 and answers[2].words
    assert _tokens(answers[1]) == [300, 301] != _tokens(answers[2])
    assert _tokens(answers[0]) == _tokens(runner.run(_request(clear)))
