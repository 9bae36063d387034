"""Scores a live transcript word by word: the words that were shown, and when, against those that were said.

Words are compared after ``commit.normalise``, without case and punctuation. All figures are computed from the
messages that a client sees. Each message has the time at which it came, in seconds of the stream's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from whisper_service.session.commit import normalise

#: Messages closer together than this, in seconds, count as one, such as a final and the partial after it.
_AT_ONCE_S = 0.05
#: A partial is compared with this many more words of the final text than it has, because it may leave words
#: out.
_SLACK_WORDS = 8


@dataclass(frozen=True, slots=True)
class Message:
    """One partial or final.

    :param at: when it came, in seconds of the stream's clock.
    """

    at: float
    final: bool
    text: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """One word of the truth, with its start and end in seconds."""

    text: str
    start: float
    end: float


@dataclass(slots=True)
class Score:
    """The score of one stream, or of several together. Delays are in seconds after the end of the word.

    :param first_display: for each right word, when it was shown in its place and was never missing again.
    :param commit: for each right word, when it was final.
    :param last_final: for each utterance, when its last right word was final, after the end of its speech.
    :param shown: number of words that appeared in partials.
    :param revised: how many of these were replaced or taken back.
    :param repeated: number of words at the end of a final that the next final repeats, unlike the truth.
    :param lost: number of words of the truth that are missing between one final and the next.
    """

    first_display: list[float] = field(default_factory=list)
    commit: list[float] = field(default_factory=list)
    last_final: list[float] = field(default_factory=list)
    shown: int = 0
    revised: int = 0
    repeated: int = 0
    lost: int = 0

    def add(self, other: Score) -> None:
        """Add the score of another stream."""
        self.first_display += other.first_display
        self.commit += other.commit
        self.last_final += other.last_final
        self.shown += other.shown
        self.revised += other.revised
        self.repeated += other.repeated
        self.lost += other.lost


@dataclass(frozen=True, slots=True)
class _State:
    """The words on the client's screen from ``at`` on."""

    at: float
    final: int  # how many words are final
    partial: tuple[str, ...]


def score(messages: Sequence[Message], truth: Sequence[Spoken], ends: Iterable[float] = ()) -> Score:
    """Return the score of one stream.

    :param messages: all its partials and finals, in order.
    :param truth: every word that was said.
    :param ends: when each utterance ended, in seconds.
    """
    finals = [words_of(message.text) for message in messages if message.final]
    transcript = [word for words in finals for word in words]
    states = _states(messages)
    result = Score()
    said = [normalise(word.text) for word in truth]
    places = align(said, transcript)
    shown_at = _first_displays(states, transcript)
    final_at = _commits(states, len(transcript))
    right: list[tuple[float, float]] = []  # for each right word: its end, and when it was final
    for index, place in enumerate(places):
        if place is None:
            continue
        end = truth[place].end
        result.first_display.append(shown_at[index] - end)
        result.commit.append(final_at[index] - end)
        right.append((end, final_at[index]))
    for end in ends:
        before = [at for word_end, at in right if end - 5 < word_end <= end + 0.01]
        if before:
            result.last_final.append(max(before) - end)
    _count_revisions(states, transcript, result)
    _count_seams(finals, places, said, transcript, result)
    return result


def words_of(text: str) -> list[str]:
    """Return the words of ``text``, normalised for comparison."""
    return [word for word in map(normalise, text.split()) if word]


def align(reference: Sequence[str], hypothesis: Sequence[str], *, open_end: bool = False) -> list[int | None]:
    """Return for each word of ``hypothesis`` the index of the same word in ``reference``, or None.

    The alignment has the fewest substitutions, insertions and deletions (Levenshtein).

    :param open_end: whether the reference may go on after the hypothesis at no cost.
    """
    rows, columns = len(hypothesis) + 1, len(reference) + 1
    cost = [[0] * columns for _ in range(rows)]
    cost[0] = list(range(columns))
    for row in range(1, rows):
        cost[row][0] = row
        heard, line, above = hypothesis[row - 1], cost[row], cost[row - 1]
        for column in range(1, columns):
            same = above[column - 1] + (0 if heard == reference[column - 1] else 1)
            line[column] = min(same, above[column] + 1, line[column - 1] + 1)
    column = min(range(columns), key=lambda at: (cost[-1][at], at)) if open_end else columns - 1
    row = rows - 1
    places: list[int | None] = [None] * len(hypothesis)
    while row and column:
        right = hypothesis[row - 1] == reference[column - 1]
        if cost[row][column] == cost[row - 1][column - 1] + (0 if right else 1):
            row, column = row - 1, column - 1
            places[row] = column if right else None
        elif cost[row][column] == cost[row - 1][column] + 1:
            row -= 1
        else:
            column -= 1
    return places


def _states(messages: Sequence[Message]) -> list[_State]:
    states: list[_State] = []
    final = 0
    for message in messages:
        words = tuple(words_of(message.text))
        if message.final:
            final += len(words)
        state = _State(message.at, final, () if message.final else words)
        if states and message.at - states[-1].at < _AT_ONCE_S:
            states[-1] = _State(states[-1].at, state.final, state.partial)
        else:
            states.append(state)
    return states


def _first_displays(states: Sequence[_State], transcript: Sequence[str]) -> list[float]:
    """Return for each word of the transcript when it was shown in its place and was never missing again."""
    times = [float("inf")] * len(transcript)
    missing = [False] * len(transcript)  # in one of the states that the loop has visited
    for state in reversed(states):
        there = [index < state.final for index in range(len(transcript))]
        rest = transcript[state.final : state.final + len(state.partial) + _SLACK_WORDS]
        for place in align(rest, state.partial, open_end=True):
            if place is not None:
                there[state.final + place] = True
        for index, is_there in enumerate(there):
            missing[index] |= not is_there
            if not missing[index]:
                times[index] = state.at
    return times


def _commits(states: Sequence[_State], count: int) -> list[float]:
    times: list[float] = []
    for state in states:
        times += [state.at] * (min(state.final, count) - len(times))
    return times


def _count_revisions(states: Sequence[_State], transcript: Sequence[str], result: Score) -> None:
    """Count the words that appear in partials, and those of them that are gone in the next state."""
    for before, after in pairwise([_State(0.0, 0, ()), *states]):
        became = [*transcript[before.final : after.final], *after.partial]
        places = align(became, before.partial, open_end=True)
        kept = {place for place in places if place is not None}
        result.revised += len(before.partial) - len(kept)
        result.shown += sum(place not in kept for place in range(after.final - before.final, len(became)))


def _count_seams(
    finals: Sequence[Sequence[str]],
    places: Sequence[int | None],
    said: Sequence[str],
    transcript: Sequence[str],
    result: Score,
) -> None:
    edge = 0
    for words in finals[:-1]:
        edge += len(words)
        if not 0 < edge < len(transcript):
            continue
        if transcript[edge - 1] == transcript[edge] and None in (places[edge - 1], places[edge]):
            result.repeated += 1
        left, right = places[edge - 1], places[edge]
        if left is not None and right is not None:
            result.lost += right - left - 1
