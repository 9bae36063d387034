"""When each token was spoken: dynamic time warping over the decoder's attention to the audio.

Source: whisper/timing.py of openai-whisper 20250625 (``find_alignment``). Whisper runs encoder and decoder a
second time for this; here the attention comes from the decoding pass itself. Median filter and warping are
compiled and release the GIL, so the gevent hub keeps running.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, std_mean

from whisper_service.audio.pcm import Samples


def token_scores(attention: Tensor, *, first: int, frames: int) -> Tensor:
    """Return how well each token fits each frame, float32 ``(n_tokens + 1, frames)``, on the device.

    :param attention: softmaxed attention of the alignment heads, float32 ``(A, n_positions, n_audio_ctx)``.
        The row of a position is the attention with which the token AFTER it was chosen.
    :param first: the position that chose the first text token: the last token of the start sequence.
    :param frames: number of frames that hold audio. Attention to the padding is cut off.
    """
    weights = attention[:, :, :frames]
    # Whisper cuts the padding off before the softmax. Here it is cut off after the softmax, so each row
    # has to be scaled back to a sum of one.
    weights = weights / weights.sum(dim=-1, keepdim=True).clamp_min(1e-9)
    std, mean = std_mean(weights, dim=-2, keepdim=True, unbiased=False)
    # The filter comes later: filtering the mean of the heads costs an eighth of filtering each head.
    return ((weights - mean) / std.clamp_min(1e-9)).mean(dim=0)[first:]


def on_host(scores: Sequence[Tensor]) -> list[Samples]:
    """Return matrices of one device as arrays in C order. A GPU is waited for once."""
    if not scores:
        return []
    flat = torch.cat([matrix.flatten() for matrix in scores]).cpu().numpy()
    ends = np.cumsum([matrix.numel() for matrix in scores])[:-1]
    return [part.reshape(matrix.shape) for part, matrix in zip(np.split(flat, ends), scores, strict=True)]


def token_frames(scores: Samples) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each token was heard, in audio frames of 20 ms.

    :param scores: the result of ``token_scores``.
    :returns: the frame in which each token begins, ``(n_tokens + 1,)``, where the last entry is the end of
        the text; and the frame with the largest attention of each token, ``(n_tokens + 1,)``, where the last
        entry belongs to the end-of-text token.
    """
    scores = medians_of_seven(scores)
    return first_frames(scores), scores.argmax(axis=-1)


@numba.njit(nogil=True, cache=True)
def medians_of_seven(scores: Samples) -> Samples:  # pragma: no cover, compiled
    """Return the median of each entry and the three on either side of it, float32 ``(n_tokens, n_frames)``.

    The rows are reflected at their ends. Whisper (``median_filter`` in whisper/timing.py) sorts each group of
    seven. This network of 13 comparisons becomes vector instructions, and takes a fiftieth of the time.
    Network: Devillard, "Fast median search: an ANSI C implementation", 1998.
    """
    tokens, frames = scores.shape
    if frames <= 3:
        return scores  # too short to be reflected
    medians = np.empty((tokens, frames), dtype=np.float32)
    row = np.empty(frames + 6, dtype=np.float32)
    for token in range(tokens):
        row[3 : frames + 3] = scores[token]
        for near in range(3):
            row[2 - near], row[frames + 3 + near] = scores[token, near + 1], scores[token, frames - 2 - near]
        for frame in range(frames):
            a, b, c, d = row[frame], row[frame + 1], row[frame + 2], row[frame + 3]
            e, f, g = row[frame + 4], row[frame + 5], row[frame + 6]
            a, f = min(a, f), max(a, f)
            a, d = min(a, d), max(a, d)
            b, g = min(b, g), max(b, g)
            c, e = min(c, e), max(c, e)
            a, b = min(a, b), max(a, b)
            d, f = min(d, f), max(d, f)
            c, g = min(c, g), max(c, g)
            c, d = min(c, d), max(c, d)
            d, g = min(d, g), max(d, g)
            e, f = min(e, f), max(e, f)
            b, e = min(b, e), max(b, e)
            b, d = min(b, d), max(b, d)
            medians[token, frame] = min(d, e)
    return medians


@numba.njit(nogil=True, cache=True)
def first_frames(scores: Samples) -> NDArray[np.int64]:  # pragma: no cover, compiled
    """Return the first frame of each token on the best monotonic path, ``(n_tokens,)``.

    Each step of the path goes to the next token, to the next frame, or to both (``dtw_cpu`` in
    whisper/timing.py).

    :param scores: how well each token fits each frame, float32 ``(n_tokens, n_frames)``, in C order.
    """
    tokens, frames = scores.shape
    # The cost of the best path to each frame of the previous token, and of this token. The extra first column
    # is the start of the path.
    above = np.full(frames + 1, np.inf, dtype=np.float32)
    above[0] = 0.0
    here = np.empty(frames + 1, dtype=np.float32)
    step = np.empty((tokens, frames), dtype=np.int8)
    for token in range(tokens):
        here[0] = np.inf
        for frame in range(frames):
            both, down, right = above[frame], above[frame + 1], here[frame]
            if both < down and both < right:
                cost, step[token, frame] = both, 0
            elif down < both and down < right:
                cost, step[token, frame] = down, 1
            else:
                cost, step[token, frame] = right, 2
            here[frame + 1] = cost - scores[token, frame]
        above[:] = here
    firsts = np.zeros(tokens, dtype=np.int64)
    token, frame = tokens - 1, frames - 1
    while token >= 0 and frame >= 0:
        firsts[token] = frame
        taken = step[token, frame]
        token -= taken != 2
        frame -= taken != 1
    return firsts
