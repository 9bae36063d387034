"""The plain-text protocol: the frames of the native one in, the text of finals out and nothing else.

Pages of tutorials append every message to their text, so this dialect sends neither errors nor partials. The
close code alone says how the stream ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from whisper_service.errors import TranscriptionError
from whisper_service.events import Event, Final
from whisper_service.protocol.dialect import Failure, Frame, Opening
from whisper_service.protocol.native import NativeDialect


class PlainTextDialect(NativeDialect):
    """``/transcribe?reply=text`` for one connection. Parameters are those of ``NativeDialect``."""

    def ready(self, opening: Opening) -> Sequence[Frame]:
        super().ready(opening)
        return ()

    def tell(self, event: Event) -> Sequence[Frame]:
        return (Frame(event.text),) if isinstance(event, Final) else ()

    def fail(self, problem: TranscriptionError, *, fatal: bool) -> Failure:
        return replace(super().fail(problem, fatal=fatal), frames=())
