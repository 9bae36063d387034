"""Where sentences and paragraphs end, for people who read a transcript. The page has the same rules
(``static/live/sentences.js``)."""

from __future__ import annotations

import re

from whisper_service.audio.pcm import SAMPLE_RATE

#: A longer pause begins a paragraph.
_PAUSE_SAMPLES = 2 * SAMPLE_RATE
#: After so many letters a sentence ends the paragraph, and after so many any word does.
_PARAGRAPH_LETTERS = 600
_LONGEST_PARAGRAPH = 1_500

_SENTENCE_END = re.compile(r"[.?!…。？！][\"'”’)\]]*$")
#: What stands with a full stop within a sentence, in the languages that write most of them.
_ABBREVIATIONS = (
    "adm al approx bzw ca capt cf cmdr col dr etc fig fr gen gov hon hr jr lt m messrs mlle mme mr mrs ms mt "
    "nr prof rev sen sgt sig sr sra st str usw vgl vol vs"
)
#: One of these at the end, an initial ("J."), or letters with full stops between ("e.g.", "z.B.").
_ABBREVIATED = re.compile(
    rf"(?:^|[\s(\"'“])(?:(?:{_ABBREVIATIONS.replace(' ', '|')})\.|(?:[^\W\d_]\.)*[^\W\d_]\.)$", re.IGNORECASE
)

#: A mark that ends the word before: a final may begin with it.
_LEADING_MARK = re.compile(r"(?:[.,!?:;…”)\]}]+[\"'”]*|[\"']+)(?=\s|$)|[。，！？：、]+")


def leading_mark(text: str) -> str:
    """Return the mark that ``text`` begins with and that belongs to the word before it; "" for none."""
    mark = _LEADING_MARK.match(text)
    return mark[0] if mark else ""


def ends_sentence(text: str) -> bool:
    """Return whether ``text`` ends with a sentence, as far as its last mark tells."""
    return bool(_SENTENCE_END.search(text)) and not _ABBREVIATED.search(text)


def begins_paragraph(before: str, *, pause: int) -> bool:
    """Return whether a new paragraph begins after the text ``before``.

    :param pause: samples between its last word and the next.
    """
    if pause > _PAUSE_SAMPLES or len(before) > _LONGEST_PARAGRAPH:
        return not _ABBREVIATED.search(before)
    return len(before) > _PARAGRAPH_LETTERS and ends_sentence(before)
