"""Scores the readability of a text: its sentence marks, commas and capitals, against a reference text.

Speech recognisers are usually compared by their words alone, but people read sentences. The two texts are
aligned by words. If a word is the same in both, its marks and the case of its first letter are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.scoring import align
from whisper_service.session.commit import normalise

_SENTENCE_MARKS = ".?!…"
_COMMAS = ",;:"
_CLOSING = "\"'”’)]"


@dataclass(slots=True)
class Hits:
    """How many words have a feature in both texts, in the judged text only, and in the reference only."""

    both: int = 0
    added: int = 0
    missing: int = 0

    def count(self, *, judged: bool, reference: bool) -> None:
        """Count one word: whether it has the feature in each text."""
        self.both += judged and reference
        self.added += judged and not reference
        self.missing += reference and not judged

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 1 if neither text has the feature."""
        found = 2 * self.both + self.added + self.missing
        return 2 * self.both / found if found else 1.0


@dataclass(frozen=True, slots=True)
class Readability:
    """The features that turn words into sentences."""

    sentences: Hits
    commas: Hits
    capitals: Hits


@dataclass(frozen=True, slots=True)
class _Written:
    word: str
    mark: str  # "." for any mark that ends a sentence, "," for any mark within one, else ""
    capital: bool


def readability(reference: str, text: str) -> Readability:
    """Return how the marks and capitals of ``text`` compare with those of ``reference``."""
    left, right = list(_written(reference)), list(_written(text))
    result = Readability(Hits(), Hits(), Hits())
    places = align([item.word for item in left], [item.word for item in right])
    for judged, place in zip(right, places, strict=True):
        if place is None:
            continue
        said = left[place]
        result.sentences.count(judged=judged.mark == ".", reference=said.mark == ".")
        result.commas.count(judged=judged.mark == ",", reference=said.mark == ",")
        result.capitals.count(judged=judged.capital, reference=said.capital)
    return result


def _written(text: str) -> Iterator[_Written]:
    """Yield the words of ``text``. A mark that stands alone belongs to the word before it."""
    pieces: list[str] = []
    for piece in text.split():
        if normalise(piece) or not pieces:
            pieces.append(piece)
        else:
            pieces[-1] += piece
    for piece in pieces:
        last = piece.rstrip(_CLOSING)[-1:]
        mark = "." if last and last in _SENTENCE_MARKS else "," if last and last in _COMMAS else ""
        letters = [letter for letter in piece if letter.isalpha()]
        yield _Written(normalise(piece), mark, bool(letters) and letters[0].isupper())
