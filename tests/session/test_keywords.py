"""Keywords are reported at once, and every hit is later confirmed or retracted."""

from __future__ import annotations

import random
import time

import pytest

from whisper_service.engine.request import Word
from whisper_service.events import KeywordSpotted
from whisper_service.session.keywords import Spotter, stems, within


def _words(text: str, *, start: int = 0) -> list[Word]:
    return [
        Word(f" {word}", start + index, start + index + 1, start + index, 0.9, (index,))
        for index, word in enumerate(text.split())
    ]


def _said(events: tuple[KeywordSpotted, ...]) -> list[tuple[int, str, str]]:
    state = {(False, False): "guess", (True, False): "final", (False, True): "retracted"}
    return [(event.number, event.text, state[event.final, event.retracted]) for event in events]


def test_a_keyword_is_told_once_in_a_partial_and_confirmed_by_the_final() -> None:
    spotter = Spotter(["exam"])
    partial = _words("the exam is")
    assert _said(spotter.update([], partial, "en")) == [(0, "exam", "guess")]
    assert spotter.update([], partial + _words("on", start=3), "en") == ()
    (confirmed,) = spotter.update(partial, [], "en", ended=True)
    assert _said((confirmed,)) == [(0, "exam", "final")] and (confirmed.start, confirmed.end) == (1, 2)
    assert spotter.update(_words("monday", start=3), [], "en") == ()


def test_a_keyword_that_goes_away_is_taken_back() -> None:
    spotter = Spotter(["exam"])
    spotter.update([], _words("the exam"), "en")
    assert _said(spotter.update([], _words("the example"), "en")) == [(0, "exam", "retracted")]
    assert spotter.update(_words("the example"), [], "en") == ()


def test_a_keyword_that_no_partial_has_shown_is_told_by_the_final() -> None:
    assert _said(Spotter(["exam"]).update(_words("the exam"), [], "en", ended=True)) == [(0, "exam", "final")]


def test_a_hit_whose_words_change_is_told_again_with_its_number() -> None:
    spotter = Spotter(["exam"])
    spotter.update([], _words("exam"), "en")
    assert _said(spotter.update([], _words("Exams,"), "en")) == [(0, "Exams,", "guess")]


@pytest.mark.parametrize(
    ("keyword", "text", "language"),
    [
        ("deadline", "DEADLINES!", "en"),
        ("study", "studies", "en"),
        ("Prüfung", "prüfungen.", "de"),
        ("don't", "don’t", "en"),
        ("mid-term", "mid-term", "en"),
        ("mid-term", "Mid Terms", "en"),
        ("экзамен", "экзамены", "ru"),
        ("exam", "EXAM.", "xx"),
    ],
)
def test_case_punctuation_and_inflection_do_not_matter(keyword: str, text: str, language: str) -> None:
    assert len(Spotter([keyword]).update(_words(text), [], language)) == 1


@pytest.mark.parametrize("text", ["example", "examine", "ex am", "preexam"])
def test_other_words_are_no_hits(text: str) -> None:
    assert Spotter(["exam"]).update(_words(text), [], "en") == ()


def test_a_language_without_spaces_is_compared_by_letters() -> None:
    words = [Word(text, at, at + 1, at, 0.9, (at,)) for at, text in enumerate(["明天", "期末", "考", "试。"])]
    (hit,) = Spotter(["考试"]).update(words, [], "zh")
    assert (hit.text, hit.start, hit.end) == ("考试。", 2, 4)


def test_a_phrase_across_finals_is_one_hit() -> None:
    spotter = Spotter(["final exam"])
    assert spotter.update(_words("the final"), [], "en") == ()
    assert _said(spotter.update([], _words("exam", start=2), "en")) == [(0, "final exam", "guess")]
    told = spotter.update(_words("exam", start=2), [], "en", ended=True)
    assert _said(told) == [(0, "final exam", "final")]
    assert spotter.update(_words("exam", start=3), [], "en") == ()


def test_a_word_in_pieces_is_one_word() -> None:
    """If a hypothesis continues in the middle of a word, the rest of the word has no space before it."""
    pieces = [Word(" exam", 0, 1, 0, 0.9, (0,)), Word("ination", 1, 2, 1, 0.9, (1,))]
    assert Spotter(["exam"]).update(pieces, [], "en") == ()
    (hit,) = Spotter(["examinations"]).update(pieces[:1], pieces[1:], "en")
    assert (hit.text, hit.start, hit.end, hit.final) == ("examination", 0, 2, False)


def test_a_final_word_is_whole_when_the_next_one_begins() -> None:
    pieces = [Word(text, 0, 1, 1, 0.9, (1,)) for text in (" exam", "iner", " left")]
    spotter = Spotter(["exam"])
    assert _said(spotter.update(pieces[:1], [], "en")) == [(0, "exam", "guess")]
    assert _said(spotter.update(pieces[1:2], [], "en")) == [(0, "exam", "retracted")]
    assert spotter.update(pieces[2:], [], "en", ended=True) == ()
    spotter = Spotter(["exam"])
    spotter.update(pieces[:1], [], "en")
    assert _said(spotter.update([], pieces[2:], "en")) == [(0, "exam", "final")]


def test_every_occurrence_counts_and_hits_do_not_overlap() -> None:
    told = Spotter(["no no"]).update(_words("no no no no no"), [], "en", ended=True)
    assert [event.number for event in told] == [0, 1]


def test_keywords_are_followed_side_by_side() -> None:
    told = Spotter(["exam", "final exam"]).update(_words("a final exam"), [], "en")
    assert sorted(event.keyword for event in told) == ["exam", "final exam"]


@pytest.mark.parametrize("seed", range(20))
def test_every_guess_is_confirmed_or_taken_back_and_finals_decide(seed: int) -> None:
    """For random hypotheses about a random text, the confirmed hits are those of the text."""
    dice = random.Random(seed)
    truth = [dice.choice(["exam", "final", "a", "b"]) for _ in range(60)]
    spotter, told, at = Spotter(["exam", "final exam"]), [], 0
    while at < len(truth):
        count = dice.choice([0, 0, 1, 2])
        guess = [dice.choice([word, word, "exam", "b"]) for word in truth[at + count : at + count + 4]]
        new = _words(" ".join(truth[at : at + count]), start=at)
        at += len(new)
        told += spotter.update(new, _words(" ".join(guess), start=at), "en")
    told += spotter.update([], [], "en", ended=True)
    last = {event.number: event for event in told}
    assert all(event.final or event.retracted for event in last.values())
    confirmed = [event.keyword for event in last.values() if event.final]
    assert confirmed.count("exam") == truth.count("exam")
    assert confirmed.count("final exam") == " ".join(truth).count("final exam")


def test_stems_of_nothing() -> None:
    assert stems("—!", "en") == ()
    assert Spotter(["..."]).update(_words("the exam"), [], "en") == ()


@pytest.mark.parametrize(("keyword", "heard"), [("广州", "廣州市"), ("廣州", "广州市"), ("後面", "后面")])
def test_both_scripts_of_chinese_are_one_keyword(keyword: str, heard: str) -> None:
    words = [Word(text, at, at + 1, at, 0.9, (at,)) for at, text in enumerate(heard)]
    (hit,) = Spotter([keyword]).update(words, [], "zh")
    assert hit.keyword == keyword


def test_a_doubtful_keyword_is_not_told() -> None:
    spotter = Spotter(["exam", "deadline"])
    doubtful = {"exam"}
    events = spotter.update([], _words("the exam deadline"), "en", doubtful=doubtful)
    assert _said(events) == [(0, "deadline", "guess")]
    events = spotter.update(_words("the exam deadline"), [], "en", ended=True, doubtful=doubtful)
    assert _said(events) == [(0, "deadline", "final")]
    assert spotter.update([], _words("on", start=3), "en") == ()


def test_a_keyword_that_was_told_stays_told_when_it_becomes_doubtful() -> None:
    spotter = Spotter(["exam"])
    assert _said(spotter.update([], _words("exam"), "en")) == [(0, "exam", "guess")]
    events = spotter.update(_words("exam"), [], "en", ended=True, doubtful={"exam"})
    assert _said(events) == [(0, "exam", "final")]


def test_keywords_that_a_text_holds() -> None:
    keywords = ["exam", "final project", "deadline"]
    assert within(keywords, "Exams, and the final projects.", "en") == {"exam", "final project"}
    assert within(keywords, "", "en") == frozenset()


def test_a_hundred_keywords_cost_little_more_than_one() -> None:
    text = " ".join(f"word{index}" for index in range(80))
    partial = _words(text)

    def seconds(count: int) -> float:
        spotter = Spotter([f"keyword {index}" for index in range(count)])
        spotter.update([], partial, "en")
        began = time.process_time()
        for _ in range(20):
            spotter.update([], partial, "en")
        return (time.process_time() - began) / 20

    assert seconds(100) < 0.005
