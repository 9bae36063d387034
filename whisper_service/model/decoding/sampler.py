"""The sampler: runs the decoder over texts, and picks tokens from its logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from whisper_service.model.decoding.rules import Allowed, Rules
from whisper_service.model.decoding.sequence import TokenSequence
from whisper_service.model.decoding.vocabulary import Vocabulary
from whisper_service.model.network.cache import DecoderCache
from whisper_service.model.network.decoder import Decoder

#: Picks a token from each row of logits ``(N, n_vocab)``. The second argument has a pair for each row: the
#: index of its sequence in the batch, and the number of tokens that the text of this sequence has so far.
Pick = Callable[[Tensor, Sequence[tuple[int, int]]], Tensor]


@dataclass(frozen=True, slots=True)
class Sampler:
    """A decoder with its vocabulary and its rules."""

    decoder: Decoder
    vocabulary: Vocabulary
    rules: Rules

    def append(
        self, cache: DecoderCache, texts: Sequence[Sequence[int]], counts: list[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Append tokens to the sequences of ``cache``; see ``Decoder.forward``.

        :param counts: how many tokens to append to each sequence; the others are padding. By default all.
        """
        counts = counts or [len(text) for text in texts]
        longest = max(len(text) for text in texts)
        if longest == 1:
            return self.decoder.step([token for (token,) in texts], counts, cache)
        padded = [[*text, *[0] * (longest - len(text))] for text in texts]
        tokens = torch.tensor(padded, device=cache.keys.device)
        return self.decoder.forward(tokens, counts, cache)

    def no_speech(self, hidden: Tensor, sequences: Sequence[TokenSequence]) -> list[float]:
        """Return the no-speech probability of each sequence.

        :param hidden: the hidden states of whole sequences, ``(B, T, D)``.
        """
        at = hidden[list(range(len(sequences))), [sequence.sot_index for sequence in sequences]]  # (B, D)
        logits = self.decoder.logits
        # Of the other tokens only the sum counts.
        probabilities: list[float] = (
            (logits.of(at, self.vocabulary.no_speech) - logits.rough(at).logsumexp(-1)).exp().tolist()
        )
        return probabilities

    def choose_after(
        self, hidden: Tensor, sequences: Sequence[TokenSequence], texts: Sequence[Sequence[int]], pick: Pick
    ) -> list[tuple[list[int], list[float]]]:
        """Return, for each sequence, the tokens picked after its prefix and after each token of its text.

        Each list of tokens comes with the list of their log-probabilities.

        :param hidden: the hidden states of whole sequences (head, prefix and text), ``(B, T, D)``.
        :param texts: the text of each sequence after its prefix.
        """
        where = [(index, at) for index, text in enumerate(texts) for at in range(len(text) + 1)]
        picked: list[int] = []
        logprobs: list[float] = []
        together = self.decoder.logits.rows_at_once
        for begin in range(0, len(where), together):
            part = where[begin : begin + together]
            index = [sequence for sequence, _ in part]
            allowed = [self.place(sequences[sequence], texts[sequence][:at]) for sequence, at in part]
            states = hidden[index, [sequences[sequence].last_fixed + at for sequence, at in part]]  # (N, D)
            found = self.choose(states, [sequences[sequence] for sequence in index], allowed, part, pick)
            picked += found[0]
            logprobs += found[1]
        edges = list(accumulate((len(text) + 1 for text in texts), initial=0))
        return [(picked[begin:end], logprobs[begin:end]) for begin, end in pairwise(edges)]

    def choose(
        self,
        hidden: Tensor,
        sequences: Sequence[TokenSequence],
        allowed: Sequence[Allowed],
        where: Sequence[tuple[int, int]],
        pick: Pick,
    ) -> tuple[list[int], list[float]]:
        """Return the token picked after each position, and its log-probability.

        :param hidden: the hidden states of the positions, ``(N, D)``. ``sequences``, ``allowed`` and
            ``where`` have one entry for each position.
        """
        logits = self._restricted(self.decoder.logits.rough(hidden), sequences, allowed)
        logits = self.decoder.logits.refine(hidden, logits)
        token = pick(logits, where)
        value = logits.gather(-1, token[:, None])[:, 0]
        # Token and log-probability are copied together, so that reading them waits for the GPU only once.
        logprob = value - logits.logsumexp(dim=-1)
        tokens, logprobs = torch.stack([token.double(), logprob.double()]).tolist()
        return [int(token) for token in tokens], logprobs

    def all_logits(
        self, hidden: Tensor, sequences: Sequence[TokenSequence], allowed: Sequence[Allowed]
    ) -> Tensor:
        """Return the exact next-token logits, ``(N, n_vocab)``, with forbidden tokens at minus infinity."""
        return self._restricted(self.decoder.logits.full(hidden), sequences, allowed)

    def _restricted(
        self, logits: Tensor, sequences: Sequence[TokenSequence], allowed: Sequence[Allowed]
    ) -> Tensor:
        return self.rules.apply(logits, allowed, timestamps=[sequence.timestamps for sequence in sequences])

    def place(self, sequence: TokenSequence, text: Sequence[int]) -> Allowed:
        """Return which tokens may follow ``text``, the tokens after the sequence's prefix."""
        if sequence.must_speak and not self.vocabulary.says(text):
            return Allowed(first=True)
        if not sequence.timestamps:
            # Only whether there is a text at all matters.
            return self.rules.place(sequence.prefix or text, timestamps=False)
        return self.rules.place([*sequence.prefix, *text], timestamps=True)


def most_probable(logits: Tensor, where: Sequence[tuple[int, int]]) -> Tensor:
    """Return the most probable token of each row."""
    return logits.argmax(dim=-1)
