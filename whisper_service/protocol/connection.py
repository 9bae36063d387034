"""What a client's frames mean: a state machine without I/O."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from whisper_service.config import StreamSettings
from whisper_service.errors import TO_STOP, BadMessage, TranscriptionError
from whisper_service.protocol import messages

#: A control message is no longer; the keywords of a stream have 10,000 characters at most.
MAX_CONTROL_CHARACTERS = 1 << 16
#: What other services take for the end of a stream.
_END_MARKS = frozenset(
    [
        "end_of_audio",
        "end-of-audio",
        "end_of_stream",
        "eos",
        "eof",
        "end",
        "stop",
        "done",
        "finish",
        "close",
        "quit",
        "exit",
    ]
)
_LONGEST_END_MARK = 32


@dataclass(frozen=True, slots=True)
class Audio:
    """One slice, as it came; text is base64."""

    data: bytes | str


class Control(enum.Enum):
    """Control messages; what ``start`` carries is in the settings by then."""

    START = "start"
    FLUSH = "flush"
    STOP = "stop"
    KEEPALIVE = "keepalive"


Command = Audio | Control


class Connection:
    """Reads the frames of one client.

    :param settings: the server's defaults, with the query parameters in their place.
    :param languages: codes that the model knows.
    :raises BadSetting: if it does not know the language of the settings.
    """

    def __init__(self, settings: StreamSettings, *, languages: frozenset[str]) -> None:
        self._languages = languages
        self.settings = settings.known_to(languages)
        self._heard = False

    def receive(self, frame: str | bytes) -> Command:
        """Return what ``frame`` asks for.

        :raises BadMessage: for a control message that is not ours, is too long or comes too late.
        :raises BadSetting: for an unknown setting, or one out of range.
        """
        if isinstance(frame, str):
            beginning = frame[:_LONGEST_END_MARK].strip()
            if beginning.startswith("{"):
                return self._control(frame)
            if len(frame) <= _LONGEST_END_MARK and beginning.strip("\"'").casefold() in _END_MARKS:
                raise BadMessage(f"{beginning} is no message of this protocol. {TO_STOP}")
        self._heard = True
        return Audio(frame)

    def explain(self, problem: TranscriptionError) -> str | None:
        """Return the frame that tells the client of a problem; None for a client that wants text alone."""
        return None if self.settings.reply == "text" else messages.encode(messages.error(problem))

    def _control(self, text: str) -> Command:
        message = _parse(text)
        kind = message.pop("type", None)
        try:
            control = Control(kind)
        except ValueError:
            known = ", ".join(control.value for control in Control)
            raise BadMessage(
                f"There is no message of type {kind!r:.40}; known are: {known}. {TO_STOP}"
            ) from None
        if control is Control.START:
            if self._heard:
                raise BadMessage("'start' comes before the first audio; the settings of this stream stay.")
            self.settings = self.settings.merged(message).known_to(self._languages)
        return control


def _parse(text: str) -> dict[str, Any]:
    if len(text) > MAX_CONTROL_CHARACTERS:
        raise BadMessage(f"A control message may have {MAX_CONTROL_CHARACTERS} characters, not {len(text)}.")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise BadMessage(
            "A frame that begins with '{' must be a JSON object; this one does not parse."
        ) from None
    assert isinstance(message, Mapping)  # it begins with "{"
    return dict(message)
