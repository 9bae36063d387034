"""When each token was spoken: dynamic time warping over the decoder's attention to the audio.

Source: whisper/timing.py of openai-whisper 20250625 (``find_alignment``). There it runs encoder and decoder
a second time; here it takes the attention that the decoding pass has left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, std_mean
from whisper.timing import dtw, median_filter

#: Width in frames of the median filter over time (``find_alignment``'s default).
_FILTER_FRAMES = 7


def token_frames(
    attention: Tensor, *, first: int, frames: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each token was heard, as audio frames of 20 ms.

    :returns: the frame in which each token begins, ``(n_tokens + 1,)``: the last is the end; and the frame
        that each attended to most, ``(n_tokens + 1,)``: the last is that of the end of the text.
    :param attention: softmaxed attention of the alignment heads, float32 ``(A, n_positions, n_audio_ctx)``;
        the row of a position is the attention with which the token BEHIND it was chosen.
    :param first: the position that chose the first text token (Whisper's no-timestamps token).
    :param frames: number of frames that hold audio; attention to the padding is cut off.
    """
    weights = attention[:, :, :frames]
    # Whisper cuts before its softmax; after it, the rows have to be scaled back to a sum of one.
    weights = weights / weights.sum(dim=-1, keepdim=True).clamp_min(1e-9)
    std, mean = std_mean(weights, dim=-2, keepdim=True, unbiased=False)
    matrix = ((weights - mean) / std.clamp_min(1e-9)).mean(dim=0)[first:]  # (n_tokens + 1, frames)
    # Filtering the mean of the heads costs an eighth of filtering each head.
    matrix = median_filter(matrix.unsqueeze(0), _FILTER_FRAMES)[0]
    text_index, time_index = dtw(-matrix)
    begins = np.pad(np.diff(text_index), (1, 0), constant_values=1).astype(bool)
    return np.asarray(time_index[begins], dtype=np.int64), matrix.argmax(dim=-1).cpu().numpy()
