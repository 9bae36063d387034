"""Finds a client's keywords in the transcript: at once in words that may still change, for good in finals."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import pairwise

import opencc
import snowballstemmer

from whisper_service.config import StreamSettings
from whisper_service.engine.request import Word
from whisper_service.events import KeywordSpotted
from whisper_service.session.window import Window

#: The languages that Snowball has a stemmer for, with its names.
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
#: Languages that write no space between words. In these every letter counts as a word.
_SPACELESS = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
_CHINESE = frozenset({"zh", "yue"})
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class _Unit:
    """The unit of comparison: a stem or a letter, from the pieces ``words[begin:end]`` of the transcript."""

    stem: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Spotted:
    """The state of all keywords between two utterances, or at a cut.

    :param next_number: number of the next hit.
    :param tail: the last final words, which may be the beginning of a phrase.
    :param starts: for each keyword, the index in ``tail`` of the first word that may be part of its next hit.
    :param pending: the hits in words that are not final; there are none between two utterances.
    """

    next_number: int = 0
    tail: tuple[Word, ...] = ()
    starts: tuple[int, ...] = ()
    pending: tuple[KeywordSpotted, ...] = ()


class Spotter:
    """Follows all keywords of one stream.

    The stems of the text are computed once for all keywords, so a hundred keywords cost little more than one.

    :param keywords: words or phrases. They are compared without case, punctuation and inflection.
    :param spotted: the state after the utterances before.
    """

    def __init__(self, keywords: Sequence[str], spotted: Spotted | None = None) -> None:
        spotted = spotted or Spotted()
        self._numbers = _Numbers(spotted.next_number)
        starts = spotted.starts or (0,) * len(keywords)
        self._watches = [
            _Watch(keyword, self._numbers, start, [hit for hit in spotted.pending if hit.keyword == keyword])
            for keyword, start in zip(keywords, starts, strict=True)
        ]
        self._tail = list(spotted.tail)  # final words, perhaps the beginning of a phrase
        self._before = 0  # how many words the stream had before the tail

    def spotted(self) -> Spotted:
        """Return the state at the end of an utterance, or at a cut."""
        starts = tuple(max(0, watch.start - self._before) for watch in self._watches)
        pending = tuple(hit for watch in self._watches for hit in watch.pending)
        return Spotted(self._numbers.next, tuple(self._tail), starts, pending)

    def update(
        self,
        final: Sequence[Word],
        partial: Sequence[Word],
        language: str,
        *,
        ended: bool = False,
        doubtful: Collection[str] = (),
    ) -> tuple[KeywordSpotted, ...]:
        """Return the new events.

        :param final: words that have become final since the last call.
        :param partial: all words of the hypothesis after them.
        :param ended: whether the utterance has ended. Then no later piece continues its last word.
        :param doubtful: keywords that get no new hits. Their pending hits are still followed.
        """
        if not self._watches:
            return ()
        words = [*self._tail, *final, *partial]
        settled = len(self._tail) + len(final)
        units = _units(words, language)
        # The next piece may continue the last final word and so make it a different word.
        open_ended = bool(units) and settled == len(words) and not ended and language not in _SPACELESS
        whole = units[-1].begin if open_ended else settled
        passage = _Passage(words, units, whole, self._before)
        events = [
            event
            for watch in self._watches
            for event in watch.update(passage, language, doubtful=watch.keyword in doubtful)
        ]
        longest = max(len(watch.wanted(language)) for watch in self._watches)
        kept = max(0, sum(unit.end <= whole for unit in units) - longest + 1)
        begin = units[kept].begin if kept < len(units) else settled
        begin = min(begin, settled)
        self._tail = words[begin:settled]
        self._before += begin
        return tuple(events)


class _Passage:
    """The text that is compared with each keyword.

    :param words: the words that may be part of a hit.
    :param units: the units of these words.
    :param whole: the words before this index are final and complete.
    :param before: how many words the stream had before the first of ``words``.
    """

    def __init__(self, words: Sequence[Word], units: Sequence[_Unit], whole: int, before: int) -> None:
        self.words = words
        self.units = units
        self.whole = whole
        self.before = before
        self._stems = [unit.stem for unit in units]
        self._places: dict[str, list[int]] = {}
        for index, stem in enumerate(self._stems):
            self._places.setdefault(stem, []).append(index)

    def matches(self, wanted: Sequence[str], start: int) -> Iterator[tuple[int, int]]:
        """Yield the indices of the first and last unit of each match of ``wanted``. Matches never overlap.

        :param start: the first word that may be part of a match, counted from the stream's beginning.
        """
        free = 0
        for first in self._places.get(wanted[0], ()) if wanted else ():
            end = first + len(wanted)
            counts = first >= free and self.before + self.units[first].begin >= start
            if counts and self._stems[first:end] == list(wanted):
                free = end
                yield first, end - 1


class _Numbers:
    """Numbers the hits of all keywords."""

    def __init__(self, first: int) -> None:
        self.next = first

    def take(self) -> int:
        self.next += 1
        return self.next - 1


class _Watch:
    """Follows one keyword. A hit in words that may still change is pending: finals confirm it, or it goes."""

    def __init__(self, keyword: str, numbers: _Numbers, start: int, pending: list[KeywordSpotted]) -> None:
        self.keyword = keyword
        self._numbers = numbers
        #: The first word after the last final match, counted from the first word that the spotter has seen.
        self.start = start
        #: The hits in words that may still change, in order.
        self.pending = pending
        self._wanted: dict[str, tuple[str, ...]] = {}

    def wanted(self, language: str) -> tuple[str, ...]:
        """Return the stems of the keyword, or its letters, as they are compared in ``language``."""
        if language not in self._wanted:
            self._wanted[language] = stems(self.keyword, language)
        return self._wanted[language]

    def update(self, passage: _Passage, language: str, *, doubtful: bool) -> list[KeywordSpotted]:
        events: list[KeywordSpotted] = []
        still: list[KeywordSpotted] = []
        units, words = passage.units, passage.words
        for first, last in passage.matches(self.wanted(language), self.start):
            earlier = self.pending.pop(0) if self.pending else None
            is_final = units[last].end <= passage.whole
            if is_final:
                self.start = passage.before + units[last].end
            if earlier is None and doubtful:
                continue
            hit = self._hit(words[units[first].begin : units[last].end], earlier, final=is_final)
            if not hit.final:
                still.append(hit)
            if hit != earlier:
                events.append(hit)
        events += [replace(gone, retracted=True) for gone in self.pending]
        self.pending = still
        return events

    def _hit(self, words: Sequence[Word], earlier: KeywordSpotted | None, *, final: bool) -> KeywordSpotted:
        return KeywordSpotted(
            number=self._numbers.take() if earlier is None else earlier.number,
            keyword=self.keyword,
            text="".join(word.text for word in words).strip(),
            start=words[0].start,
            end=words[-1].end,
            final=final,
            retracted=False,
        )


class PromptedKeywords:
    """The keywords in the client's own prompt. A model may write these without having heard them."""

    def __init__(self, settings: StreamSettings) -> None:
        self._keywords = settings.keywords
        self._prompt = settings.prompt
        self._in_prompt: dict[str, frozenset[str]] = {}  # by language

    def doubtful(self, window: Window | None, language: str) -> frozenset[str]:
        """Return the keywords of the prompt that the model has not yet heard in ``window`` without it."""
        if not (self._prompt and self._keywords) or (window is not None and window.without_context):
            return frozenset()
        if language not in self._in_prompt:
            self._in_prompt[language] = within(self._keywords, self._prompt, language)
        confirmed = window.confirmed if window is not None else frozenset()
        return self._in_prompt[language] - confirmed


def within(keywords: Sequence[str], text: str, language: str) -> frozenset[str]:
    """Return the keywords that occur in ``text``."""
    said = stems(text, language)

    def holds(wanted: tuple[str, ...]) -> bool:
        return any(said[at : at + len(wanted)] == wanted for at in range(len(said) - len(wanted) + 1))

    return frozenset(keyword for keyword in keywords if holds(stems(keyword, language)))


def stems(text: str, language: str) -> tuple[str, ...]:
    """Return the parts of ``text`` that are compared: the stems of its words, or its letters."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    if language in _CHINESE:
        plain = "".join(map(_simplified, plain))
    if language in _SPACELESS:
        return tuple(letter for letter in plain if letter.isalnum())
    words = (re.sub("['’]", "", word) for word in _WORD.findall(plain))
    return tuple(_stem(word, language) for word in words)


#: Marks with which a ``Word`` may begin that continues the one before it.
_WITHIN_WORDS = "'’-"


@lru_cache(maxsize=4096)
def _simplified(letter: str) -> str:
    """Return a Chinese character in its simplified form, because a model may write either script."""
    return str(_to_simplified().convert(letter))


@cache
def _to_simplified() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


@lru_cache(maxsize=4096)
def _stem(word: str, language: str) -> str:
    name = _STEMMERS.get(language)
    # A stemmer stores the word that it works on, so each call has a stemmer of its own.
    return str(snowballstemmer.stemmer(name).stemWord(word)) if name else word


def _units(words: Sequence[Word], language: str) -> list[_Unit]:
    """Return the units of ``words``.

    A ``Word`` that begins with a letter, a digit, an apostrophe or a hyphen continues the one before it.
    """
    edges = [
        index
        for index, word in enumerate(words)
        if index == 0
        or language in _SPACELESS
        or not (word.text[:1].isalnum() or word.text[:1] in _WITHIN_WORDS)
    ]
    return [
        _Unit(stem, begin, end)
        for begin, end in pairwise([*edges, len(words)])
        for stem in stems("".join(word.text for word in words[begin:end]), language)
    ]
