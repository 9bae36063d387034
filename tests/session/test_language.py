"""The language is locked after 2 s of speech. Once it is settled it stays until the utterance ends."""

from __future__ import annotations

from whisper_service.session.language import LanguageLock

RATE = 16_000


def _locked(language: str) -> LanguageLock:
    lock = LanguageLock(None)
    lock.begin()
    lock.hear(language, 0.9, 3 * RATE)
    return lock


def test_a_chosen_language_is_never_in_question() -> None:
    lock = LanguageLock("de")
    lock.begin()
    lock.hear("en", 1.0, 10 * RATE)
    assert (lock.current, lock.settled) == ("de", True)


def test_the_first_language_waits_for_two_seconds_of_speech() -> None:
    lock = LanguageLock(None)
    lock.begin()
    lock.hear("nl", 0.9, RATE)
    assert (lock.current, lock.settled) == (None, False)
    lock.hear("de", 0.4, 2 * RATE)
    assert (lock.current, lock.settled) == ("de", True)


def test_a_later_utterance_in_the_same_language_waits_for_nothing() -> None:
    lock = _locked("de")
    lock.begin()
    assert not lock.settled
    lock.hear("de", 0.3, RATE // 2)
    assert (lock.current, lock.settled) == ("de", True)


def test_another_language_takes_over_after_two_seconds_if_it_is_sure() -> None:
    lock = _locked("de")
    lock.begin()
    lock.hear("en", 0.95, RATE)
    assert (lock.current, lock.settled) == ("de", False)
    lock.hear("en", 0.95, 2 * RATE)
    assert (lock.current, lock.settled) == ("en", True)


def test_an_unsure_guess_changes_nothing() -> None:
    lock = _locked("de")
    lock.begin()
    lock.hear("en", 0.5, 2 * RATE)
    assert (lock.current, lock.settled) == ("de", True)


def test_within_an_utterance_nothing_changes_any_more() -> None:
    lock = _locked("de")
    lock.hear("en", 1.0, 20 * RATE)
    assert lock.current == "de"


def test_short_utterances_in_another_language_add_up() -> None:
    lock = _locked("de")
    for _ in range(3):
        lock.begin()
        lock.hear("en", 0.9, RATE)
    assert (lock.current, lock.settled) == ("en", True)


def test_doubt_that_is_not_confirmed_is_forgotten() -> None:
    lock = _locked("de")
    for language in ("en", "de", "en", "fr", "en"):
        lock.begin()
        lock.hear(language, 0.9, RATE)
        assert lock.current == "de"


def test_a_short_first_utterance_is_unsure_unless_its_language_is_plain() -> None:
    lock = LanguageLock(None)
    lock.begin()
    lock.hear("zh", 0.4, RATE)
    assert lock.is_unsure(0.4)
    lock.begin()
    lock.hear("en", 0.97, RATE // 2)
    assert not lock.is_unsure(0.97)


def test_a_language_that_is_known_is_never_unsure() -> None:
    lock = _locked("de")
    lock.begin()
    lock.hear("zh", 0.4, RATE)
    assert not lock.is_unsure(0.4)


def test_where_nothing_is_likely_the_fallback_is_taken() -> None:
    lock = LanguageLock(None, fallback="en")
    lock.begin()
    lock.hear("zh", 0.4, RATE)
    assert lock.is_unsure(0.4)
    lock.settle_on_likeliest()
    assert (lock.current, lock.settled) == ("en", True)


def test_what_is_likely_is_taken() -> None:
    lock = LanguageLock(None, fallback="en")
    for language, probability in (("zh", 0.3), ("de", 0.6)):
        lock.begin()
        lock.hear(language, probability, RATE // 2)
        assert lock.is_unsure(probability)
    lock.settle_on_likeliest()
    assert lock.current == "de"
