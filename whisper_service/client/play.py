"""A WebSocket client for the command line. It plays a file as a microphone would."""

from __future__ import annotations

import io
import json
import ssl
import threading
import time
import wave
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import ClientConnection, connect

from whisper_service.audio.decode import decode
from whisper_service.audio.pcm import Recording, float32_to_int16
from whisper_service.client.live import refusal
from whisper_service.errors import BadAudio, StreamFailed

#: Seconds that the server may take for the rest of the transcript after the last slice.
_DONE_TIMEOUT_S = 120.0

Message = dict[str, Any]


def wav_slices(pcm: Recording, *, slice_ms: int) -> Iterator[bytes]:
    """Yield ``pcm`` as complete WAV files of ``slice_ms`` each, like the slices that RecordRTC makes."""
    size = max(1, pcm.rate * slice_ms // 1000)
    for start in range(0, pcm.samples.shape[0], size):
        file = io.BytesIO()
        with wave.open(file, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(pcm.rate)
            writer.writeframes(float32_to_int16(pcm.samples[start : start + size]).tobytes())
        yield file.getvalue()


def play(
    pcm: Recording,
    url: str,
    *,
    key: str = "",
    speed: float,
    slice_ms: int,
    on_message: Callable[[Message], None],
    on_played: Callable[[float], None],
) -> Message:
    """Send ``pcm`` at ``speed`` times real time and return the server's ``done``. Blocks.

    :param key: opens a server that asks for one; "" for none.
    :param on_message: called with every message of the server, in a thread of its own.
    :param on_played: called after each slice with the seconds of audio that have been sent so far.
    :raises StreamFailed: if the server cannot be reached or ends the stream.
    """
    with _connected(url, key) as connection:
        receiver = _Receiver(connection, on_message)
        receiver.start()
        began = time.monotonic()
        try:
            for index, data in enumerate(wav_slices(pcm, slice_ms=slice_ms), start=1):
                played_s = min(index * slice_ms / 1000, pcm.samples.shape[0] / pcm.rate)
                time.sleep(max(0.0, began + played_s / speed - time.monotonic()))
                connection.send(data)
                on_played(played_s)
            connection.send(json.dumps({"type": "stop"}))
        except ConnectionClosed:
            pass  # the receiver records the reason
        receiver.join(_DONE_TIMEOUT_S)
    if receiver.done is None:
        raise StreamFailed(receiver.problem or f"The server said nothing final within {_DONE_TIMEOUT_S:g} s.")
    return receiver.done


def _connected(url: str, key: str) -> ClientConnection:
    """Return an open connection to ``url``.

    :raises StreamFailed: if there is none; its text says what to do.
    """
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else None
        return connect(url, additional_headers=headers, max_size=None)
    except InvalidURI as problem:
        raise StreamFailed(
            f"{url} is not the address of a WebSocket: it must begin with ws:// or, where pages come by "
            "https, wss://."
        ) from problem
    except ssl.SSLCertVerificationError as problem:
        raise StreamFailed(
            f"The certificate of {url} cannot be verified ({problem.verify_message}). Have it signed by an "
            "authority that this machine trusts, or name the file of its own authority in SSL_CERT_FILE."
        ) from problem
    except InvalidStatus as problem:
        raise StreamFailed(refusal(problem)) from problem
    except (OSError, InvalidHandshake, TimeoutError) as problem:
        raise StreamFailed(
            f"No server answers at {url} ({type(problem).__name__}): run 'make serve', or give --url."
        ) from problem


#: The meaning of a close code, for a connection that the server closes without an error message.
_CLOSED = {
    1001: "The server is going away: it is being stopped or restarted. Try again in a moment.",
    1012: "The server is restarting. Try again in a moment.",
    1013: "The server is full. Try again in a minute.",
}


class _Receiver(threading.Thread):
    """Reads messages until the connection ends."""

    def __init__(self, connection: ClientConnection, on_message: Callable[[Message], None]) -> None:
        super().__init__(daemon=True)
        self._connection = connection
        self._on_message = on_message
        self.done: Message | None = None
        self.problem: str | None = None

    def run(self) -> None:
        try:
            for frame in self._connection:
                message: Message = json.loads(frame)
                self._on_message(message)
                if message["type"] == "done":
                    self.done = message
                if message["type"] == "error" and message["fatal"]:
                    self.problem = str(message["message"])
        except ConnectionClosed as closed:
            self._explain(closed)
            return
        if self.done is None:
            self._explain(None)

    def _explain(self, closed: ConnectionClosed | None) -> None:
        code = self._connection.close_code
        broke = f"The connection broke ({closed or code})."
        self.problem = self.problem or _CLOSED.get(code or 0, broke)


def show_stream(file: Path, *, url: str, key: str, speed: float, slice_ms: int, as_json: bool) -> None:
    """Play ``file`` to the server at ``url``, and show partials and finals as they arrive. Blocks.

    :raises AudioError: if the file cannot be decoded, or holds no audio.
    :raises StreamFailed: see ``play``.
    """
    pcm = decode(file.read_bytes())
    if not pcm.samples.shape[0]:
        raise BadAudio(f"{file} holds no audio.")
    chosen = partial(play, pcm, url, key=key, speed=speed, slice_ms=slice_ms)
    if as_json:
        chosen(
            on_message=lambda message: click.echo(json.dumps(message, ensure_ascii=False)),
            on_played=lambda played_s: None,
        )
        return
    console = Console()
    if not console.is_terminal:
        lines = _Lines()
        chosen(on_message=lines.message, on_played=lambda _: None)
        lines.end()
        return
    screen = _Screen(console, pcm.samples.shape[0] / pcm.rate)
    with screen:
        chosen(on_message=screen.message, on_played=screen.played)


class _Lines:
    """Prints one utterance a line to stdout, for a pipe or a file. All other messages go to stderr."""

    def __init__(self) -> None:
        self._line = ""

    def message(self, message: Message) -> None:
        match message["type"]:
            case "ready":
                for warning in message["warnings"]:
                    click.echo(warning, err=True)
            case "final":
                self._line += message["text"]
            case "speech_started":
                self.end()
            case "error":
                click.echo(message["message"], err=True)
            case "lag" if message["behind_s"]:
                click.echo(f"{message['behind_s']} s behind", err=True)

    def end(self) -> None:
        """Print the last utterance."""
        if self._line.strip():
            click.echo(self._line.strip())
        self._line = ""


class _Screen:
    """Shows the transcript so far, the current partial in grey, and how far the file has been played."""

    def __init__(self, console: Console, length_s: float) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task("playing", total=length_s)
        self._line = Text()
        self._partial = ""
        self._live = Live(self._render(), console=console, refresh_per_second=10, transient=True)

    def __enter__(self) -> None:
        self._live.__enter__()

    def __exit__(self, *exception: Any) -> None:
        self._live.__exit__(None, None, None)
        self._end_line()

    def played(self, played_s: float) -> None:
        self._progress.update(self._task, completed=played_s)
        self._live.update(self._render())

    def message(self, message: Message) -> None:
        match message["type"]:
            case "ready":
                for warning in message["warnings"]:
                    self._console.print(f"[yellow]{warning}[/yellow]")
            case "partial":
                self._partial = message["text"]
            case "final":
                self._line.append(message["text"])
                self._partial = ""
            case "speech_started":
                self._end_line()
            case "error":
                self._console.print(f"[red]{message['message']}[/red]")
            case "lag" if message["behind_s"]:
                self._console.print(f"[yellow]{message['behind_s']} s behind[/yellow]")
        self._live.update(self._render())

    def _end_line(self) -> None:
        """Print the finals since the last beginning of speech."""
        if self._line.plain.strip():
            self._console.print(Text(self._line.plain.strip()))
        self._line = Text()

    def _render(self) -> Group:
        return Group(self._line + Text(self._partial, style="dim"), self._progress)
