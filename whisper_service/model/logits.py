"""The projection to logits: the largest matrix of a small Whisper, read again for every token.

On a CPU its weights are what a step waits for: 80 MB in float32 for the width of ``tiny``. So int8 looks for
the candidates and float32 decides between them: the token is the one that float32 alone would choose.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from whisper_service.model.precision import Precision, int8_works, linear

#: Logits this close to the best are computed again, in units of the largest number of a hidden state times
#: the norm of the longest row of weights. Rounding to seven bits has a standard deviation of 0.0045 of these.
_NEAR = 0.1


class Logits:
    """Projects hidden states onto the vocabulary.

    :param embedding: of the tokens, ``(n_vocab, D)``.
    """

    def __init__(self, embedding: Tensor, precision: Precision) -> None:
        self._embedding = embedding
        searches = (
            precision.dtype is Precision.FLOAT32.dtype and embedding.device.type == "cpu" and int8_works()
        )
        self._near = _NEAR * float(embedding.float().norm(dim=1).max())
        self._rough = linear(embedding, None, Precision.INT8) if searches else None

    def exact(self, hidden: Tensor) -> Tensor:
        """Return all logits, float32 ``(…, n_vocab)``, of hidden states ``(…, D)``."""
        return F.linear(hidden, self._embedding).float()

    def rough(self, hidden: Tensor) -> Tensor:
        """Return logits that show where the best ones are, float32 ``(N, n_vocab)``; see ``refine``."""
        return self.exact(hidden) if self._rough is None else self._rough(hidden)

    def refine(self, hidden: Tensor, logits: Tensor) -> Tensor:
        """Return ``logits``, in which the best of each row and all near it are exact now. In place.

        :param hidden: ``(N, D)``.
        :param logits: rough ones of these; what may not follow may be at minus infinity.
        """
        if self._rough is not None:
            margin = self._near * hidden.abs().amax(dim=-1, keepdim=True)
            near = logits > logits.amax(dim=-1, keepdim=True) - margin
            row, token = near.nonzero(as_tuple=True)
            logits[row, token] = (hidden[row] * self._embedding[token]).sum(dim=-1)
        return logits
