"""Decoding of a batch of windows: drafts are verified in one forward, what is new comes token by token.

The tokens of a row are those of plain greedy decoding: every rule is applied at every position, so a draft
that is accepted is what would have been chosen. Rows leave as they finish.
"""

from __future__ import annotations

from collections.abc import Sequence

from whisper_service.model.cache import DecoderCache
from whisper_service.model.passes import Passes, Pick, most_probable
from whisper_service.model.row import Decoded, Row


def decode_greedily(
    passes: Passes, cache: DecoderCache, rows: Sequence[Row], *, pick: Pick = most_probable
) -> list[Decoded]:
    """Return what each row says.

    :param cache: empty, with at least ``room_of(rows)``; used up by this call.
    :param pick: chooses the tokens; greedily if left out.
    """
    drafts = [row.draft for row in rows]
    hidden, attention = passes.append(cache, [[*row.head, *row.prefix, *row.draft] for row in rows])
    no_speech = passes.no_speech(hidden, rows)
    results, follows = [], []  # `follows`: the token chosen behind what each row has
    for index, (row, (best, logprobs)) in enumerate(
        zip(rows, passes.behind(hidden, rows, drafts, pick), strict=True)
    ):
        accepted = next((at for at, token in enumerate(row.draft) if token != best[at]), len(row.draft))
        cache.truncate(index, row.chooses + 1 + accepted)
        seen = [attention[index, :, row.sot : row.chooses + 1 + accepted]]
        results.append(
            Decoded(best[:accepted], logprobs[:accepted], logprobs[accepted], no_speech[index], seen)
        )
        follows.append(best[accepted])
    present = list(range(len(rows)))  # which row each row of the cache is
    eot = passes.vocabulary.eot
    going = [index for index in present if _goes_on(eot, rows[index], results[index], follows[index])]
    while going:
        if 2 * len(going) <= len(present):
            # Moving the others together costs about as much as a few steps of those that are done.
            cache.keep([present.index(index) for index in going])
            present = list(going)
        for index in going:
            results[index].tokens.append(follows[index])
            results[index].logprobs.append(results[index].end_logprob)
        counts = [int(index in going) for index in present]
        hidden, attention = passes.append(cache, [[follows[index]] for index in present], counts)
        best, logprobs = passes.choose(
            hidden[:, 0],
            [rows[index] for index in present],
            [passes.place(rows[index], results[index].tokens) for index in present],
            [(index, len(results[index].tokens)) for index in present],
            pick,
        )
        for place, index in enumerate(present):
            if index in going:
                results[index].attention.append(attention[place])
                follows[index], results[index].end_logprob = best[place], logprobs[place]
        going = [index for index in going if _goes_on(eot, rows[index], results[index], follows[index])]
    return results


def _goes_on(eot: int, row: Row, result: Decoded, follows: int) -> bool:
    return follows != eot and len(result.tokens) < row.budget
