"""Whisper's own rules for the next token, applied to a whole batch at once.

Source: ``SuppressBlank``, ``SuppressTokens`` and ``ApplyTimestampRules`` in whisper/decoding.py of
openai-whisper 20250625. ``ApplyTimestampRules`` loops over the rows there, and waits for the device in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from whisper_service.model.decoding.vocabulary import Vocabulary

#: The first timestamp is at most 1 s: 50 steps of 20 ms (``max_initial_timestamp``).
_LATEST_FIRST = 50


class Allowed(NamedTuple):
    """Which tokens are allowed at one position. Some tokens are allowed at no position.

    :param first: whether the text begins here. Then neither a blank nor the end-of-text token is allowed.
    :param text: whether text tokens are allowed. The end-of-text token does not depend on this.
    :param stamps: the timestamp tokens that are allowed.
    """

    first: bool = False
    text: bool = True
    stamps: range = range(0)


#: The first position of a text without timestamps, and all others.
_BEGINNING, _ANYWHERE = Allowed(first=True), Allowed()


class Rules:
    """The rules of one checkpoint as tensors.

    :param n_vocab: length of a row of logits.
    """

    def __init__(self, vocabulary: Vocabulary, *, n_vocab: int, device: torch.device) -> None:
        self._eot, self._stamps = vocabulary.eot, range(vocabulary.timestamps, n_vocab)
        self._ids = torch.arange(n_vocab, device=device)
        # Masks of the tokens that are forbidden everywhere: `_never` in text with timestamps, `_plain` in
        # text without them. `_plain` allows only text tokens and the end-of-text token.
        self._never = (self._ids > self._eot) & (self._ids < self._stamps.start)
        self._never[list(vocabulary.non_speech)] = True
        self._plain = self._never | (self._ids > self._eot)
        self._blank = torch.zeros_like(self._never)
        self._blank[[*vocabulary.blank, self._eot]] = True

    def place(self, text: Sequence[int], *, timestamps: bool) -> Allowed:
        """Return which tokens may follow ``text``, the tokens after the start sequence."""
        if not timestamps:
            return _ANYWHERE if text else _BEGINNING
        begin, end = self._stamps.start, self._stamps.stop
        if not text:
            return Allowed(first=True, text=False, stamps=range(begin, begin + _LATEST_FIRST + 1))
        last = text[-1] >= begin
        before = len(text) < 2 or text[-2] >= begin
        if last and before:
            return Allowed(stamps=range(0))
        # Timestamps do not decrease, and a segment's end is later than its start.
        newest = next((token for token in reversed(text) if token >= begin), begin - 1)
        return Allowed(text=not last, stamps=range(newest if last else newest + 1, end))

    def apply(self, logits: Tensor, allowed: Sequence[Allowed], *, timestamps: Sequence[bool]) -> Tensor:
        """Return ``logits`` ``(N, n_vocab)`` with forbidden tokens at minus infinity, changed in place.

        :param allowed: the place of each row.
        :param timestamps: whether each row has timestamps.
        """
        if not any(timestamps):
            logits.masked_fill_(self._plain, -torch.inf)
        else:
            self._apply_timestamps(logits, allowed, timestamps)
        if any(one.first for one in allowed):
            logits.masked_fill_(self._column([one.first for one in allowed]) & self._blank, -torch.inf)
        return logits

    def _apply_timestamps(
        self, logits: Tensor, allowed: Sequence[Allowed], timestamps: Sequence[bool]
    ) -> None:
        begins = self._column([one.stamps.start for one in allowed])
        ends = self._column([one.stamps.stop for one in allowed])
        stamps_allowed = (self._ids >= begins) & (self._ids < ends)
        wordless = self._column([not one.text for one in allowed])
        stamps = self._ids >= self._stamps.start
        logits.masked_fill_(
            self._never | (stamps & ~stamps_allowed) | (wordless & (self._ids < self._eot)), -torch.inf
        )
        # A timestamp must follow if all timestamps together are more probable than every other single token.
        likelier = logits[:, stamps].logsumexp(-1) > logits[:, ~stamps].amax(-1)
        comes = likelier & torch.tensor(timestamps, device=logits.device)
        logits.masked_fill_(comes[:, None] & ~stamps, -torch.inf)

    def _column(self, values: Sequence[int | bool]) -> Tensor:
        return torch.tensor(values, device=self._ids.device)[:, None]
