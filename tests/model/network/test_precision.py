"""Matrix products in each precision, and the choice of the precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.conftest import Talk
from whisper_service.engine.request import Kind, Request
from whisper_service.engine.runner import Runner
from whisper_service.errors import ConfigError
from whisper_service.model.network.logits import Logits
from whisper_service.model.network.precision import Precision, linear, product_seconds, resolve_precision

CPU = torch.device("cpu")
_ON_CPUS = [Precision.FLOAT32, Precision.BFLOAT16, Precision.INT8]


def _layer() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(96, 64, generator=generator),
        torch.randn(96, generator=generator),
        torch.randn(3, 5, 64, generator=generator),
    )


@pytest.mark.parametrize(("precision", "error"), [(Precision.BFLOAT16, 0.01), (Precision.INT8, 0.02)])
def test_a_product_in_fewer_bits_is_the_product_but_for_rounding(precision: Precision, error: float) -> None:
    weight, bias, x = _layer()
    expected = linear(weight, bias, Precision.FLOAT32)(x)
    found = linear(weight, bias, precision)(x.to(precision.dtype))
    assert found.dtype == precision.dtype
    assert (found.float() - expected).norm() / expected.norm() < error
    assert not torch.equal(found.float(), expected)


@pytest.mark.parametrize("precision", _ON_CPUS)
def test_a_loud_row_costs_the_others_nothing(precision: Precision) -> None:
    """A loud row of the input does not reduce the precision of the other rows."""
    weight, bias, x = _layer()
    product = linear(weight, bias, precision)
    alone = product(x[:1].to(precision.dtype))
    loud = x.clone()
    loud[1:] *= 1e4
    assert torch.allclose(product(loud.to(precision.dtype))[:1], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("precision", _ON_CPUS)
def test_silence_gives_the_bias(precision: Precision) -> None:
    weight, bias, x = _layer()
    found = linear(weight, bias, precision)(torch.zeros_like(x, dtype=precision.dtype))
    assert torch.equal(found, bias.to(precision.dtype).expand_as(found))


@pytest.mark.parametrize(
    ("half_s", "chosen"), [(0.25, Precision.BFLOAT16), (0.9, Precision.FLOAT32), (8.0, Precision.FLOAT32)]
)
def test_auto_takes_fewer_bits_where_they_are_worth_it(
    monkeypatch: pytest.MonkeyPatch, half_s: float, chosen: Precision
) -> None:
    assert all(product_seconds(kind, 64) > 0 for kind in _ON_CPUS)
    told = {Precision.FLOAT32: 1.0, Precision.BFLOAT16: half_s, Precision.INT8: 0.01}
    monkeypatch.setattr(
        "whisper_service.model.network.precision.product_seconds", lambda kind, width: told[kind]
    )
    assert resolve_precision("auto", CPU, width=64) is chosen


@pytest.mark.parametrize(
    ("text", "device"), [("float16", "cpu"), ("int8", "cuda"), ("half", "cpu"), ("", "cuda")]
)
def test_what_a_device_cannot_do_is_refused(text: str, device: str) -> None:
    with pytest.raises(ConfigError, match=f"WHISPER_DTYPE is '{text}'; on {device} it must be"):
        resolve_precision(text, torch.device(device), width=64)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_a_talk_in_fewer_bits_reads_the_same(runner: Runner, model: object, talk: Talk, dtype: str) -> None:
    request = Request(stream="s", number=0, kind=Kind.FINAL, start=0, pcm=talk.pcm)
    rounded = Runner(model, CPU, Precision(dtype)).run(request)  # type: ignore[arg-type]
    plain = runner.run(request)
    assert [word.text for word in rounded.words] == [word.text for word in plain.words]
    shifts = [abs(a.start - b.start) for a, b in zip(rounded.words, plain.words, strict=True)]
    assert np.mean(shifts) <= 320 and rounded.average_logprob == pytest.approx(
        plain.average_logprob, abs=0.05
    )


def test_without_int8_logits_are_exact_and_nobody_may_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whisper_service.model.network.precision.int8_works", lambda: False)
    monkeypatch.setattr("whisper_service.model.network.logits.int8_works", lambda: False)
    logits = Logits(torch.randn(50, 64), Precision.FLOAT32)
    hidden = torch.randn(3, 64)
    rough = logits.rough(hidden)
    assert torch.equal(rough, logits.full(hidden)) and torch.equal(logits.refine(hidden, rough), rough)
    with pytest.raises(ConfigError, match="WHISPER_DTYPE is 'int8'"):
        resolve_precision("int8", CPU, width=64)
