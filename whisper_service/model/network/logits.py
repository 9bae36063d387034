"""The projection to logits. Its matrix is the largest of a small Whisper, and is read again for every token.

On a CPU a step of the decoder waits for these weights: 106 MB in float32 for the width of ``base``. So int8
finds the candidates, and float32 decides between them. The best token is the one that float32 alone would
choose, because the error of int8 has a strict bound, not an estimated one:

    |x · w − x̂ · ŵ|  ≤  ‖x‖ ‖w − ŵ‖ + ‖x − x̂‖ ‖ŵ‖

where ŵ is the rounded row of weights and x̂ the rounded hidden state with the rounded remainder (the
Cauchy-Schwarz inequality, twice).
The hidden states of real checkpoints have outliers, which cost all other numbers their precision. So each
hidden state is multiplied twice: first the rounded state, then the remainder that rounding has left.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from whisper_service.model.network.precision import Int8Linear, Precision, int8_works, linear

#: If a row has more candidates than this, all its logits are computed in float32.
_MOST_CANDIDATES = 64
#: Rows that are projected together. The int8 search takes few, so that its scratch memory stays in the
#: processor's cache.
_ROWS, _ROWS_SEARCHED = 128, 8


class Logits:
    """Projects hidden states onto the vocabulary.

    :param embedding: the embeddings of the tokens, ``(n_vocab, D)``.
    """

    def __init__(self, embedding: Tensor, precision: Precision) -> None:
        self._embedding = embedding
        self._rough: Int8Linear | None = None
        if precision.dtype is Precision.FLOAT32.dtype and embedding.device.type == "cpu" and int8_works():
            rough = linear(embedding, None, Precision.INT8)
            assert isinstance(rough, Int8Linear)
            rounded = rough.weight()
            self._rough = rough
            self._weight_error = (embedding - rounded).norm(dim=1)  # (n_vocab,), ‖w − ŵ‖
            self._weight_norm = rounded.norm(dim=1)  # (n_vocab,), ‖ŵ‖

    @property
    def rows_at_once(self) -> int:
        """The number of rows that it is best to project together."""
        return _ROWS if self._rough is None else _ROWS_SEARCHED

    def full(self, hidden: Tensor) -> Tensor:
        """Return all logits, float32 ``(…, n_vocab)``, of hidden states ``(…, D)``."""
        return F.linear(hidden, self._embedding).float()

    def of(self, hidden: Tensor, token: int) -> Tensor:
        """Return the logit of one token, float32 ``(…,)``, of hidden states ``(…, D)``."""
        return (hidden @ self._embedding[token]).float()

    def rough(self, hidden: Tensor) -> Tensor:
        """Return approximate logits, float32 ``(N, n_vocab)``, in which ``refine`` finds the best ones."""
        if self._rough is None:
            return self.full(hidden)
        rest = hidden - self._rough.rounded(hidden)
        return self._rough(hidden).add_(self._rough(rest))

    def refine(self, hidden: Tensor, logits: Tensor) -> Tensor:
        """Return ``logits`` with the exact values of all tokens that may be the best of their row. In place.

        :param hidden: hidden states, ``(N, D)``.
        :param logits: the rough logits of ``hidden``. Forbidden tokens are at minus infinity, and stay there.
        """
        if self._rough is None:
            return logits
        candidates = self.candidates(hidden, logits)  # (N, n_vocab), bool
        many = candidates.sum(dim=1) > _MOST_CANDIDATES
        if many.any():
            whole = self.full(hidden[many])
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
        """Return a bound on the error of each rough logit, ``(N, n_vocab)``."""
        assert self._rough is not None
        rest = hidden - self._rough.rounded(hidden)
        state_error = rest - self._rough.rounded(rest)
        error: Tensor = hidden.norm(dim=1, keepdim=True) * self._weight_error
        error.add_(state_error.norm(dim=1, keepdim=True) * self._weight_norm)
        return error
