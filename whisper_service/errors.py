"""The tree of errors. Each error has a code for the wire and a WebSocket close code.

TranscriptionError
├── ConfigError               a WHISPER_* key is unknown or out of range (raised at start-up)
├── ModelUnavailable          the model cannot be loaded, or is not loaded yet
├── BadMessage                an invalid control message
│   ├── BadSetting            an unknown setting, or a value out of its range
│   └── BadToken              a stream cannot go on from its client's token
├── AudioError                audio that cannot be used
│   ├── BadBase64             a text frame that is not base64
│   ├── BadAudio              a slice that cannot be decoded
│   └── UnsupportedAudio      a slice in a format that the server does not decode
├── TooBig                    a message over the size limit
├── Full                      no room for another stream, container stream, or long message
├── Unauthorized              a client without a key that opens the service
├── Forbidden                 a page or a user that may not use the service
├── RateLimited               a user with too many streams, or too much audio
├── Idle                      a client that sends nothing
├── SessionTooLong            more audio than one stream may have
├── TooSlow                   the client does not read its messages
├── Draining                  the server is about to stop
├── StreamFailed              a client cannot reach the server, or the server has ended the stream
└── InternalError             a fault of the server; only the log has the reason
"""

from __future__ import annotations

from typing import ClassVar

#: A hint in error texts, for clients that may have tried to end the stream with another message.
TO_STOP = 'To end the stream send {"type": "stop"}.'


class TranscriptionError(Exception):
    """An error that its reader can act on.

    The text is written for the user of the client or of the command line. It says what went wrong and what to
    do.
    """

    #: Stable code on the wire (``docs/protocol.md``).
    code: ClassVar[str] = "internal"
    #: WebSocket close code, or None if the error need not end the stream.
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
    close_code = 1011


class BadMessage(TranscriptionError):
    """A control message that is not valid, or comes too late."""

    code = "bad_message"
    close_code = None


class BadSetting(BadMessage):
    """A setting of the stream with an unknown name, or with a value out of its range."""

    code = "bad_setting"


class BadToken(BadMessage):
    """A token that is forged, too old, or of a stream with another model or other settings."""

    code = "bad_token"


class AudioError(TranscriptionError):
    """A slice, or a part of the stream, that cannot be used.

    :param lost_samples: length of the rejected slice in samples at 16 kHz; 0 if it is not known.
    """

    code = "bad_audio"
    close_code = None

    def __init__(self, message: str, *, lost_samples: int = 0) -> None:
        super().__init__(message)
        self.lost_samples = lost_samples


class BadBase64(AudioError):
    """A text frame that is neither a control message nor base64."""

    code = "bad_base64"


class BadAudio(AudioError):
    """Audio that cannot be decoded, or a part of a stream that was lost."""


class UnsupportedAudio(AudioError):
    """A slice in a format that the server does not decode."""

    code = "unsupported_audio"


class TooBig(TranscriptionError):
    """A message over the size limit."""

    code = "too_big"
    close_code = 1009


class Full(TranscriptionError):
    """There is no room for another stream, container stream, or long message; try again later.

    :param retry_after_s: when it is worth trying again, in seconds; None if nobody knows.
    """

    code = "full"
    close_code = 1013

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unauthorized(TranscriptionError):
    """The client has not said who it is, or its key opens nothing."""

    code = "unauthorized"
    close_code = 4401


class Forbidden(TranscriptionError):
    """The page or the user may not use the service."""

    code = "forbidden"
    close_code = 4403


class RateLimited(TranscriptionError):
    """The user has too many streams, or sends too much audio."""

    code = "rate_limited"
    close_code = 4429


class Idle(TranscriptionError):
    """The client has sent nothing for a long time."""

    code = "idle"
    close_code = 4408


class SessionTooLong(TranscriptionError):
    """More audio than one stream may have. The text of the audio before the limit is final."""

    code = "session_too_long"
    close_code = 4408


class TooSlow(TranscriptionError):
    """The client does not read the messages that the server sends."""

    code = "too_slow"
    close_code = 1011


class Draining(TranscriptionError):
    """The server is about to stop. A client may connect again, to another worker."""

    code = "draining"
    close_code = 1012

    def __init__(self, message: str = "The server is about to stop; connect again.") -> None:
        super().__init__(message)


class StreamFailed(TranscriptionError):
    """For users of a client: the server cannot be reached, or has ended the stream."""


class InternalError(TranscriptionError):
    """A fault of the server. The log has the reason; the client learns only that it happened."""
