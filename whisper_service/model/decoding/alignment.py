"""When each token was spoken: dynamic time warping over the decoder's attention to the audio.

Source: whisper/timing.py of openai-whisper 20250625 (``find_alignment``). Whisper runs encoder and decoder a
second time for this; here the attention comes from the decoding pass itself. The warping is compiled and
releases the GIL, so the gevent hub keeps running.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray
from torch import Tensor, std_mean

from whisper_service.audio.pcm import Samples

#: Pairs to compare, the smaller one first. After all of them, entry 3 of seven is their median.
_MEDIAN_OF_SEVEN = (
    *((0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6)),
    *((2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4)),
)


def token_frames(
    attention: Tensor, *, first: int, frames: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each token was heard, in audio frames of 20 ms.

    :returns: the frame in which each token begins, ``(n_tokens + 1,)``, where the last entry is the end of
        the text; and the frame with the largest attention of each token, ``(n_tokens + 1,)``, where the last
        entry belongs to the end-of-text token.
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
    matrix = ((weights - mean) / std.clamp_min(1e-9)).mean(dim=0)[first:]  # (n_tokens + 1, frames)
    # Filtering the mean of the heads costs an eighth of filtering each head.
    scores = medians_of_seven(matrix.cpu().numpy())
    return first_frames(scores), scores.argmax(axis=-1)


def medians_of_seven(scores: Samples) -> Samples:
    """Return the median of each entry and the three on either side of it, float32 ``(n_tokens, n_frames)``.

    The rows are reflected at their ends. Whisper (``median_filter`` in whisper/timing.py) sorts each group of
    seven; a network of 13 comparisons of whole matrices takes a sixth of the time. Network: Devillard, "Fast
    median search: an ANSI C implementation", 1998.
    """
    if scores.shape[1] <= 3:
        return scores  # too short to be reflected
    padded = np.pad(scores, ((0, 0), (3, 3)), mode="reflect")
    entries = [padded[:, shift : shift + scores.shape[1]] for shift in range(7)]
    for low, high in _MEDIAN_OF_SEVEN:
        entries[low], entries[high] = (
            np.minimum(entries[low], entries[high]),
            np.maximum(entries[low], entries[high]),
        )
    return entries[3]


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
