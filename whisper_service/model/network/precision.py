"""Matrix products in each precision, and which is fast here: measured, not guessed from a name."""

from __future__ import annotations

import enum
import time
import warnings
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from whisper_service.errors import ConfigError

#: Rows of the product that is timed. A window has 1,500; these show as well what the processor can do.
_ROWS = 512
_TIMES = 5
#: The share of float32's time that a product in bfloat16 may take to be worth its rounding. Processors with
#: instructions for it take a quarter, others ten times as long: a busy moment does not decide.
_WORTH = 0.8


class Precision(enum.Enum):
    """What the weights of matrices are kept in. Layer norms and probabilities are float32 in all of them."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    #: A scale for each row of weights, and one for each row of what comes in; on CPUs.
    INT8 = "int8"

    @property
    def dtype(self) -> torch.dtype:
        """The type of what goes from layer to layer."""
        return {Precision.BFLOAT16: torch.bfloat16, Precision.FLOAT16: torch.float16}.get(self, torch.float32)


#: From the most to the least precise.
_ON_DEVICE = {
    "cpu": (Precision.FLOAT32, Precision.BFLOAT16, Precision.INT8),
    "cuda": (Precision.FLOAT32, Precision.BFLOAT16, Precision.FLOAT16),
}


class Linear(NamedTuple):
    """``x @ weight.T + bias``."""

    weight: Tensor  # (D_out, D_in)
    bias: Tensor | None  # (D_out,)

    def __call__(self, x: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Return the product; in ``out`` if that is given, then ``x`` and ``out`` are matrices."""
        if out is None:
            return F.linear(x, self.weight, self.bias)
        if self.bias is None:
            return torch.mm(x, self.weight.T, out=out)
        return torch.addmm(self.bias, x, self.weight.T, out=out)


class Int8Linear(NamedTuple):
    """The same in int8, by FBGEMM or oneDNN.

    The library takes one scale for all that comes in, so that one loud row would cost the others their
    precision, and windows of a batch would change each other. So every row is brought to the same size first.
    """

    packed: torch.ScriptObject
    bias: Tensor | None  # (D_out,), float32

    def __call__(self, x: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Return the product; in ``out`` if that is given."""
        size = _sizes(x)
        # AVX2 adds pairs of products in 16 bits: with 7 bits on one side they cannot overflow.
        product: Tensor = torch.ops.quantized.linear_dynamic(x / size, self.packed, True)
        product *= size
        product = product if self.bias is None else product.add_(self.bias)
        return product if out is None else out.copy_(product)

    def rounded(self, x: Tensor) -> Tensor:
        """Return what a product really multiplies in the place of ``x``, same shape."""
        size = _sizes(x)
        rounded: Tensor = torch.quantize_per_tensor_dynamic(x / size, torch.quint8, True).dequantize()
        return rounded * size

    def weight(self) -> Tensor:
        """Return the rounded weights, float32 ``(D_out, D_in)``."""
        weight: Tensor = torch.ops.quantized.linear_unpack(self.packed)[0].dequantize()
        return weight


def _sizes(x: Tensor) -> Tensor:
    """Return the largest absolute number of each row of ``x``, ``(…, 1)``."""
    return x.abs().amax(dim=-1, keepdim=True).clamp_min(1e-8)


def int8_works() -> bool:
    """Return whether torch has the products in int8 here: with FBGEMM, so not on ARM.

    Their tensors are deprecated, so some later torch may lack them.
    """
    return "fbgemm" in torch.backends.quantized.supported_engines and hasattr(torch, "quantize_per_channel")


def linear(weight: Tensor, bias: Tensor | None, precision: Precision) -> Linear | Int8Linear:
    """Return the product with ``weight`` ``(D_out, D_in)``, on the device of that."""
    if precision is not Precision.INT8:
        bias = bias if bias is None else bias.to(precision.dtype)
        return Linear(weight.to(precision.dtype), bias)
    scales = weight.abs().amax(dim=1).clamp_min(1e-8) / 127
    zeros = torch.zeros(weight.shape[0], dtype=torch.int64)
    with warnings.catch_warnings():
        # Deprecated in torch 2.13 without anything as fast to take its place; see int8_works.
        warnings.simplefilter("ignore", UserWarning)
        quantized = torch.quantize_per_channel(weight.float(), scales, zeros, 0, torch.qint8)
    return Int8Linear(torch.ops.quantized.linear_prepack(quantized, None), bias)


def resolve_precision(text: str, device: torch.device, *, width: int) -> Precision:
    """Return the precision for 'auto', or the one that is named.

    Auto on CUDA is bfloat16, or float16 on GPUs without it; on a CPU bfloat16 where that is faster than
    float32. It never is int8, which wins a product by so little that a busy moment would decide between them.

    :param width: of the model's layers.
    :raises ConfigError: if there is no such precision, or not on this device.
    """
    here = [kind for kind in _ON_DEVICE[device.type] if kind is not Precision.INT8 or int8_works()]
    if text != "auto":
        named = next((kind for kind in here if kind.value == text), None)
        if named is None:
            names = ", ".join(f"'{kind.value}'" for kind in here)
            raise ConfigError(f"WHISPER_DTYPE is {text!r}; on {device.type} it must be 'auto', {names}.")
        return named
    if device.type == "cuda":
        # From Ampere on. torch.cuda.is_bf16_supported() counts GPUs that emulate it.
        ampere = torch.cuda.get_device_capability(device) >= (8, 0)
        return Precision.BFLOAT16 if ampere else Precision.FLOAT16
    half, full = (product_seconds(kind, width) for kind in (Precision.BFLOAT16, Precision.FLOAT32))
    return Precision.BFLOAT16 if half < _WORTH * full else Precision.FLOAT32


@torch.inference_mode()
def product_seconds(precision: Precision, width: int) -> float:
    """Return how long a product (512 × width) · (width × 4 width) takes on this CPU. Blocks for some."""
    generator = torch.Generator().manual_seed(0)
    product = linear(torch.randn(4 * width, width, generator=generator), None, precision)
    x = torch.randn(_ROWS, width, generator=generator).to(precision.dtype)
    product(x)
    measured = []
    for _ in range(_TIMES):
        begin = time.perf_counter()
        product(x)
        measured.append(time.perf_counter() - begin)
    return min(measured)
