"""Finds a client's keywords in what is being said: at once in partials, for good in finals."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count, pairwise

import snowballstemmer

from whisper_service.engine.request import Word
from whisper_service.events import KeywordSpotted

#: Snowball's names of the languages that it has a stemmer for.
_STEMMERS = {
    "ar": "arabic",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "ne": "nepali",
    "nl": "dutch",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
#: Languages that write no space between words: there every letter counts as one.
_SPACELESS = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is compared: a stem, and the pieces that its word came in, ``words[begin:end]`` of all."""

    stem: str
    begin: int
    end: int


class Spotter:
    """Follows all keywords of one stream.

    :param keywords: words or phrases, compared without case, punctuation and inflection.
    """

    def __init__(self, keywords: Sequence[str]) -> None:
        numbers = count()
        self._watches = [_Watch(keyword, numbers) for keyword in keywords]

    def update(
        self, final: Sequence[Word], partial: Sequence[Word], language: str, *, ended: bool = False
    ) -> tuple[KeywordSpotted, ...]:
        """Return what is new.

        :param final: words that have become final since the last call.
        :param partial: all words behind them that are shown.
        :param ended: whether the utterance has: what comes next does not go on with its last word.
        """
        if not self._watches:
            return ()
        return tuple(
            event for watch in self._watches for event in watch.update(final, partial, language, ended=ended)
        )


class _Watch:
    """Follows one keyword: its hits in partials are pending until finals confirm them or they go away."""

    def __init__(self, keyword: str, numbers: count[int]) -> None:
        self._keyword = keyword
        self._numbers = numbers
        self._tail: list[Word] = []  # final, and perhaps the beginning of a phrase
        self._pending: list[KeywordSpotted] = []

    def update(
        self, final: Sequence[Word], partial: Sequence[Word], language: str, *, ended: bool
    ) -> list[KeywordSpotted]:
        wanted = stems(self._keyword, language)
        words = [*self._tail, *final, *partial]
        settled = len(self._tail) + len(final)
        units = _units(words, language)
        # Behind the last final word may come another piece of it; then it is another word.
        open_ended = bool(units) and settled == len(words) and not ended and language not in _SPACELESS
        whole = units[-1].begin if open_ended else settled
        events: list[KeywordSpotted] = []
        still: list[KeywordSpotted] = []
        kept_from = max(0, sum(unit.end <= whole for unit in units) - len(wanted) + 1)
        for first, last in _matches([unit.stem for unit in units], wanted):
            earlier = self._pending.pop(0) if self._pending else None
            is_final = units[last].end <= whole
            hit = self._hit(words[units[first].begin : units[last].end], earlier, final=is_final)
            if hit.final:
                kept_from = max(kept_from, last + 1)
            else:
                still.append(hit)
            if hit != earlier:
                events.append(hit)
        events += [replace(gone, retracted=True) for gone in self._pending]
        self._pending = still
        self._tail = words[units[kept_from].begin : settled] if kept_from < len(units) else []
        return events

    def _hit(self, words: Sequence[Word], earlier: KeywordSpotted | None, *, final: bool) -> KeywordSpotted:
        return KeywordSpotted(
            number=next(self._numbers) if earlier is None else earlier.number,
            keyword=self._keyword,
            text="".join(word.text for word in words).strip(),
            start=words[0].start,
            end=words[-1].end,
            final=final,
            retracted=False,
        )


def stems(text: str, language: str) -> tuple[str, ...]:
    """Return what of ``text`` is compared: the stems of its words, or its letters."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    if language in _SPACELESS:
        return tuple(letter for letter in plain if letter.isalnum())
    words = (re.sub("['’]", "", word) for word in _WORD.findall(plain))
    return tuple(_stem(word, language) for word in words)


@lru_cache(maxsize=4096)
def _stem(word: str, language: str) -> str:
    name = _STEMMERS.get(language)
    # A stemmer keeps the word it works on, so each call has its own.
    return str(snowballstemmer.stemmer(name).stemWord(word)) if name else word


def _units(words: Sequence[Word], language: str) -> list[_Unit]:
    """Return what is compared; a piece without a space before it goes on with the word before."""
    edges = [
        index
        for index, word in enumerate(words)
        if index == 0 or language in _SPACELESS or word.text[:1].isspace()
    ]
    return [
        _Unit(stem, begin, end)
        for begin, end in pairwise([*edges, len(words)])
        for stem in stems("".join(word.text for word in words[begin:end]), language)
    ]


def _matches(units: Sequence[str], wanted: Sequence[str]) -> list[tuple[int, int]]:
    """Return the first and the last unit of each place where ``wanted`` stands; places do not overlap."""
    found: list[tuple[int, int]] = []
    at = 0
    while wanted and at + len(wanted) <= len(units):
        if tuple(units[at : at + len(wanted)]) == tuple(wanted):
            found.append((at, at + len(wanted) - 1))
            at += len(wanted)
        else:
            at += 1
    return found
