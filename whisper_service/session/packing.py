"""A ``Carry`` as plain data, to be sent to another process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from whisper_service.engine.request import Word
from whisper_service.events import Account, Final, KeywordSpotted
from whisper_service.session.carry import Carry
from whisper_service.session.context import Context
from whisper_service.session.keywords import Spotted
from whisper_service.session.language import Spoken
from whisper_service.session.lookback import LookBack, Part
from whisper_service.session.window import Heard, Unfinished


def pack(carry: Carry) -> list[Any]:
    """Return ``carry`` as lists, numbers and texts, which JSON can hold."""
    return [
        carry.position,
        carry.frame,
        carry.next_id,
        carry.last_word_end,
        astuple(carry.context),
        [carry.look_back.language, [_of_part(part) for part in carry.look_back.parts]],
        carry.heard,
        astuple(carry.language),
        [
            carry.keywords.next_number,
            _of_words(carry.keywords.tail),
            carry.keywords.starts,
            [astuple(hit) for hit in carry.keywords.pending],
        ],
        astuple(carry.account),
        _of_unfinished(carry.unfinished),
        [[final.language, final.heard, _of_words(final.words)] for final in carry.told],
    ]


def unpack(contents: Sequence[Any]) -> Carry:
    """Return the carry of which ``pack`` has made ``contents``. It makes the same finals."""
    position, frame, next_id, last_word_end, context, look_back, heard, language, *others = contents
    keywords, account, unfinished, told = others
    number, tail, starts, pending = keywords
    return Carry(
        position=position,
        frame=frame,
        next_id=next_id,
        last_word_end=last_word_end,
        context=Context(*context),
        look_back=LookBack(tuple(_to_part(part) for part in look_back[1]), look_back[0]),
        heard=Heard(heard[0], tuple(heard[1])),
        language=Spoken(*language),
        keywords=Spotted(
            number, _to_words(tail), tuple(starts), tuple(KeywordSpotted(*hit) for hit in pending)
        ),
        account=Account(*account),
        unfinished=_to_unfinished(unfinished),
        told=tuple(_to_final(next_id + index, *final) for index, final in enumerate(told)),
    )


def _of_part(part: Part) -> list[Any]:
    return [part.start, part.tokens, *astuple(part.context)]


def _to_part(contents: Sequence[Any]) -> Part:
    start, tokens, *context = contents
    return Part(start, tuple(tokens), Context(*context))


def _of_unfinished(unfinished: Unfinished | None) -> list[Any] | None:
    if unfinished is None:
        return None
    start, asked, last_speech = unfinished.start, unfinished.asked, unfinished.last_speech
    return [start, asked, last_speech, _of_words(unfinished.words), unfinished.without_context]


def _to_unfinished(contents: Sequence[Any] | None) -> Unfinished | None:
    if contents is None:
        return None
    start, asked, last_speech, words, without_context = contents
    return Unfinished(start, asked, last_speech, _to_words(words), without_context)


def _of_words(words: Sequence[Word]) -> list[Any]:
    """Return what matters of words that are final."""
    return [[word.text, word.start, word.end, *word.tokens] for word in words]


def _to_words(contents: Sequence[Any]) -> tuple[Word, ...]:
    return tuple(Word(text, start, end, end, 1.0, tuple(tokens)) for text, start, end, *tokens in contents)


def _to_final(number: int, language: str, heard: int, contents: Sequence[Any]) -> Final:
    words = _to_words(contents)
    text = "".join(word.text for word in words)
    return Final(number, text, words[0].start, words[-1].end, words, language, heard)
