"""Greedy decoding of a batch of windows: drafts are verified in one forward, what is new comes step by step.

The tokens of a row are those of plain greedy decoding: every rule is applied at every position, so a draft
that is accepted is what would have been chosen. Rows leave as they finish.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from whisper_service.model.cache import DecoderCache
from whisper_service.model.decoder import Decoder
from whisper_service.model.tokens import Vocabulary

#: Rows of logits that are looked at together: 51,865 float32 a row.
_LOGITS_ROWS = 128


@dataclass(frozen=True, slots=True)
class Row:
    """What one window is asked.

    :param head: prompt and start sequence.
    :param sot: where in ``head`` the start-of-transcript token is.
    :param prefix: text tokens that stand already.
    :param draft: what the text behind them may be, at most ``budget`` tokens.
    :param budget: most tokens behind the prefix.
    """

    head: list[int]
    sot: int
    prefix: list[int]
    draft: list[int]
    budget: int

    @property
    def longest(self) -> int:
        """The most tokens that the row can come to."""
        return len(self.head) + len(self.prefix) + self.budget

    @property
    def chooses(self) -> int:
        """The position that chooses the first token behind the prefix."""
        return len(self.head) + len(self.prefix) - 1


@dataclass(slots=True)
class Decoded:
    """One row's text behind its prefix.

    :param tokens: without the end of the text.
    :param logprobs: of each of them.
    :param end_logprob: of the token behind them: the end of the text, or what the budget has cut off.
    :param no_speech_probability: Whisper's own estimate that the window holds no speech.
    :param attention: of the alignment heads from the start of transcript on, ``(A, n, n_audio_ctx)`` each;
        the row of a position is that with which the token behind it was chosen.
    """

    tokens: list[int]
    logprobs: list[float]
    end_logprob: float
    no_speech_probability: float
    attention: list[Tensor] = field(repr=False)


def room_of(rows: Sequence[Row]) -> int:
    """Return the room that a cache for these rows needs, padding included."""
    return max(row.longest for row in rows) + 1


def decode_greedily(
    decoder: Decoder, vocabulary: Vocabulary, cache: DecoderCache, rows: Sequence[Row]
) -> list[Decoded]:
    """Return what each row says.

    :param cache: empty, with at least ``room_of(rows)``; used up by this call.
    """
    hidden, attention = _forward(decoder, cache, [[*row.head, *row.prefix, *row.draft] for row in rows])
    no_speech = _no_speech(decoder, vocabulary, hidden, rows)
    results, follows = [], []  # `follows`: the token chosen behind what each row has
    for index, (row, (best, logprobs)) in enumerate(
        zip(rows, _read(decoder, vocabulary, hidden, rows), strict=True)
    ):
        accepted = next((at for at, token in enumerate(row.draft) if token != best[at]), len(row.draft))
        cache.truncate(index, row.chooses + 1 + accepted)
        seen = [attention[index, :, row.sot : row.chooses + 1 + accepted]]
        results.append(
            Decoded(best[:accepted], logprobs[:accepted], logprobs[accepted], no_speech[index], seen)
        )
        follows.append(best[accepted])
    present = list(range(len(rows)))  # which row each row of the cache is
    going = [index for index in present if _goes_on(vocabulary, rows[index], results[index], follows[index])]
    while going:
        if 2 * len(going) <= len(present):
            # Moving the others together costs about as much as a few steps of those that are done.
            cache.keep([present.index(index) for index in going])
            present = list(going)
        for index in going:
            results[index].tokens.append(follows[index])
            results[index].logprobs.append(results[index].end_logprob)
        counts = [int(index in going) for index in present]
        hidden, attention = _forward(decoder, cache, [[follows[index]] for index in present], counts)
        best, logprobs = _best(decoder, vocabulary, hidden[:, 0])
        for place, index in enumerate(present):
            if index in going:
                results[index].attention.append(attention[place])
                follows[index], results[index].end_logprob = best[place], logprobs[place]
        going = [
            index for index in going if _goes_on(vocabulary, rows[index], results[index], follows[index])
        ]
    return results


def _goes_on(vocabulary: Vocabulary, row: Row, result: Decoded, follows: int) -> bool:
    return follows != vocabulary.eot and len(result.tokens) < row.budget


def _forward(
    decoder: Decoder, cache: DecoderCache, texts: list[list[int]], counts: list[int] | None = None
) -> tuple[Tensor, Tensor]:
    longest = max(len(text) for text in texts)
    padded = [[*text, *[0] * (longest - len(text))] for text in texts]
    tokens = torch.tensor(padded, device=cache.keys.device)
    return decoder.forward(tokens, counts or [len(text) for text in texts], cache)


def _no_speech(decoder: Decoder, vocabulary: Vocabulary, hidden: Tensor, rows: Sequence[Row]) -> list[float]:
    at = hidden[list(range(len(rows))), [row.sot for row in rows]]  # (B, D)
    probabilities: list[float] = decoder.logits(at).softmax(-1)[:, vocabulary.no_speech].tolist()
    return probabilities


def _read(
    decoder: Decoder, vocabulary: Vocabulary, hidden: Tensor, rows: Sequence[Row]
) -> list[tuple[list[int], list[float]]]:
    """Return for each row the best tokens behind its prefix and behind each token of its draft."""
    places = [(index, row.chooses + at) for index, row in enumerate(rows) for at in range(len(row.draft) + 1)]
    first = [not row.prefix and at == 0 for row in rows for at in range(len(row.draft) + 1)]
    best: list[int] = []
    logprobs: list[float] = []
    for begin in range(0, len(places), _LOGITS_ROWS):
        index, at = zip(*places[begin : begin + _LOGITS_ROWS], strict=True)
        found = _best(decoder, vocabulary, hidden[list(index), list(at)], first[begin : begin + _LOGITS_ROWS])
        best += found[0]
        logprobs += found[1]
    edges = list(accumulate((len(row.draft) + 1 for row in rows), initial=0))
    return [(best[begin:end], logprobs[begin:end]) for begin, end in pairwise(edges)]


def _best(
    decoder: Decoder, vocabulary: Vocabulary, hidden: Tensor, first: Sequence[bool] = ()
) -> tuple[list[int], list[float]]:
    """Return the best allowed token behind each position, and its log-probability.

    :param hidden: ``(N, D)``.
    :param first: which positions choose the first token of an empty text; none if left out.
    """
    logits = vocabulary.restrict(decoder.logits(hidden), first)
    value, token = logits.max(dim=-1)
    return token.tolist(), (value - logits.logsumexp(dim=-1)).tolist()
