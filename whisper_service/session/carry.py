"""The state of a session that outlives an utterance, or a cut in mid-speech.

A session that continues from a ``Carry`` makes the same finals as the session that returned it, so a stream
can go on in another process. No other state affects later finals.

A stream may also break in the middle of an utterance. Then ``told`` has the finals since the last carry. The
next session hears the utterance again and makes these finals again, but tells nobody of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from whisper_service.events import Account, Final
from whisper_service.session.context import Context
from whisper_service.session.keywords import Spotted
from whisper_service.session.language import Spoken
from whisper_service.session.lookback import LookBack
from whisper_service.session.window import Heard, Unfinished


@dataclass(frozen=True, slots=True)
class Carry:
    """The state between two utterances. The defaults are the state at the beginning of a stream.

    :param position: the next utterance begins at this sample or later; an unfinished one goes on here.
    :param frame: number of the first frame whose speech probability the session needs. A frame has 512
        samples. ``model.speech.detector.lead_in_start`` returns the first sample that the detector must hear
        for that.
    :param next_id: number of the next final.
    :param last_word_end: the sample at which the last final word ends.
    :param context: the end of the final text.
    :param look_back: the last utterances, which the model hears again before the next one.
    :param heard: what the model has heard of the window that may go on.
    :param language: the knowledge about the language.
    :param keywords: the state of the client's keywords.
    :param account: the counts of all samples before ``position``.
    :param unfinished: the utterance that was cut at ``position``; None between two utterances.
    :param told: the finals after ``position`` that the client has already, in order. They stay as they are,
        whatever the model hears this time.
    """

    position: int = 0
    frame: int = 0
    next_id: int = 0
    last_word_end: int = 0
    context: Context = field(default_factory=Context)
    look_back: LookBack = field(default_factory=LookBack)
    heard: Heard = field(default_factory=Heard)
    language: Spoken = field(default_factory=Spoken)
    keywords: Spotted = field(default_factory=Spotted)
    account: Account = Account(received=0, speech=0, silent=0, lost=0)
    unfinished: Unfinished | None = None
    told: tuple[Final, ...] = ()

    @property
    def audio_from(self) -> int:
        """The first sample that must be fed to the session."""
        parts = self.look_back.parts
        return parts[0].start if parts else self.position
