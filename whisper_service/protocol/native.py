"""The native protocol: audio and JSON control messages in, JSON messages out. See ``docs/protocol.md``."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from typing import Any

from whisper_service.checks import is_text
from whisper_service.config import RawFormat, StreamSettings
from whisper_service.errors import TO_STOP, BadMessage, BadSetting, BadToken, TranscriptionError
from whisper_service.events import Event, Final, Partial
from whisper_service.protocol import messages
from whisper_service.protocol.dialect import (
    Answer,
    Audio,
    Checkpoint,
    Command,
    Control,
    Failure,
    Frame,
    Mark,
    Opening,
    Resume,
)
from whisper_service.protocol.resume import Bookmark, Tokens

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
#: Longest id of a mark, in characters.
_LONGEST_MARK = 100
#: Numbers from clients are below this one, which JavaScript still counts exactly.
_MOST_SAMPLES = 2**53
#: Close code for an error without one of its own that ends the stream, such as a bad setting in the URL.
_BAD_MESSAGE = 4400


class ControlType(enum.Enum):
    """The ``type`` of a control message."""

    START = "start"
    FLUSH = "flush"
    STOP = "stop"
    KEEPALIVE = "keepalive"
    RESUME = "resume"
    MARK = "mark"


class NativeDialect:
    """The native protocol for one connection.

    :param chosen: the query parameters of the URL.
    :param defaults: the settings of a stream whose client chooses nothing.
    :param undeclared: see ``Dialect``.
    :param tokens: writes and reads the tokens of streams that can go on elsewhere. None: no stream can.
    """

    def __init__(
        self,
        chosen: Mapping[str, Any],
        defaults: StreamSettings,
        *,
        undeclared: RawFormat | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self._chosen = chosen
        self._tokens = tokens
        self._bookmark = Bookmark()
        self._model = ""
        self._languages: frozenset[str] = frozenset()
        self._heard = False
        self._transcript = ""
        self.settings = defaults
        self.undeclared = undeclared

    def ready(self, opening: Opening) -> Sequence[Frame]:
        self._model, self._languages = opening.model, opening.languages
        self.settings = self.settings.merged(self._chosen).with_known_language(opening.languages)
        return _frames(messages.ready(opening, language=self.settings.language))

    def receive(self, data: str | bytes) -> Sequence[Command]:
        """Return the commands in a frame.

        :raises BadMessage: if a control message is unknown, too long or too late, or if a text is an end mark
            of another service.
        :raises BadSetting: if a setting is unknown or out of range.
        :raises BadToken: if the stream cannot go on from the client's token.
        """
        if isinstance(data, str):
            beginning = data[:_LONGEST_END_MARK].strip()
            if beginning.startswith("{"):
                return self._control(data)
            if len(data) <= _LONGEST_END_MARK and beginning.strip("\"'").casefold() in _END_MARKS:
                raise BadMessage(f"{beginning} is no message of this protocol. {TO_STOP}")
        self._heard = True
        return (Audio(data),)

    def tell(self, event: Event | Checkpoint) -> Sequence[Frame]:
        self._bookmark.follow(event)
        if isinstance(event, Checkpoint):
            token = self._token()
            return _frames(messages.ack(event, token)) if token else ()
        if isinstance(event, Final):
            self._transcript += event.text
        message = messages.of_event(event, words=self.settings.words, transcript=self._transcript)
        if message["type"] == "final":
            if self.settings.full_transcript:
                message["full_transcript"] = self._transcript
            if token := self._token():
                message["resume"] = token
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
            case ControlType.RESUME:
                return self._resume(message)
            case ControlType.MARK:
                return (Mark(_mark_id(message.get("id"))),)
        return ()

    def _start(self, chosen: dict[str, Any]) -> None:
        if self._heard:
            raise BadMessage("'start' must come before the first audio; nothing was changed.")
        if "reply" in chosen:
            raise BadSetting("reply belongs in the address of the socket: /transcribe?reply=text.")
        self.settings = self.settings.merged(chosen).with_known_language(self._languages)

    def _resume(self, message: dict[str, Any]) -> Sequence[Command]:
        """Return the commands that let the stream go on where the client's token says."""
        if self._heard:
            raise BadMessage("'resume' must come before the first audio; nothing was changed.")
        if self._tokens is None:
            raise BadToken("Streams of this socket cannot go on from others. The stream begins anew.")
        token = message.get("token")
        if not isinstance(token, str):
            raise BadToken("'resume' needs a token, which is a text. The stream begins anew.")
        checkpoint = self._tokens.read(token, self._model, self.settings)
        first = message.get("from", checkpoint.origin.sample)
        if not isinstance(first, int) or isinstance(first, bool) or not 0 <= first < _MOST_SAMPLES:
            raise BadMessage("'from' is the number of a sample, counted from the beginning of the stream.")
        self._heard = True
        self._bookmark = Bookmark(checkpoint)
        return Answer(_frames(messages.resumed(checkpoint))), Resume(checkpoint, first)

    def _token(self) -> str:
        """Return the token for a stream that goes on here, or "" if the client wants none."""
        if self._tokens is None or not self.settings.resumable:
            return ""
        return self._tokens.write(self._bookmark.checkpoint, self._model, self.settings)


def _mark_id(name: Any) -> str | int:
    """Return the name of a mark.

    :raises BadMessage: if it is neither a whole number nor a short text.
    """
    is_number = isinstance(name, int) and not isinstance(name, bool) and abs(name) < _MOST_SAMPLES
    if not is_number and not (isinstance(name, str) and len(name) <= _LONGEST_MARK and is_text(name)):
        raise BadMessage(f"The id of a mark is a number, or a text of at most {_LONGEST_MARK} characters.")
    return name  # type: ignore[no-any-return]


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
