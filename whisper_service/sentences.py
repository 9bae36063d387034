"""Rules for where sentences and paragraphs end, for people who read a transcript.

The page has the same rules (``static/live/sentences.js``).
"""

from __future__ import annotations

import re

from whisper_service.audio.pcm import SAMPLE_RATE

#: A longer pause begins a new paragraph.
_PAUSE_SAMPLES = 2 * SAMPLE_RATE
#: A paragraph with more characters than the first value ends with the sentence; one with more characters than
#: the second value ends with the word.
_PARAGRAPH_LETTERS = 600
_LONGEST_PARAGRAPH = 1_500

_SENTENCE_END = re.compile(r"[.?!…。？！][\"'”’)\]]*$")
#: Abbreviations with a full stop that does not end a sentence, in the languages that use most of them.
_ABBREVIATIONS = (
    "adm al approx bzw ca capt cf cmdr col dr etc fig fr gen gov hon hr jr lt m messrs mlle mme mr mrs ms mt "
    "nr prof rev sen sgt sig sr sra st str usw vgl vol vs"
)
#: At the end of a text: an abbreviation, an initial ("J."), or letters with full stops ("e.g.", "z.B.").
_ABBREVIATED = re.compile(
    rf"(?:^|[\s(\"'“])(?:(?:{_ABBREVIATIONS.replace(' ', '|')})\.|(?:[^\W\d_]\.)*[^\W\d_]\.)$", re.IGNORECASE
)

#: Punctuation that belongs to the word before. A final may begin with it.
_LEADING_MARK = re.compile(r"(?:[.,!?:;…”)\]}]+[\"'”]*|[\"']+)(?=\s|$)|[。，！？：、]+")


def leading_mark(text: str) -> str:
    """Return the punctuation at the start of ``text`` that belongs to the word before it; "" for none."""
    mark = _LEADING_MARK.match(text)
    return mark[0] if mark else ""


def ends_sentence(text: str) -> bool:
    """Return whether ``text`` ends at the end of a sentence, as far as its punctuation shows."""
    return bool(_SENTENCE_END.search(text)) and not _ABBREVIATED.search(text)


def begins_paragraph(before: str, *, pause: int) -> bool:
    """Return whether a new paragraph begins after the text ``before``. None begins after an abbreviation.

    :param before: the text of the paragraph so far.
    :param pause: samples between its last word and the next word.
    """
    if pause > _PAUSE_SAMPLES or len(before) > _LONGEST_PARAGRAPH:
        return not _ABBREVIATED.search(before)
    return len(before) > _PARAGRAPH_LETTERS and ends_sentence(before)
