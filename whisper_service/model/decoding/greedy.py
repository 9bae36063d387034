"""Greedy decoding of a batch: one forward pass verifies the drafts, then new tokens follow one by one.

The tokens are those that would be picked one by one: every rule is applied at every position, so an accepted
draft is what would have been picked anyway. Finished sequences leave once they make up half of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

from whisper_service.model.decoding.sampler import Sampler, most_probable
from whisper_service.model.decoding.sequence import Decoded, TokenSequence
from whisper_service.model.network.cache import DecoderCache


def decode_greedily(
    sampler: Sampler, cache: DecoderCache, sequences: Sequence[TokenSequence]
) -> list[Decoded]:
    """Return the decoded text of each sequence.

    :param cache: an empty cache with the capacity of ``capacity_for(sequences)``. Do not use it afterwards.
    """
    drafts = [sequence.draft for sequence in sequences]
    hidden, attention = sampler.append(
        cache, [[*sequence.head, *sequence.prefix, *sequence.draft] for sequence in sequences]
    )
    no_speech = sampler.no_speech(hidden, sequences)
    results, next_tokens = [], []  # the next token of each text is in neither yet
    for index, (sequence, (best, logprobs)) in enumerate(
        zip(sequences, sampler.choose_after(hidden, sequences, drafts, most_probable), strict=True)
    ):
        accepted = next(
            (at for at, token in enumerate(sequence.draft) if token != best[at]), len(sequence.draft)
        )
        cache.truncate(index, sequence.last_fixed + 1 + accepted)
        seen = [attention[index, :, sequence.sot_index : sequence.last_fixed + 1 + accepted]]
        results.append(
            Decoded(best[:accepted], logprobs[:accepted], logprobs[accepted], no_speech[index], seen)
        )
        next_tokens.append(best[accepted])
    present = list(range(len(sequences)))  # the index of the sequence in each row of the cache
    eot = sampler.vocabulary.eot
    going = [
        index for index in present if _goes_on(eot, sequences[index], results[index], next_tokens[index])
    ]
    while going:
        if 2 * len(going) <= len(present):
            # Compacting the cache costs about as much as a few steps of the finished sequences. So it is done
            # only when at least half of the rows are finished.
            cache.keep([present.index(index) for index in going])
            present = list(going)
        for index in going:
            results[index].tokens.append(next_tokens[index])
            results[index].logprobs.append(results[index].end_logprob)
        counts = [int(index in going) for index in present]
        hidden, attention = sampler.append(cache, [[next_tokens[index]] for index in present], counts)
        best, logprobs = sampler.choose(
            hidden[:, 0],
            [sequences[index] for index in present],
            [sampler.place(sequences[index], results[index].tokens) for index in present],
            [(index, len(results[index].tokens)) for index in present],
            most_probable,
        )
        for place, index in enumerate(present):
            if index in going:
                results[index].attention.append(attention[place])
                next_tokens[index], results[index].end_logprob = best[place], logprobs[place]
        going = [
            index for index in going if _goes_on(eot, sequences[index], results[index], next_tokens[index])
        ]
    return results


def _goes_on(eot: int, sequence: TokenSequence, result: Decoded, next_token: int) -> bool:
    return next_token != eot and len(result.tokens) < sequence.budget
