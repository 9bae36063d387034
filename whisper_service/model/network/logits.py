"""The projection to logits: the largest matrix of a small Whisper, read again for every token.

On a CPU a step of the decoder waits for its weights: 106 MB in float32 for the width of ``base``. So int8
looks for the candidates and float32 decides between them. The token is the one that float32 alone would
choose, because the error of int8 is bounded, not guessed:

    |x · w − x̂ · ŵ|  ≤  ‖x‖ ‖w − ŵ‖ + ‖x − x̂‖ ‖ŵ‖

where ŵ is the rounded row of weights and x̂ the rounded hidden state (the Cauchy-Schwarz inequality, twice).
Hidden states of real checkpoints have outliers, which cost all other numbers their precision. So a state goes
through the product twice: once rounded, and once as what the rounding has left.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from whisper_service.model.network.precision import Int8Linear, Precision, int8_works, linear

#: A row with more candidates than these is computed in float32 as a whole.
_MOST_CANDIDATES = 64
#: Rows that are looked at together. With the search few: its scratch memory then stays in the cache.
_ROWS, _ROWS_SEARCHED = 128, 8


class Logits:
    """Projects hidden states onto the vocabulary.

    :param embedding: of the tokens, ``(n_vocab, D)``.
    """

    def __init__(self, embedding: Tensor, precision: Precision) -> None:
        self._embedding = embedding
        self._rough: Int8Linear | None = None
        if precision.dtype is Precision.FLOAT32.dtype and embedding.device.type == "cpu" and int8_works():
            rough = linear(embedding, None, Precision.INT8)
            assert isinstance(rough, Int8Linear)
            rounded = rough.weight()
            self._rough = rough
            self._lost = (embedding - rounded).norm(dim=1)  # (n_vocab,), ‖w − ŵ‖
            self._kept = rounded.norm(dim=1)  # (n_vocab,), ‖ŵ‖

    @property
    def rows(self) -> int:
        """How many rows it is best to look at together."""
        return _ROWS if self._rough is None else _ROWS_SEARCHED

    def exact(self, hidden: Tensor) -> Tensor:
        """Return all logits, float32 ``(…, n_vocab)``, of hidden states ``(…, D)``."""
        return F.linear(hidden, self._embedding).float()

    def rough(self, hidden: Tensor) -> Tensor:
        """Return logits that show where the best ones are, float32 ``(N, n_vocab)``; see ``refine``."""
        if self._rough is None:
            return self.exact(hidden)
        rest = hidden - self._rough.rounded(hidden)
        return self._rough(hidden).add_(self._rough(rest))

    def refine(self, hidden: Tensor, logits: Tensor) -> Tensor:
        """Return ``logits``, in which the best of each row and all that may be the best are exact. In place.

        :param hidden: ``(N, D)``.
        :param logits: rough ones of these; what may not follow may be at minus infinity.
        """
        if self._rough is None:
            return logits
        candidates = self.candidates(hidden, logits)  # (N, n_vocab), bool
        many = candidates.sum(dim=1) > _MOST_CANDIDATES
        if many.any():
            whole = self.exact(hidden[many])
            logits[many] = whole.masked_fill_(logits[many].isinf(), -float("inf"))
            candidates[many] = False
        row, token = candidates.nonzero(as_tuple=True)
        logits[row, token] = (hidden[row] * self._embedding[token]).sum(dim=-1)
        return logits

    def candidates(self, hidden: Tensor, logits: Tensor) -> Tensor:
        """Return which tokens may have the largest logit of their row, bool ``(N, n_vocab)``."""
        error = self.error(hidden)
        least = (logits - error).amax(dim=1, keepdim=True)  # the best logit is at least this
        found: Tensor = error.add_(logits) >= least
        return found

    def error(self, hidden: Tensor) -> Tensor:
        """Return by how much each of the rough logits may be off, ``(N, n_vocab)``."""
        assert self._rough is not None
        rest = hidden - self._rough.rounded(hidden)
        unheard = rest - self._rough.rounded(rest)
        error: Tensor = hidden.norm(dim=1, keepdim=True) * self._lost
        error.add_(unheard.norm(dim=1, keepdim=True) * self._kept)
        return error
