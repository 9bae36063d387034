"""A client for asyncio that loses no word: it connects again, and sends again what the server needs."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import cycle
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from whisper_service.client.tape import Tape
from whisper_service.errors import StreamFailed

Message = dict[str, Any]

#: Audio in one message: 500 ms.
_SLICE_S = 0.5
#: ``send`` waits while more audio than this is not sent although there is a connection, in seconds.
_AHEAD_S = 30.0
#: The wait before the next try is random, between zero and a limit. The limit doubles from the first to the
#: second value, in seconds.
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.25, 8.0
#: A connection that answers no ping within this time is broken, in seconds.
_PING_S = 10.0
_OPEN_TIMEOUT_S = 10.0
#: Close codes after which another try can help: there was no close frame; the server goes away, has a fault,
#: restarts or is full; the stream has reached its longest audio, or there are too many.
_TRY_AGAIN = frozenset({1001, 1005, 1006, 1011, 1012, 1013, 4408, 4429})
#: The same for the status of an HTTP answer instead of a WebSocket.
_TRY_AGAIN_STATUS = frozenset({429, 500, 502, 503, 504})


class NoServer(StreamFailed):
    """No server has ever answered."""


class _Refused(Exception):
    """The server does not want this stream; another try will not help."""


class AsyncLiveClient:
    """A live stream to a server, over as many connections as it takes.

    ::

        async with AsyncLiveClient("ws://127.0.0.1:5003/transcribe", rate=16_000) as client:
            asyncio.create_task(record_into(client))  # awaits client.send(pcm), at last client.stop()
            async for message in client:
                if message["type"] == "final":
                    print(message["text"], end="")

    The messages are those of the server (``docs/protocol.md``), with times and ids that go on over all
    connections; each final comes once. Between them are messages of the client itself: ``{"type":
    "connection", "state": "lost" | "resumed", "reason": …}``. ``ack`` and ``resumed`` are not passed on.
    ``full_transcript`` has the text of all connections.

    :param url: the server's socket, or several: after a failure the next one is tried. They must have the
        same signing key and model.
    :param rate: the sample rate of the audio in Hz.
    :param key: opens a server that asks for one.
    :param headers: more headers for the handshake, such as a cookie.
    :param buffer_s: so much audio is kept while there is no connection; then ``send`` waits.
    :param give_up_s: how long to try before the stream fails.
    :param settings: the settings of the stream, such as ``language="en"``.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        *,
        rate: int = 16_000,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        buffer_s: float = 600.0,
        give_up_s: float = 300.0,
        **settings: Any,
    ) -> None:
        urls = [url] if isinstance(url, str) else list(url)
        chosen = {**settings, "format": "s16le", "rate": rate, "channels": 1, "resumable": 1}
        query = urlencode({name: _as_text(value) for name, value in chosen.items()})
        self._names = " or ".join(urls)
        self._urls = [f"{one}{'&' if '?' in one else '?'}{query}" for one in urls]
        self._rate = rate
        self._headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **(headers or {})}
        self._buffer_samples = round(buffer_s * rate)
        self._give_up_s = give_up_s
        self._tape = Tape()
        self._sent = 0  # the next sample to send
        self._sent_commands = 0  # how many of the commands at that sample were sent
        self._stopped = False
        self._token = ""
        self._replay_from = 0
        self._next_id = 0
        self._transcript = ""  # the text of all finals
        self._last_end = 0.0
        # Where the server's counts begin: not 0 after a stream that had to begin anew.
        self._first_sample = self._first_id = 0
        self._connected = False  # whether the server takes audio
        self._reached = False  # whether a server has ever answered
        self._began = False  # whether a server has ever taken audio
        self._progress_at = 0.0
        self._fatal = ""  # the last words of the server on this connection
        self._close_code = 1006  # that of the last connection
        self._retry_after_s = 0.0  # the server's hint when to come back
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._news = asyncio.Condition()
        self._failure: StreamFailed | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    # -- audio and commands ----------------------------------------------------------------------------

    async def send(self, pcm: bytes) -> None:
        """Send audio. Waits while the server is far behind, or too much audio is kept.

        :param pcm: 16-bit little-endian mono samples at ``rate``, of any length.
        :raises StreamFailed: if the stream has failed.
        :raises ValueError: if ``pcm`` ends within a sample, or after ``stop``.
        """
        if self._stopped:
            raise ValueError("the stream was stopped; it takes no more audio")
        async with self._news:
            await self._news.wait_for(lambda: self._failure is not None or self._has_room())
            if self._failure is not None:
                raise self._failure
            self._tape.record(pcm)
            self._news.notify_all()

    async def flush(self) -> None:
        """Make all speech so far final. The stream goes on."""
        await self._note({"type": "flush"})

    async def mark(self, name: str | int) -> None:
        """Ask for a ``mark`` message with id ``name`` when everything so far is final."""
        await self._note({"type": "mark", "id": name})

    async def stop(self) -> None:
        """End the stream: everything becomes final, ``done`` comes, and the iteration ends."""
        async with self._news:
            self._stopped = True
            self._news.notify_all()

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Yield the messages until the stream is over.

        :raises StreamFailed: if the server cannot be reached for ``give_up_s``, or refuses the stream.
        """
        while (message := await self._messages.get()) is not None:
            yield message
        if self._failure is not None:
            raise self._failure

    async def _note(self, command: Message) -> None:
        async with self._news:
            self._tape.note(json.dumps(command))
            self._news.notify_all()

    def _has_room(self) -> bool:
        ahead = self._tape.end - self._sent
        kept = self._tape.end - self._tape.start
        return kept < self._buffer_samples and not (self._connected and ahead > _AHEAD_S * self._rate)

    # -- connections -----------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._try_until_done()
        except (StreamFailed, _Refused) as problem:
            self._failure = problem if isinstance(problem, StreamFailed) else StreamFailed(str(problem))
        async with self._news:
            self._news.notify_all()
        self._messages.put_nowait(None)

    async def _try_until_done(self) -> None:
        tries = 0
        self._progress_at = time.monotonic()
        for url in cycle(self._urls):
            before = self._progress_at
            reason = await self._attempt(url)
            if not reason:
                return
            tries = 1 if self._progress_at > before else tries + 1
            if not self._reached and tries >= len(self._urls):
                raise NoServer(f"No server answers at {self._names} ({reason}).")
            if time.monotonic() - self._progress_at > self._give_up_s:
                raise StreamFailed(f"No server has helped for {self._give_up_s:g} s ({reason}).")
            if tries == 1 and self._began:
                self._tell({"type": "connection", "state": "lost", "reason": reason})
            longest = min(_LONGEST_WAIT_S, _SHORTEST_WAIT_S * 2 ** (tries - 1))
            await asyncio.sleep(self._retry_after_s + random.uniform(0, longest))

    async def _attempt(self, url: str) -> str:
        """Use one connection until it ends; return why it did, or "" if the stream is done.

        :raises StreamFailed: if another try will not help.
        :raises _Refused: the same.
        """
        try:
            if await self._converse(url):
                return ""
            return self._fatal or f"it closed with {self._close_code}"
        except InvalidURI as problem:
            raise StreamFailed(
                f"{self._names} is not the address of a WebSocket: it begins with ws:// or, where pages come "
                "by https, wss://."
            ) from problem
        except ssl.SSLCertVerificationError as problem:
            raise StreamFailed(
                f"The certificate of {self._names} cannot be verified ({problem.verify_message}). Have it "
                "signed by an authority that this machine trusts, or name the file of its own authority in "
                "SSL_CERT_FILE."
            ) from problem
        except InvalidStatus as problem:
            status = problem.response.status_code
            if status not in _TRY_AGAIN_STATUS:
                raise StreamFailed(refusal(problem)) from None
            return f"status {status}"
        except (OSError, InvalidHandshake, TimeoutError) as problem:
            return f"{type(problem).__name__}: {problem}"

    async def _converse(self, url: str) -> bool:
        """Use one connection until it ends; return whether the stream is done.

        :raises _Refused: if another try will not help.
        """
        async with connect(
            url,
            additional_headers=self._headers,
            max_size=None,
            compression=None,
            open_timeout=_OPEN_TIMEOUT_S,
            ping_interval=_PING_S,
            ping_timeout=_PING_S,
            close_timeout=1.0,
        ) as connection:
            self._reached = True
            sender: asyncio.Task[None] | None = None
            self._fatal, self._retry_after_s = "", 0.0
            try:
                await self._begin(connection)
                sender = asyncio.create_task(self._send_all(connection))
                while not await self._take(await self._receive(connection)):
                    pass
                return True
            except ConnectionClosed:
                pass
            finally:
                self._connected = False
                if sender is not None:
                    sender.cancel()
                    await asyncio.gather(sender, return_exceptions=True)
            self._close_code = connection.close_code or 1006
            if self._close_code not in _TRY_AGAIN:
                raise _Refused(self._fatal or f"The server closed the stream with {self._close_code}.")
        return False

    async def _receive(self, connection: ClientConnection) -> Message:
        """Return the next message; keep the text of an error that ends the stream."""
        message: Message = json.loads(await connection.recv())
        if message["type"] == "error" and message["fatal"]:
            self._fatal, self._retry_after_s = message["message"], message.get("retry_after_s", 0.0)
        return message

    async def _begin(self, connection: ClientConnection) -> None:
        """Open the stream, or go on where it broke off.

        :raises ConnectionClosed: if the server does not take the stream now.
        """
        while (ready := await self._receive(connection))["type"] != "ready":
            pass  # a fatal error; then the server closes
        if self._token:
            first = max(self._replay_from, self._tape.start)
            await connection.send(
                json.dumps({"type": "resume", "token": self._token, "from": first - self._first_sample})
            )
            answer = await self._receive(connection)
            if answer["type"] == "error":
                self._begin_anew()
        self._sent, self._sent_commands = max(self._replay_from, self._tape.start), 0
        if self._began:
            self._tell({"type": "connection", "state": "resumed", "reason": ""})
        else:
            self._tell(ready)
        self._began = self._connected = True

    def _begin_anew(self) -> None:
        """Let the server's counts begin after the last final: it cannot go on with the token."""
        self._token = ""
        self._first_sample = self._replay_from = max(round(self._last_end * self._rate), self._tape.start)
        self._first_id = self._next_id

    async def _send_all(self, connection: ClientConnection) -> None:
        """Send the tape from the next sample on, then what is added to it, then ``stop``."""
        while True:
            for command in self._tape.commands_at(self._sent)[self._sent_commands :]:
                self._sent_commands += 1
                await connection.send(command.text)
            pcm = self._tape.read(self._sent, round(_SLICE_S * self._rate))
            if pcm:
                await connection.send(pcm)
                async with self._news:
                    self._sent += len(pcm) // 2
                    self._sent_commands = 0
                    self._news.notify_all()
                continue
            if self._stopped:
                await connection.send(json.dumps({"type": "stop"}))
                return
            async with self._news:
                await self._news.wait_for(self._has_more)

    def _has_more(self) -> bool:
        return (
            self._stopped
            or self._tape.end > self._sent
            or len(self._tape.commands_at(self._sent)) > self._sent_commands
        )

    # -- messages --------------------------------------------------------------------------------------

    async def _take(self, message: Message) -> bool:
        """Take a message of the server; return whether it was the last one."""
        if message["type"] == "error" and message["fatal"]:
            return False  # the close code that follows says whether to try again
        self._token = message.pop("resume", self._token)
        self._progress_at = time.monotonic()
        match message["type"]:
            case "ack":
                self._replay_from = message["replay_from"] + self._first_sample
                async with self._news:
                    self._tape.forget(self._replay_from)
                    self._news.notify_all()
                return False
            case "mark":
                await self._strike({"type": "mark", "id": message["id"]})
            case "final":
                message["id"] += self._first_id
                self._next_id = message["id"] + 1
                self._transcript += message["text"]
        if "full_transcript" in message:
            message["full_transcript"] = self._transcript  # the server's begins anew with each connection
        self._shift(message)
        if message["type"] == "final":
            self._last_end = message["end"]
        self._tell(message)
        return bool(message["type"] == "done")

    async def _strike(self, command: Message) -> None:
        async with self._news:
            at_hand = len(self._tape.commands_at(self._sent))
            self._tape.strike(json.dumps(command))
            if len(self._tape.commands_at(self._sent)) < at_hand:
                self._sent_commands -= 1

    def _shift(self, message: Message) -> None:
        """Add the time before the present stream to the times of a message."""
        offset = self._first_sample / self._rate
        if not offset:
            return
        for part in (message, *message.get("words", ())):
            for name in ("at", "start", "end"):
                if name in part:
                    part[name] = round(part[name] + offset, 3)

    def _tell(self, message: Message) -> None:
        self._messages.put_nowait(message)


def refusal(problem: InvalidStatus) -> str:
    """Return why a server has answered with an HTTP status instead of a WebSocket."""
    status, body = problem.response.status_code, bytes(problem.response.body or b"")
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return (
            f"The server answers with status {status}, and not with a WebSocket: is the path right? It ends "
            "in /transcribe, after the prefix under which the service is mounted."
        )


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return ",".join(value) if isinstance(value, list | tuple) else str(value)
