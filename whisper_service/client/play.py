"""The client of the command line. It plays a file as a microphone would, and shows the transcript."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from whisper_service.audio.decode import decode
from whisper_service.audio.pcm import Recording, float32_to_int16
from whisper_service.client.live import NoServer
from whisper_service.client.threaded import LiveClient
from whisper_service.errors import BadAudio, StreamFailed

#: How long to try again after a broken connection, in seconds.
_GIVE_UP_S = 60.0

Message = dict[str, Any]


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
    :param on_message: called with every message of ``LiveClient``.
    :param on_played: called after each slice, in another thread, with the seconds of audio sent so far.
    :raises StreamFailed: if the server cannot be reached, or does not serve the stream.
    """
    samples = float32_to_int16(pcm.samples).astype("<i2")
    size = max(1, pcm.rate * slice_ms // 1000)
    over = threading.Event()

    def send(client: LiveClient) -> None:
        began = time.monotonic()
        with suppress(StreamFailed):  # the iteration below raises it
            for start in range(0, samples.shape[0], size):
                end = min(start + size, samples.shape[0])
                if over.wait(max(0.0, began + end / pcm.rate / speed - time.monotonic())):
                    return
                client.send(samples[start:end].tobytes())
                on_played(end / pcm.rate)
            client.stop()

    message: Message = {}
    client = LiveClient(url, rate=pcm.rate, key=key, give_up_s=_GIVE_UP_S)
    sender = threading.Thread(target=send, args=(client,), daemon=True)
    try:
        with client:
            sender.start()
            for message in client:
                on_message(message)
    except NoServer as problem:
        raise StreamFailed(f"{problem} Run 'make serve', or give --url.") from problem
    finally:
        over.set()
        sender.join()
    return message


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


def _of_connection(message: Message) -> str:
    if message["state"] == "resumed":
        return "The connection is back; nothing is lost."
    return f"The connection is lost ({message['reason']}); trying again."


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
            case "connection":
                click.echo(_of_connection(message), err=True)

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
            case "connection":
                self._console.print(Text(_of_connection(message), style="yellow"))
        self._live.update(self._render())

    def _end_line(self) -> None:
        """Print the finals since the last beginning of speech."""
        if self._line.plain.strip():
            self._console.print(Text(self._line.plain.strip()))
        self._line = Text()

    def _render(self) -> Group:
        return Group(self._line + Text(self._partial, style="dim"), self._progress)
