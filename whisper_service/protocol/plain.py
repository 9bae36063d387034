"""The plain-text protocol: it accepts the frames of the native protocol and sends only the text of finals.

The pages of tutorials append every message to their text, so this dialect sends neither errors nor partials.
Only the close code says how the stream ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from whisper_service.errors import TranscriptionError
from whisper_service.events import Event, Final
from whisper_service.protocol.dialect import Checkpoint, Failure, Frame, Opening
from whisper_service.protocol.native import NativeDialect


class PlainTextDialect(NativeDialect):
    """The protocol of ``/transcribe?reply=text`` for one connection. Parameters: see ``NativeDialect``."""

    def ready(self, opening: Opening) -> Sequence[Frame]:
        super().ready(opening)
        return ()

    def tell(self, event: Event | Checkpoint) -> Sequence[Frame]:
        return (Frame(event.text),) if isinstance(event, Final) else ()

    def fail(self, problem: TranscriptionError, *, fatal: bool) -> Failure:
        return replace(super().fail(problem, fatal=fatal), frames=())
