"""Live transcription for Flask: speech comes in over a WebSocket, words go out while people speak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whisper_service.errors import (
    BadMessage,
    BadSetting,
    ConfigError,
    ModelUnavailable,
    TranscriptionError,
)

if TYPE_CHECKING:
    from whisper_service.extension import Transcriber

__all__ = [
    "BadMessage",
    "BadSetting",
    "ConfigError",
    "ModelUnavailable",
    "Transcriber",
    "TranscriptionError",
]


def __getattr__(name: str) -> Any:
    """Import ``Transcriber`` at its first use: the command-line client needs neither Flask nor gevent."""
    if name == "Transcriber":
        from whisper_service.extension import Transcriber

        return Transcriber
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
