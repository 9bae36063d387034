"""Checks what the server sends, whatever it was sent."""

from __future__ import annotations

import json
from typing import Any

from gevent.event import Event
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

#: Errors that a client's messages may cause here.
_CODES = {
    "bad_message", "bad_setting", "bad_base64", "bad_audio", "unsupported_audio", "bad_token", "too_big",
    "session_too_long", "full",
}  # fmt: skip
#: The server's own close codes, and those with which it answers a client's close or its breach of RFC 6455.
_CLOSE_CODES = {1000, 1009, 1013, 4400, 4408} | {1001, 1002, 1005, 1007, 2999, 4999}
_URI = parse_uri("ws://127.0.0.1/transcribe")


class Wrong(AssertionError):
    """The server has done something that it must not do, whatever a client sends."""


class Answers:
    """The client's side of a connection.

    :param plain: whether the server answers with plain text instead of JSON.
    """

    def __init__(self, *, plain: bool) -> None:
        self._protocol = ClientProtocol(_URI, state=State.OPEN, max_size=None)
        self._plain = plain
        self._messages: list[dict[str, Any]] = []
        #: The last token that the server has sent.
        self.token = ""
        #: Set when the server has said that it sends no more.
        self.ended = Event()

    def take(self, data: bytes) -> None:
        """Take the next bytes from the server.

        :raises Wrong: if they hold something that no server sends.
        """
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            match event:
                case Frame(opcode=Opcode.TEXT) if self._plain:
                    event.data.decode()
                case Frame(opcode=Opcode.TEXT):
                    self._messages.append(json.loads(event.data.decode()))
                    self.token = self._messages[-1].get("resume", self.token)
                case Frame(opcode=Opcode.CLOSE):
                    self.ended.set()
                case Frame(opcode=Opcode.PONG):
                    pass
                case _:
                    raise Wrong(f"the server has sent {event}")

    def check(self) -> None:
        """Check the answers as a whole.

        :raises Wrong: if they break the protocol.
        """
        if self._protocol.parser_exc is not None:
            raise Wrong(f"the server has broken RFC 6455: {self._protocol.parser_exc}")
        close = self._protocol.close_rcvd
        if close is not None and close.code not in _CLOSE_CODES:
            raise Wrong(f"the server has closed with {close}")
        if self._messages:
            self._check_order()
            self._check_finals()
        for error in self._of("error"):
            if error["code"] not in _CODES:
                raise Wrong(f"an error that a client cannot cause: {error}")
        for done in self._of("done"):
            if done["received_samples"] != sum(
                done[f"{kind}_samples"] for kind in ("speech", "silent", "lost")
            ):
                raise Wrong(f"the account is wrong: {done}")

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self._messages if message["type"] == kind]

    def _check_order(self) -> None:
        first, *others = self._messages
        if first["type"] not in ("ready", "error"):
            raise Wrong(f"the first message is {first}")
        for message in self._messages[:-1]:
            if message["type"] == "done" or message.get("fatal"):
                raise Wrong(f"{others[-1]} has followed {message}")

    def _check_finals(self) -> None:
        finals = self._of("final")
        for before, after in zip(finals, finals[1:], strict=False):
            if after["id"] != before["id"] + 1 or after["start"] < before["end"]:
                raise Wrong(f"{after} has followed {before}")
        for final in finals:
            if not final["start"] < final["end"]:
                raise Wrong(f"a final without length: {final}")
