"""Beam search: several texts are followed at once for each window, and the most probable one is returned.

Source: ``BeamSearchDecoder`` (patience 1) and ``MaximumLikelihoodRanker`` in whisper/decoding.py of
openai-whisper 20250625. Whisper puts every score into a dictionary of whole texts; here a step is one
``topk``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from whisper_service.model.decoding.sampler import Pick, Sampler
from whisper_service.model.decoding.sequence import Decoded, TokenSequence
from whisper_service.model.network.cache import DecoderCache


@dataclass(slots=True)
class _Beam:
    """The texts of one window.

    :param texts: the unfinished texts, the most probable first.
    :param scores: the sum of the log-probabilities of each unfinished text.
    :param ended: the finished texts with their scores.
    """

    sequence: TokenSequence
    texts: list[list[int]]
    scores: list[float]
    ended: list[tuple[list[int], float]] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether enough texts have ended, or the unfinished texts have used up the budget."""
        return len(self.ended) >= len(self.texts) or len(self.texts[0]) >= self.sequence.budget

    def best(self) -> list[int]:
        """Return the text with the highest log-probability per token.

        If fewer texts than the beam size have ended, the best unfinished texts fill the list of candidates.
        """
        going = list(zip(self.texts, self.scores, strict=True))
        found = self.ended + going[: len(going) - len(self.ended)]
        return max(found, key=lambda text: text[1] / max(1, len(text[0])))[0]

    def extend(
        self, logprobs: Sequence[Sequence[float]], tokens: Sequence[Sequence[int]], eot: int
    ) -> list[int]:
        """Extend the texts by their best next tokens; return, for each new text, the index of its parent.

        :param logprobs: for each text, the log-probabilities of its candidate ``tokens``.
        """
        size = len(self.texts)
        found = [
            (score + logprob, parent, token)
            for parent, score in enumerate(self.scores)
            if score > -math.inf
            for logprob, token in zip(logprobs[parent], tokens[parent], strict=True)
        ]
        found.sort(key=lambda candidate: -candidate[0])
        texts, scores, parents = [], [], []
        for score, parent, token in found:
            if token != eot:
                texts.append([*self.texts[parent], token])
                scores.append(score)
                parents.append(parent)
            elif len(self.ended) < size:
                self.ended.append((self.texts[parent], score))
            if len(texts) == size:
                break
        self.texts, self.scores = texts, scores
        return parents


def search(
    sampler: Sampler, cache: DecoderCache, sequences: Sequence[TokenSequence], *, size: int
) -> list[Decoded]:
    """Return the decoded text of each sequence.

    :param cache: an empty cache with the capacity of ``capacity_for(sequences)``. It is not changed.
    :param size: the number of texts that are followed for each window.
    """
    found = _texts(sampler, cache.copied(range(len(sequences))), sequences, size)
    # One forward pass over each whole text gives its attention and its probabilities.
    sequences = [replace(sequence, draft=text) for sequence, text in zip(sequences, found, strict=True)]
    return follow(sampler, cache.copied(range(len(sequences))), sequences)


def follow(sampler: Sampler, cache: DecoderCache, sequences: Sequence[TokenSequence]) -> list[Decoded]:
    """Return the drafts unchanged, with the attention and the probabilities that the model gives them."""
    texts = [sequence.draft for sequence in sequences]
    hidden, attention = sampler.append(
        cache, [[*sequence.head, *sequence.prefix, *sequence.draft] for sequence in sequences]
    )
    no_speech = sampler.no_speech(hidden, sequences)
    read = sampler.choose_after(hidden, sequences, texts, _given(texts, sampler.vocabulary.eot))
    return [
        Decoded(
            text,
            logprobs[:-1],
            logprobs[-1],
            no_speech[index],
            [attention[index, :, sequence.sot_index : sequence.last_fixed + 1 + len(text)]],
        )
        for index, (sequence, text, (_, logprobs)) in enumerate(zip(sequences, texts, read, strict=True))
    ]


def _given(texts: Sequence[list[int]], eot: int) -> Pick:
    def pick(logits: Tensor, where: Sequence[tuple[int, int]]) -> Tensor:
        tokens = [[*texts[sequence], eot][length] for sequence, length in where]
        return torch.tensor(tokens, device=logits.device)

    return pick


def _texts(
    sampler: Sampler, cache: DecoderCache, sequences: Sequence[TokenSequence], size: int
) -> list[list[int]]:
    hidden, _ = sampler.append(cache, [[*sequence.head, *sequence.prefix] for sequence in sequences])
    # At first all texts of a window are empty and equal, so only one of them may be extended.
    beams = [_Beam(sequence, [[]] * size, [0.0] + [-math.inf] * (size - 1)) for sequence in sequences]
    places = [index for index, beam in enumerate(beams) if not beam.done for _ in range(size)]
    states = hidden[places, [sequences[index].last_fixed for index in places]]  # (N * size, D)
    going = [beam for beam in beams if not beam.done]
    if going:
        cache.keep(places)
    while going:
        parents = _extend(sampler, states, going, size)
        chosen = [
            place * size + parent
            for place, beam in enumerate(going)
            if not beam.done
            for parent in parents[place]
        ]
        left = [beam for beam in going if not beam.done]
        if not left:
            break
        if len(left) == len(going):
            cache.reorder(chosen)
        else:
            cache.keep(chosen)
        going = left
        hidden, _ = sampler.append(cache, [[text[-1]] for beam in going for text in beam.texts])
        states = hidden[:, 0]
    return [beam.best() for beam in beams]


def _extend(sampler: Sampler, states: Tensor, beams: Sequence[_Beam], size: int) -> list[list[int]]:
    """Extend the texts of ``beams``; return, for each beam, the parents of its new texts.

    :param states: the hidden states of all texts, ``(len(beams) * size, D)``.
    """
    sequences = [beam.sequence for beam in beams for _ in range(size)]
    places = [sampler.place(beam.sequence, text) for beam in beams for text in beam.texts]
    best = sampler.all_logits(states, sequences, places).log_softmax(-1).topk(size + 1)
    logprobs, tokens = best.values.tolist(), best.indices.tolist()
    eot = sampler.vocabulary.eot
    return [
        beam.extend(logprobs[at * size : (at + 1) * size], tokens[at * size : (at + 1) * size], eot)
        for at, beam in enumerate(beams)
    ]
