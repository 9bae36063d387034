"""int8 finds candidates and float32 decides: the token is that of float32, and the candidates are few."""

from __future__ import annotations

import pytest
import torch

from tests.conftest import Talk
from whisper_service.engine.request import Kind, Request
from whisper_service.engine.runner import Runner
from whisper_service.model.network.logits import Logits
from whisper_service.model.network.precision import Precision

WIDTH = 64


def _embedding(count: int = 5_000) -> torch.Tensor:
    """Return embeddings in pairs that are too similar for int8 to tell them apart."""
    generator = torch.Generator().manual_seed(0)
    embedding = torch.randn(count, WIDTH, generator=generator)
    embedding[1::2] = embedding[::2] + torch.randn(count // 2, WIDTH, generator=generator) * 1e-3
    return embedding


def _hidden(outlier: float) -> torch.Tensor:
    """Return hidden states in which one number is ``outlier`` times larger, as in real checkpoints."""
    hidden = torch.randn(200, WIDTH, generator=torch.Generator().manual_seed(1))
    hidden[:, 7] *= outlier
    return hidden


@pytest.mark.parametrize("outlier", [1.0, 50.0, 1000.0])
def test_the_best_token_is_that_of_float32(outlier: float) -> None:
    logits, hidden = Logits(_embedding(), Precision.FLOAT32), _hidden(outlier)
    exact, rough = logits.full(hidden), logits.rough(hidden)
    # Tokens that may not follow are masked before the search for the best token.
    banned = exact.topk(4).indices
    exact.scatter_(1, banned, -torch.inf)
    rough.scatter_(1, banned, -torch.inf)
    assert not torch.equal(rough.argmax(-1), exact.argmax(-1))
    refined = logits.refine(hidden, rough.clone())
    assert torch.equal(refined.argmax(-1), exact.argmax(-1))
    assert torch.allclose(refined.amax(-1), exact.amax(-1), rtol=1e-5, atol=1e-3)
    assert torch.equal(refined.isinf(), exact.isinf())


@pytest.mark.parametrize("outlier", [1.0, 50.0])
def test_no_logit_is_further_off_than_the_bound(outlier: float) -> None:
    logits, hidden = Logits(_embedding(), Precision.FLOAT32), _hidden(outlier)
    exact = hidden.double() @ _embedding().double().T
    off = (logits.rough(hidden) - exact).abs()
    bound = logits.error(hidden)
    assert (off <= bound * 1.01 + 1e-4).all()
    assert bound.max() < 20 * off.max()  # a far wider bound would prove nothing


def test_a_row_with_many_candidates_is_exact_as_a_whole() -> None:
    embedding = torch.randn(1, WIDTH, generator=torch.Generator().manual_seed(2)).repeat(300, 1)
    embedding += torch.randn(300, WIDTH, generator=torch.Generator().manual_seed(3)) * 1e-4
    logits, hidden = Logits(embedding, Precision.FLOAT32), _hidden(1.0)[:2]
    refined = logits.refine(hidden, logits.rough(hidden))
    assert torch.equal(refined, logits.full(hidden))


def check_candidates(runner: Runner, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that a request to ``runner`` has few candidates, and gives the tokens of float32 alone."""
    counts: list[int] = []
    count = Logits.candidates

    def counting(self: Logits, hidden: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        found = count(self, hidden, logits)
        counts.extend(found.sum(dim=1).tolist())
        return found

    request = Request(stream="", number=0, kind=Kind.FINAL, start=0, pcm=talk.pcm[:112_000], language="en")
    with monkeypatch.context() as patch:
        patch.setattr(Logits, "candidates", counting)
        found = runner.run(request)
    assert counts and max(counts) <= 64 and sum(counts) / len(counts) < 16
    with monkeypatch.context() as patch:
        patch.setattr(Logits, "rough", Logits.full)
        patch.setattr(Logits, "refine", lambda self, hidden, logits: logits)
        plain = runner.run(request)
    assert [word.tokens for word in found.words] == [word.tokens for word in plain.words]
    assert found.average_logprob == pytest.approx(plain.average_logprob, abs=0.01)


def test_a_talk_has_few_candidates(runner: Runner, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    check_candidates(runner, talk, monkeypatch)
