"""The native protocol: audio and JSON control messages in, JSON messages out. See ``docs/protocol.md``."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from typing import Any

from whisper_service.config import RawFormat, StreamSettings
from whisper_service.errors import TO_STOP, BadMessage, BadSetting, TranscriptionError
from whisper_service.events import Event, Final, Partial
from whisper_service.protocol import messages
from whisper_service.protocol.dialect import Audio, Command, Control, Failure, Frame, Opening
from whisper_service.session.carry import Carry

#: Limit on the length of a control message. The keywords of a stream have 10,000 characters at most.
MAX_CONTROL_CHARACTERS = 1 << 16
#: Texts that end a stream in other services.
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
#: Close code for an error without one of its own that ends the stream, such as a bad setting in the URL.
_BAD_MESSAGE = 4400


class ControlType(enum.Enum):
    """The ``type`` of a control message."""

    START = "start"
    FLUSH = "flush"
    STOP = "stop"
    KEEPALIVE = "keepalive"


class NativeDialect:
    """The native protocol for one connection.

    :param chosen: the query parameters of the URL.
    :param defaults: the settings of a stream whose client chooses nothing.
    :param undeclared: see ``Dialect``.
    """

    def __init__(
        self, chosen: Mapping[str, Any], defaults: StreamSettings, *, undeclared: RawFormat | None = None
    ) -> None:
        self._chosen = chosen
        self._languages: frozenset[str] = frozenset()
        self._heard = False
        self._transcript = ""
        self.settings = defaults
        self.undeclared = undeclared

    def ready(self, opening: Opening) -> Sequence[Frame]:
        self._languages = opening.languages
        self.settings = self.settings.merged(self._chosen).with_known_language(opening.languages)
        return _frames(messages.ready(opening, language=self.settings.language))

    def receive(self, data: str | bytes) -> Sequence[Command]:
        """Return the commands in a frame.

        :raises BadMessage: if a control message is unknown, too long or too late, or if a text is an end mark
            of another service.
        :raises BadSetting: if a setting is unknown or out of range.
        """
        if isinstance(data, str):
            beginning = data[:_LONGEST_END_MARK].strip()
            if beginning.startswith("{"):
                return self._control(data)
            if len(data) <= _LONGEST_END_MARK and beginning.strip("\"'").casefold() in _END_MARKS:
                raise BadMessage(f"{beginning} is no message of this protocol. {TO_STOP}")
        self._heard = True
        return (Audio(data),)

    def tell(self, event: Event | Carry) -> Sequence[Frame]:
        if isinstance(event, Carry):
            return ()
        if isinstance(event, Final):
            self._transcript += event.text
        message = messages.of_event(event, words=self.settings.words, transcript=self._transcript)
        if message["type"] == "final" and self.settings.full_transcript:
            message["full_transcript"] = self._transcript
        return _frames(message, replaces=isinstance(event, Partial))

    def fail(self, problem: TranscriptionError, *, fatal: bool) -> Failure:
        frames = _frames(messages.error(problem, fatal=fatal))
        return Failure(frames, problem.close_code or _BAD_MESSAGE, problem.code)

    def _control(self, text: str) -> Sequence[Command]:
        message = _parse(text)
        kind = message.pop("type", None)
        try:
            control = ControlType(kind)
        except ValueError:
            known = ", ".join(control.value for control in ControlType)
            raise BadMessage(
                f"There is no message of type {kind!r:.40}; known are: {known}. {TO_STOP}"
            ) from None
        match control:
            case ControlType.FLUSH:
                return (Control.FLUSH,)
            case ControlType.STOP:
                return (Control.STOP,)
            case ControlType.START:
                self._start(message)
        return ()

    def _start(self, chosen: dict[str, Any]) -> None:
        if self._heard:
            raise BadMessage("'start' must come before the first audio; nothing was changed.")
        if "reply" in chosen:
            raise BadSetting("reply belongs in the address of the socket: /transcribe?reply=text.")
        self.settings = self.settings.merged(chosen).with_known_language(self._languages)


def _frames(message: messages.Message, *, replaces: bool = False) -> tuple[Frame]:
    return (Frame(messages.encode(message), replaces),)


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
