"""The rules, compared with openai-whisper's own filters, on random logits after random texts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from whisper.decoding import ApplyTimestampRules, SuppressBlank, SuppressTokens
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer

from whisper_service.model.decoding.rules import Allowed, Rules
from whisper_service.model.decoding.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def vocabulary(model: Whisper) -> Vocabulary:
    return Vocabulary(model)


@pytest.fixture(scope="module")
def rules(model: Whisper, vocabulary: Vocabulary) -> Rules:
    return Rules(vocabulary, n_vocab=model.dims.n_vocab, device=torch.device("cpu"))


def _whispers(
    tokenizer: Tokenizer, logits: torch.Tensor, text: list[int], *, timestamps: bool
) -> torch.Tensor:
    """Return ``logits`` ``(1, n_vocab)`` as openai-whisper restricts them after ``text``."""
    start = [tokenizer.sot] if timestamps else [tokenizer.sot, tokenizer.no_timestamps]
    never = [
        *tokenizer.non_speech_tokens,
        # Our rules never allow these tokens. Whisper suppresses neither the languages, nor the timestamps in
        # text without timestamps.
        *range(tokenizer.eot + 1, tokenizer.timestamp_begin if timestamps else logits.shape[-1]),
    ]
    filters = [SuppressBlank(tokenizer, len(start)), SuppressTokens(never)]
    if timestamps:
        filters.append(ApplyTimestampRules(tokenizer, len(start), 50))
    found = logits.clone()
    for one in filters:
        one.apply(found, torch.tensor([[*start, *text]]))
    return found


def _random_text(dice: np.random.Generator, tokenizer: Tokenizer) -> list[int]:
    """Return up to three segments, each between two timestamps, cut off at a random token."""
    text: list[int] = []
    stamp = tokenizer.timestamp_begin + int(dice.integers(0, 20))
    for _ in range(int(dice.integers(0, 4))):
        text += [stamp, *dice.integers(300, 40_000, size=int(dice.integers(1, 5))).tolist()]
        stamp += int(dice.integers(1, 200))
        text += [stamp]
    return text[: int(dice.integers(0, len(text) + 1))]


@pytest.mark.parametrize("timestamps", [False, True])
def test_a_batch_of_rows_is_restricted_as_whisper_restricts_each(
    model: Whisper, vocabulary: Vocabulary, rules: Rules, timestamps: bool
) -> None:
    tokenizer = vocabulary.tokenizer("en", "transcribe")
    dice = np.random.default_rng(0)
    texts = [[], *(_random_text(dice, tokenizer) for _ in range(60))]
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(len(texts), model.dims.n_vocab, generator=generator)
    # In some rows timestamps are so probable that one must follow.
    logits[:, tokenizer.timestamp_begin :] -= 8
    logits[::3, tokenizer.timestamp_begin :] += 12
    expected = torch.cat(
        [
            _whispers(tokenizer, row[None], text, timestamps=timestamps)
            for row, text in zip(logits, texts, strict=True)
        ]
    )
    allowed = [rules.place(text, timestamps=timestamps) for text in texts]
    found = rules.apply(logits.clone(), allowed, timestamps=[timestamps] * len(texts))
    assert torch.equal(found, expected)
    forced = (found[:, : tokenizer.eot] == -torch.inf).all(-1).sum()
    assert 20 < forced < 50 if timestamps else forced == 0


def test_rows_with_and_without_timestamps_share_a_batch(model: Whisper, rules: Rules) -> None:
    logits = torch.randn(2, model.dims.n_vocab, generator=torch.Generator().manual_seed(1))
    texts = [[300], [300]]
    mixed = rules.apply(
        logits.clone(),
        [rules.place(text, timestamps=kind) for text, kind in zip(texts, (True, False), strict=True)],
        timestamps=[True, False],
    )
    alone = [
        rules.apply(logits[row : row + 1].clone(), [rules.place([300], timestamps=kind)], timestamps=[kind])
        for row, kind in enumerate((True, False))
    ]
    assert torch.equal(mixed, torch.cat(alone))


def test_behind_a_prefix_the_text_may_end_at_once(rules: Rules) -> None:
    """Only a text without a prefix must not begin with a blank or the end-of-text token."""
    assert rules.place([300], timestamps=False) == Allowed()
    assert rules.place([], timestamps=False).first
