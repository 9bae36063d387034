"""Matrix products in each precision, and the choice of a fast one: measured, not guessed from a name."""

from __future__ import annotations

import enum
import time
import warnings
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from whisper_service.errors import ConfigError

#: Rows of the product that is timed. A window has 1,500, but fewer show the speed of the processor as well.
_ROWS = 512
_TIMES = 5
#: bfloat16 is worth its rounding if a product takes less than this share of the time in float32. Processors
#: with bfloat16 instructions take a quarter of it, others ten times as long: a busy moment does not decide.
_WORTH = 0.8


class Precision(enum.Enum):
    """The number format of the weight matrices. Layer norms and probabilities are always float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    #: With one scale for each row of weights and one for each row of the input; on CPUs only.
    INT8 = "int8"

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the input and output of a matrix product."""
        return {Precision.BFLOAT16: torch.bfloat16, Precision.FLOAT16: torch.float16}.get(self, torch.float32)


#: The precisions that can be chosen on each type of device.
_ON_DEVICE = {
    "cpu": (Precision.FLOAT32, Precision.BFLOAT16, Precision.INT8),
    "cuda": (Precision.FLOAT32, Precision.BFLOAT16, Precision.FLOAT16),
}


class Linear(NamedTuple):
    """``x @ weight.T + bias``."""

    weight: Tensor  # (D_out, D_in)
    bias: Tensor | None  # (D_out,)

    def __call__(self, x: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Return the product, in ``out`` if that is given. Then ``x`` and ``out`` must be matrices."""
        if out is None:
            return F.linear(x, self.weight, self.bias)
        if self.bias is None:
            return torch.mm(x, self.weight.T, out=out)
        return torch.addmm(self.bias, x, self.weight.T, out=out)


class Int8Linear(NamedTuple):
    """``x @ weight.T + bias`` in int8, by FBGEMM or oneDNN.

    The library takes one scale for the whole input. One loud row would cost the others their precision. So
    every row is first scaled to the same maximum.
    """

    packed: torch.ScriptObject
    bias: Tensor | None  # (D_out,), float32

    def __call__(self, x: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Return the product, in ``out`` if that is given."""
        size = _sizes(x)
        # True limits the input to 7 bits. AVX2 adds pairs of products in 16 bits, which then cannot overflow.
        product: Tensor = torch.ops.quantized.linear_dynamic(x / size, self.packed, True)
        product *= size
        product = product if self.bias is None else product.add_(self.bias)
        return product if out is None else out.copy_(product)

    def rounded(self, x: Tensor) -> Tensor:
        """Return the rounded values that the product uses instead of ``x``, same shape."""
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
    """Return whether torch has int8 products on this machine. They need FBGEMM, which ARM does not have.

    Quantized tensors are deprecated, so a later torch may lack them.
    """
    return "fbgemm" in torch.backends.quantized.supported_engines and hasattr(torch, "quantize_per_channel")


def linear(weight: Tensor, bias: Tensor | None, precision: Precision) -> Linear | Int8Linear:
    """Return the layer that multiplies by ``weight``, ``(D_out, D_in)``, on the device of ``weight``."""
    if precision is not Precision.INT8:
        bias = bias if bias is None else bias.to(precision.dtype)
        return Linear(weight.to(precision.dtype), bias)
    scales = weight.abs().amax(dim=1).clamp_min(1e-8) / 127
    zeros = torch.zeros(weight.shape[0], dtype=torch.int64)
    with warnings.catch_warnings():
        # Deprecated in torch 2.13, but no replacement is as fast; see int8_works.
        warnings.simplefilter("ignore", UserWarning)
        quantized = torch.quantize_per_channel(weight.float(), scales, zeros, 0, torch.qint8)
    return Int8Linear(torch.ops.quantized.linear_prepack(quantized, None), bias)


def resolve_precision(text: str, device: torch.device, *, width: int) -> Precision:
    """Return the precision that ``text`` names, or the best one for 'auto'.

    On CUDA, 'auto' is bfloat16, or float16 on GPUs without bfloat16. On a CPU it is bfloat16 if that saves a
    fifth of the time of float32, else float32. It is never int8, whose products are so little faster that a
    busy moment would decide.

    :param width: the width of the model's layers.
    :raises ConfigError: if there is no such precision, or this device does not support it.
    """
    here = [kind for kind in _ON_DEVICE[device.type] if kind is not Precision.INT8 or int8_works()]
    if text != "auto":
        named = next((kind for kind in here if kind.value == text), None)
        if named is None:
            names = ", ".join(f"'{kind.value}'" for kind in here)
            raise ConfigError(f"WHISPER_DTYPE is {text!r}; on {device.type} it must be 'auto', {names}.")
        return named
    if device.type == "cuda":
        # GPUs have bfloat16 from Ampere on. torch.cuda.is_bf16_supported() also counts those that emulate it.
        ampere = torch.cuda.get_device_capability(device) >= (8, 0)
        return Precision.BFLOAT16 if ampere else Precision.FLOAT16
    half, full = (product_seconds(kind, width) for kind in (Precision.BFLOAT16, Precision.FLOAT32))
    return Precision.BFLOAT16 if half < _WORTH * full else Precision.FLOAT32


@torch.inference_mode()
def product_seconds(precision: Precision, width: int) -> float:
    """Return the seconds that a product (512 × width) · (width × 4 width) takes on this CPU.

    Blocks for several such products.
    """
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
