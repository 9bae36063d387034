"""What a client's frames mean: a state machine without I/O."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from whisper_service.audio.decode import decode_base64
from whisper_service.config import StreamSettings
from whisper_service.errors import BadMessage


@dataclass(frozen=True, slots=True)
class Audio:
    """One slice, as it came."""

    data: bytes


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

        :raises BadMessage: for a control message that is not ours, or comes too late.
        :raises BadSetting: for an unknown setting, or one out of range.
        :raises BadBase64: for text that is neither a control message nor base64.
        """
        if isinstance(frame, str) and frame.lstrip()[:1] == "{":
            return self._control(frame)
        data = frame if isinstance(frame, bytes) else decode_base64(frame)
        self._heard = True
        return Audio(data)

    def _control(self, text: str) -> Command:
        message = _parse(text)
        kind = message.pop("type", None)
        try:
            control = Control(kind)
        except ValueError:
            known = ", ".join(control.value for control in Control)
            raise BadMessage(f"There is no message of type {kind!r:.40}; known are: {known}.") from None
        if control is Control.START:
            if self._heard:
                raise BadMessage("'start' comes before the first audio; the settings of this stream stay.")
            self.settings = self.settings.merged(message).known_to(self._languages)
        return control


def _parse(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise BadMessage(
            "A frame that begins with '{' must be a JSON object; this one does not parse."
        ) from None
    assert isinstance(message, Mapping)  # it begins with "{"
    return dict(message)
