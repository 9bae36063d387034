"""An app that make_dialect a protocol of its own, for a subprocess: ``python -m tests.dictation_app``.

The dialect is that of an imaginary dictation machine. A new protocol needs this much and no change elsewhere.

    client: HELLO | base64 of a slice | BYE        server: HELLO model | + text | ! code | BYE
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402
from collections.abc import Mapping, Sequence

from flask import Flask

from whisper_service import Transcriber
from whisper_service.config import StreamSettings
from whisper_service.errors import BadMessage, TranscriptionError
from whisper_service.events import Done, Event, Final
from whisper_service.protocol.dialect import Answer, Audio, Command, Control, Failure, Frame, Opening
from whisper_service.server import serve


class Dictation:
    """The dictation machine's protocol for one connection."""

    undeclared = None

    def __init__(self, chosen: Mapping[str, str], defaults: StreamSettings) -> None:
        self.settings = defaults
        self._model = ""

    def ready(self, opening: Opening) -> Sequence[Frame]:
        self._model = opening.model
        return ()

    def receive(self, data: str | bytes) -> Sequence[Command]:
        match data:
            case "HELLO":
                return (Answer((Frame(f"HELLO {self._model}"),)),)
            case "BYE":
                return (Control.STOP,)
            case str():
                return (Audio(data),)
        raise BadMessage("A dictation machine sends text.")

    def tell(self, event: Event) -> Sequence[Frame]:
        match event:
            case Final():
                return (Frame(f"+{event.text}"),)
            case Done():
                return (Frame("BYE"),)
        return ()

    def fail(self, problem: TranscriptionError, *, fatal: bool) -> Failure:
        return Failure((Frame(f"! {problem.code}"),), 4000, problem.code)


app = Flask(__name__)
transcriber = Transcriber(app)
transcriber.add_socket("/dictation", Dictation, app)

if __name__ == "__main__":
    serve(app)
