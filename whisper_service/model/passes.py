"""The pieces that all ways of decoding are made of: texts go through the decoder, tokens are chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from whisper_service.model.cache import DecoderCache
from whisper_service.model.decoder import Decoder
from whisper_service.model.row import Row
from whisper_service.model.rules import Place, Rules
from whisper_service.model.tokens import Vocabulary

#: Chooses a token in each row of logits ``(N, n_vocab)``; the rest says where: which row of the batch, and
#: how many tokens its text has by now.
Pick = Callable[[Tensor, Sequence[tuple[int, int]]], Tensor]


@dataclass(frozen=True, slots=True)
class Passes:
    """A decoder with its vocabulary and its rules."""

    decoder: Decoder
    vocabulary: Vocabulary
    rules: Rules

    def append(
        self, cache: DecoderCache, texts: Sequence[Sequence[int]], counts: list[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Append tokens to the rows of ``cache``; see ``Decoder.forward``.

        :param counts: how many of them are meant; all if left out.
        """
        counts = counts or [len(text) for text in texts]
        longest = max(len(text) for text in texts)
        if longest == 1:
            return self.decoder.step([token for (token,) in texts], counts, cache)
        padded = [[*text, *[0] * (longest - len(text))] for text in texts]
        tokens = torch.tensor(padded, device=cache.keys.device)
        return self.decoder.forward(tokens, counts, cache)

    def no_speech(self, hidden: Tensor, rows: Sequence[Row]) -> list[float]:
        """Return the no-speech probability of each row, of the hidden states of whole rows."""
        at = hidden[list(range(len(rows))), [row.sot for row in rows]]  # (B, D)
        probabilities: list[float] = (
            self.decoder.logits.exact(at).softmax(-1)[:, self.vocabulary.no_speech].tolist()
        )
        return probabilities

    def behind(
        self, hidden: Tensor, rows: Sequence[Row], texts: Sequence[Sequence[int]], pick: Pick
    ) -> list[tuple[list[int], list[float]]]:
        """Return for each row the tokens picked behind its prefix and behind each token of its text.

        :param hidden: of whole rows: head, prefix and text, ``(B, T, D)``.
        :param texts: of each row, behind its prefix.
        """
        where = [(index, at) for index, text in enumerate(texts) for at in range(len(text) + 1)]
        picked: list[int] = []
        logprobs: list[float] = []
        together = self.decoder.logits.rows
        for begin in range(0, len(where), together):
            part = where[begin : begin + together]
            index = [row for row, _ in part]
            places = [self.place(rows[row], texts[row][:at]) for row, at in part]
            states = hidden[index, [rows[row].chooses + at for row, at in part]]  # (N, D)
            found = self.choose(states, [rows[row] for row in index], places, part, pick)
            picked += found[0]
            logprobs += found[1]
        edges = list(accumulate((len(text) + 1 for text in texts), initial=0))
        return [(picked[begin:end], logprobs[begin:end]) for begin, end in pairwise(edges)]

    def choose(
        self,
        hidden: Tensor,
        rows: Sequence[Row],
        places: Sequence[Place],
        where: Sequence[tuple[int, int]],
        pick: Pick,
    ) -> tuple[list[int], list[float]]:
        """Return the token picked behind each position, and its log-probability.

        :param hidden: ``(N, D)``; ``rows``, ``places`` and ``where`` are those of the positions.
        """
        logits = self._restricted(self.decoder.logits.rough(hidden), rows, places)
        logits = self.decoder.logits.refine(hidden, logits)
        token = pick(logits, where)
        value = logits.gather(-1, token[:, None])[:, 0]
        # Both at once: a GPU is waited for once a step.
        logprob = value - logits.logsumexp(dim=-1)
        tokens, logprobs = torch.stack([token.double(), logprob.double()]).tolist()
        return [int(token) for token in tokens], logprobs

    def all_logits(self, hidden: Tensor, rows: Sequence[Row], places: Sequence[Place]) -> Tensor:
        """Return the logits behind positions with what may not follow at minus infinity, ``(N, n_vocab)``."""
        return self._restricted(self.decoder.logits.exact(hidden), rows, places)

    def _restricted(self, logits: Tensor, rows: Sequence[Row], places: Sequence[Place]) -> Tensor:
        return self.rules.apply(logits, places, timestamps=[row.timestamps for row in rows])

    def place(self, row: Row, text: Sequence[int]) -> Place:
        """Return what may stand behind ``text``, which follows the row's prefix."""
        return self.rules.place([*row.prefix, *text], timestamps=row.timestamps)


def most_probable(logits: Tensor, where: Sequence[tuple[int, int]]) -> Tensor:
    """Pick the most probable token."""
    return logits.argmax(dim=-1)
