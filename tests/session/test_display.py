"""The choice of the words that are shown while they may still change."""

from __future__ import annotations

from whisper_service.engine.request import Word
from whisper_service.session.display import Display


def _words(text: str, *probabilities: float) -> tuple[Word, ...]:
    """Return the words of ``text``. The first have the given probabilities, the others 1."""
    sure = [1.0] * len(text.split())
    sure[: len(probabilities)] = probabilities
    return tuple(Word(f" {word}", 0, 1, 0, sure[at], (at,)) for at, word in enumerate(text.split()))


def _shown(*hypotheses: tuple[Word, ...]) -> list[str]:
    display = Display()
    return ["".join(word.text for word in display.update(words)).strip() for words in hypotheses]


def test_what_is_probable_is_shown_at_once() -> None:
    assert _shown(_words("we are here", 0.6, 0.6, 0.9)) == ["we are here"]


def test_the_last_word_must_be_more_probable() -> None:
    assert _shown(_words("we are here", 1.0, 1.0, 0.8)) == ["we are"]


def test_a_doubtful_word_waits_for_its_second_hypothesis_and_so_do_those_after_it() -> None:
    words = _words("we are here", 1.0, 0.3)
    assert _shown(words, words) == ["we", "we are here"]


def test_a_word_that_the_model_hardly_believes_is_not_shown() -> None:
    words = _words("we are here", 1.0, 0.1)
    assert _shown(words, words, words) == ["we", "we", "we"]


def test_what_is_shown_stays_until_two_hypotheses_have_something_else() -> None:
    here, there = _words("we are here now"), _words("we are there now")
    assert _shown(here, there, here, there, there) == [
        "we are here now",
        "we are here now",
        "we are here now",
        "we are here now",
        "we are there now",
    ]


def test_what_is_shown_stays_until_two_hypotheses_leave_it_out() -> None:
    assert _shown(_words("we are here"), _words("we are"), _words("we are")) == [
        "we are here",
        "we are here",
        "we are",
    ]
    assert _shown(_words("we"), (), ()) == ["we", "we", ""]


def test_the_newer_spelling_is_shown() -> None:
    assert _shown(_words("we are here"), _words("We are here, now")) == ["we are here", "We are here, now"]


def test_what_is_final_is_not_shown_any_more() -> None:
    display = Display()
    display.update(_words("we are here now"))
    display.commit(_words("we are"))
    assert display.update(_words("here now")) == _words("here now")


def test_a_final_that_differs_from_what_was_shown_takes_it_all_away() -> None:
    display = Display()
    display.update(_words("we are here now"))
    display.commit(_words("they are"))
    assert display.update(_words("there", 0.3)) == ()


def test_the_next_utterance_begins_with_nothing() -> None:
    display = Display()
    display.update(_words("we are here"))
    display.clear()
    assert display.update(_words("you", 0.3)) == ()
