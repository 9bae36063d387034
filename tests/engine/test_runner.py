"""Answers to requests, compared with openai-whisper's own decoding of the same windows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
import whisper
from whisper.model import Whisper
from whisper.tokenizer import get_tokenizer

from tests.conftest import Talk
from whisper_service.engine.request import Hypothesis, Kind, Request, Word
from whisper_service.engine.runner import Runner
from whisper_service.engine.words import merge_punctuation

RATE = 16_000
#: First timestamp token of an English-only checkpoint. Whisper can write timestamps even if it is told to
#: write none. The runner suppresses them, and so does the reference here.
_TIMESTAMPS = 50_363


def _request(pcm: np.ndarray, *, start: int = 0, **options: object) -> Request:
    return Request(stream="s", number=1, kind=Kind.COMMIT, start=start, pcm=pcm, **options)  # type: ignore[arg-type]


def _tokens(answer: Hypothesis) -> tuple[int, ...]:
    return tuple(token for word in answer.words for token in word.tokens)


def _text(answer: Hypothesis) -> str:
    return "".join(word.text for word in answer.words)


def _reference(model: Whisper, pcm: np.ndarray, prompt: str | None = None) -> whisper.DecodingResult:
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(torch.from_numpy(pcm)))
    options = whisper.DecodingOptions(
        language="en",
        temperature=0.0,
        prompt=prompt,
        without_timestamps=True,
        suppress_tokens=[-1, *range(_TIMESTAMPS, model.dims.n_vocab)],
        fp16=False,
    )
    result = whisper.decode(model, mel, options)
    assert isinstance(result, whisper.DecodingResult)
    return result


@pytest.mark.parametrize("seconds", [1.5, 4.0, 11.3, 26.8])
def test_tokens_are_those_of_whisper(runner: Runner, model: Whisper, talk: Talk, seconds: float) -> None:
    pcm = talk.pcm[: round(seconds * RATE)]
    expected = _reference(model, pcm)
    answer = runner.run(_request(pcm))
    assert list(_tokens(answer)) == expected.tokens
    assert answer.average_logprob == pytest.approx(expected.avg_logprob, abs=1e-3)
    assert answer.no_speech_probability == pytest.approx(expected.no_speech_prob, abs=1e-4)


def test_the_prompt_stands_where_whisper_puts_it(runner: Runner, model: Whisper, talk: Talk) -> None:
    pcm = talk.pcm[: 8 * RATE]
    prompt = "British casualties in algebra."
    answer = runner.run(_request(pcm, prompt=prompt))
    assert list(_tokens(answer)) == _reference(model, pcm, prompt=prompt).tokens


def _tie(model: Whisper, request: Request, tokens: list[int]) -> bool:
    """Return whether the logits of the two best tokens after ``tokens`` differ by less than 1e-3."""
    pcm, tokenizer = request.pcm, get_tokenizer(multilingual=False)
    prompt = [tokenizer.sot_prev, *tokenizer.encode(f" {request.prompt}")] if request.prompt else []
    head = [*prompt, tokenizer.sot, tokenizer.no_timestamps]
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(torch.from_numpy(pcm)))
    with torch.inference_mode():
        logits = model.logits(torch.tensor([[*head, *tokens]]), model.embed_audio(mel[None]))[0, -1]
    best = logits.topk(2).values
    return bool(best[0] - best[1] < 1e-3)


@pytest.mark.parametrize("size", [1, 2, 5, pytest.param(16, marks=pytest.mark.slow)])
def test_a_batch_says_what_whisper_says_of_each_window(
    runner: Runner, model: Whisper, talk: Talk, size: int
) -> None:
    prompts = [None, "Algebra.", "British casualties at this stage, and the test.", "A"]
    dice = np.random.default_rng(size)
    plain, drafted, expected = [], [], []
    for index in range(size):
        start = int(dice.integers(0, 20 * RATE))
        pcm = talk.pcm[start : start + int(dice.integers(RATE, 7 * RATE))]
        prompt = prompts[index % len(prompts)]
        tokens = _reference(model, pcm, prompt=prompt).tokens
        # The right draft, one with a wrong token, an empty, a too long and a shifted one.
        draft = [tokens, [*tokens[:4], 7, *tokens[5:]], [], [*tokens, *tokens], tokens[1:]][index % 5]
        plain.append(_request(pcm, start=start, prompt=prompt or ""))
        drafted.append(_request(pcm, start=start, prompt=prompt or "", draft=tuple(draft)))
        expected.append(tokens)
    answers = [*runner.run_batch(plain), *runner.run_batch(drafted)]
    for request, tokens, answer in zip([*plain, *drafted], expected * 2, answers, strict=True):
        found = list(_tokens(answer))
        same = next(
            (at for at, pair in enumerate(zip(found, tokens, strict=False)) if pair[0] != pair[1]), None
        )
        assert found == tokens or _tie(model, request, tokens[:same])
        assert all(request.start <= word.start <= word.end <= request.end for word in answer.words)


def test_a_batch_of_windows_with_and_without_words(runner: Runner, talk: Talk) -> None:
    silent, spoken = np.zeros(RATE, dtype=np.float32), talk.pcm[: 5 * RATE]
    together = runner.run_batch([_request(silent), _request(spoken), _request(silent)])
    assert [_tokens(answer) for answer in together] == [
        _tokens(runner.run(_request(pcm))) for pcm in (silent, spoken, silent)
    ]


@pytest.mark.parametrize("words", [1, 5, 9])
def test_the_text_goes_on_behind_a_forced_prefix(runner: Runner, talk: Talk, words: int) -> None:
    pcm = talk.pcm[: 7 * RATE]
    whole = runner.run(_request(pcm))
    prefix = tuple(token for word in whole.words[:words] for token in word.tokens)
    rest = runner.run(_request(pcm, prefix=prefix))
    assert [word.text for word in rest.words] == [word.text for word in whole.words[words:]]
    assert [word.start for word in rest.words] == [word.start for word in whole.words[words:]]


def test_a_draft_changes_nothing(runner: Runner, talk: Talk) -> None:
    pcm = talk.pcm[: 9 * RATE]
    plain = runner.run(_request(pcm))
    right = _tokens(plain)
    wrong_in_the_middle = (*right[:6], right[0], *right[7:])
    for draft in (right, right[:4], (*right, *right), wrong_in_the_middle, right[3:], (50_000, 7)):
        answer = runner.run(_request(pcm, draft=draft))
        assert _tokens(answer) == right
        assert [word.start for word in answer.words] == [word.start for word in plain.words]
        assert answer.average_logprob == pytest.approx(plain.average_logprob, abs=1e-3)


def test_words_begin_where_they_were_spoken(runner: Runner, talk: Talk) -> None:
    answer = runner.run(_request(talk.pcm))
    spoken = {str(word["word"]).lower().strip(".,"): word for word in talk.words}
    errors = [
        abs(word.start / RATE - float(spoken[bare]["start"]))  # type: ignore[arg-type]
        for word in answer.words
        if (bare := word.text.strip().lower().strip(".,")) in spoken
        and sum(str(other["word"]).lower().strip(".,") == bare for other in talk.words) == 1
    ]
    assert len(errors) > 30 and np.median(errors) <= 0.03


def test_word_times_are_on_the_streams_clock_and_in_order(runner: Runner, talk: Talk) -> None:
    start = 7 * RATE
    answer = runner.run(_request(talk.pcm[start:], start=start))
    assert answer.words[0].start >= start and answer.words[-1].end <= talk.pcm.shape[0]
    assert all(one.start <= one.end <= other.end for one, other in pairwise(answer.words))
    assert all(0.0 < word.probability <= 1.0 for word in answer.words)


@pytest.mark.parametrize("samples", [0, 1, 300, 5_000])
def test_the_shortest_windows_are_answered(runner: Runner, samples: int) -> None:
    answer = runner.run(_request(np.zeros(samples, dtype=np.float32)))
    assert all(word.end <= samples for word in answer.words)


def test_a_window_over_30_s_is_refused(runner: Runner) -> None:
    with pytest.raises(ValueError, match="480001 samples"):
        runner.run(_request(np.zeros(480_001, dtype=np.float32)))


def test_no_word_is_timed_in_the_padding(runner: Runner, talk: Talk) -> None:
    for seconds in (2.2, 4.7, 9.1):
        pcm = talk.pcm[: round(seconds * RATE)]
        answer = runner.run(_request(pcm))
        assert answer.words and all(word.end <= pcm.shape[0] for word in answer.words)
        assert all(word.attended < pcm.shape[0] + 320 for word in answer.words)


def test_the_context_stands_behind_the_prompt(runner: Runner, model: Whisper, talk: Talk) -> None:
    pcm = talk.pcm[: 8 * RATE]
    answer = runner.run(_request(pcm, prompt="British casualties.", context=" in algebra."))
    assert list(_tokens(answer)) == _reference(model, pcm, prompt="British casualties. in algebra.").tokens


def test_a_loop_ends_with_the_budget(runner: Runner, talk: Talk) -> None:
    looping = tuple(_tokens(runner.run(_request(talk.pcm[: 3 * RATE])))) * 3
    answer = runner.run(_request(talk.pcm[: 3 * RATE], prefix=looping))
    assert len(_tokens(answer)) <= 16 + 3 * 12


def test_a_multilingual_checkpoint_detects_its_language() -> None:
    torch.manual_seed(0)
    dims = whisper.ModelDimensions(80, 1500, 64, 2, 1, 51865, 448, 64, 2, 1)
    seeded = whisper.model.Whisper(dims).eval()
    for parameter in seeded.parameters():  # torch.empty leaves the position table uninitialised
        torch.nn.init.normal_(parameter, std=0.05)
    pcm = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(torch.from_numpy(pcm)))
    with torch.inference_mode():
        _, probabilities = whisper.detect_language(seeded, mel)
    assert isinstance(probabilities, dict)
    likeliest = max(probabilities, key=lambda code: probabilities[code])
    answer = Runner(seeded).run(_request(pcm))
    assert answer.language == answer.detected == likeliest
    assert answer.language_probability == pytest.approx(probabilities[likeliest], abs=1e-4)
    asked = Runner(seeded).run(_request(pcm, language="de", task="translate", detect=True))
    assert (asked.language, asked.detected) == ("de", likeliest)
    assert asked.language_probability == pytest.approx(probabilities[likeliest], abs=1e-4)
    chosen = Runner(seeded).run(_request(pcm, language="de"))
    assert (chosen.detected, chosen.language_probability) == ("de", 1.0)


def _pieces(*texts: str) -> list[Word]:
    return [Word(text, at, at + 1, at, 0.5, (at,)) for at, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("texts", "merged"),
    [
        ((" the", " house", ",", " and"), [(" the", ""), (" house,", ","), (" and", "")]),
        ((" rains", ".", '"', " Then"), [(' rains."', '."'), (" Then", "")]),
        ((" said", ' "', "It", " rains"), [(" said", ""), (' "It', ""), (" rains", "")]),
        ((",", " and", " he"), [(", and", ""), (" he", "")]),
        ((".", '"', " And", ","), [('." And,', ","),]),
        ((",",), [(",", "")]),
    ],
)  # fmt: skip
def test_marks_join_their_words(texts: tuple[str, ...], merged: list[tuple[str, str]]) -> None:
    words = merge_punctuation(_pieces(*texts))
    assert [(word.text, word.mark) for word in words] == merged
    assert [token for word in words for token in word.tokens] == list(range(len(texts)))
    for word in words:
        assert word.without_mark.text + word.mark == word.text
        assert len(word.without_mark.tokens) == len(word.tokens) - word.mark_tokens


def test_a_mark_moves_to_the_next_word() -> None:
    house, conjunction = merge_punctuation(_pieces(" house", ",", " and"))
    assert conjunction.after(house).text == ", and"
    assert house.without_mark.tokens + conjunction.after(house).tokens == house.tokens + conjunction.tokens
