"""The two telephone codecs of ITU-T G.711. They store the logarithm of each sample in eight bits."""

from __future__ import annotations

from functools import cache

import numpy as np

from whisper_service.audio.pcm import Samples


@cache
def mu_law() -> Samples:
    """Return the value of each mu-law octet, shape ``(256,)``. Source: ITU-T G.711, table 2a."""
    code = ~np.arange(256, dtype=np.uint8)
    magnitude = ((((code & 15).astype(np.int32) << 3) + 132) << (code >> 4 & 7)) - 132
    return np.where(code & 128, -magnitude, magnitude).astype(np.float32) / np.float32(32_768)


@cache
def a_law() -> Samples:
    """Return the value of each A-law octet, shape ``(256,)``. Source: ITU-T G.711, table 1a."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    segment = (code >> 4 & 7).astype(np.int32)
    step = ((code & 15).astype(np.int32) << 4) + 8
    magnitude = np.where(segment == 0, step, (step + 256) << np.maximum(segment - 1, 0))
    return np.where(code & 128, magnitude, -magnitude).astype(np.float32) / np.float32(32_768)
