"""One tree of errors; each carries its wire code, its HTTP status and its close code.

TranscriptionError
├── ConfigError               a WHISPER_* key is unknown or out of range (raised at start-up)
├── ModelUnavailable          the model cannot be loaded, or is not loaded yet
├── BadMessage                a control message that is not ours
│   └── BadSetting            a setting out of its range
├── AudioError
│   ├── BadBase64             a text frame that is not base64
│   ├── BadAudio              a slice that cannot be decoded
│   └── UnsupportedAudio      a slice in a format that we do not take
├── TooBig                    a message over the size limit
├── Full                      no room for one more stream of this kind
├── SessionTooLong            more audio than one stream may have
├── TooSlow                   the client does not read what we send
├── Draining                  the server is about to stop
└── InternalError             a fault of ours; the log has the reason, the client only this
"""

from __future__ import annotations

from typing import ClassVar

#: For clients that try to end the stream in a way that is not ours.
TO_STOP = 'To end the stream send {"type": "stop"}.'


class TranscriptionError(Exception):
    """Something went wrong that its reader can act on.

    The message is written for the person at the other end: it says what was wrong and what to do.
    """

    #: Stable code on the wire (``docs/protocol.md``).
    code: ClassVar[str] = "internal"
    #: Status where the error answers an HTTP request.
    http_status: ClassVar[int] = 500
    #: WebSocket close code, or None where the stream goes on after the error.
    close_code: ClassVar[int | None] = 1011

    @property
    def fatal(self) -> bool:
        """Whether a stream always ends with this kind of error."""
        return self.close_code is not None


class ConfigError(TranscriptionError, ValueError):
    """A ``WHISPER_*`` key is unknown, or its value is not accepted."""


class ModelUnavailable(TranscriptionError):
    """The model cannot be loaded, or is still loading."""

    code = "model_unavailable"
    http_status = 503
    close_code = 1011


class BadMessage(TranscriptionError):
    """A control message that is not valid JSON, or of an unknown type."""

    code = "bad_message"
    http_status = 400
    close_code = None


class BadSetting(BadMessage):
    """A setting of the stream with an unknown name or a value out of its range."""

    code = "bad_setting"


class AudioError(TranscriptionError):
    """A slice that was not taken.

    :param lost_samples: length of the rejected slice in samples at 16 kHz, if it is known; else 0.
    """

    code = "bad_audio"
    http_status = 422
    close_code = None

    def __init__(self, message: str, *, lost_samples: int = 0) -> None:
        super().__init__(message)
        self.lost_samples = lost_samples


class BadBase64(AudioError):
    """A text frame that is neither a control message nor base64."""

    code = "bad_base64"


class BadAudio(AudioError):
    """A slice that looks like audio and cannot be decoded."""


class UnsupportedAudio(AudioError):
    """A slice in no format that we take."""

    code = "unsupported_audio"
    http_status = 415


class TooBig(TranscriptionError):
    """A message over the size limit."""

    code = "too_big"
    http_status = 413
    close_code = 1009


class Full(TranscriptionError):
    """There is no room for one more stream of this kind; try again later."""

    code = "full"
    http_status = 503
    close_code = 1013


class SessionTooLong(TranscriptionError):
    """More audio than one stream may have; what came before is final."""

    code = "session_too_long"
    http_status = 413
    close_code = 4408


class TooSlow(TranscriptionError):
    """The client does not read what we send to it."""

    code = "too_slow"
    close_code = 1011


class Draining(TranscriptionError):
    """The server is about to stop; connect again, to another worker."""

    code = "draining"
    http_status = 503
    close_code = 1012


class InternalError(TranscriptionError):
    """A fault of ours. The log has the reason; the client only learns that it happened."""
