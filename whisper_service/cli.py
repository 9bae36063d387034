"""The command lines: ``python -m whisper_service …`` and ``flask whisper …``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from whisper_service.config import Config, StreamSettings, describe
from whisper_service.errors import ConfigError, TranscriptionError

T = TypeVar("T")

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
def settings() -> None:
    """Print every setting with its default and the values that it accepts."""
    for title, kind in (("Of the service (WHISPER_* keys)", Config), ("Of a stream", StreamSettings)):
        click.echo(f"{title}\n")
        for item in describe(kind):
            click.echo(f"  {item.name} = {item.default!s}\n      {item.description} Accepts: {item.accepts}.")
        click.echo()


@click.command()
@click.argument("file", type=_FILE)
@click.option(
    "--url", default="ws://127.0.0.1:5003/transcribe", show_default=True, help="The server's socket."
)
@click.option(
    "--key", envvar="TRANSCRIPTION_KEY", default="", help="Opens the server; better in TRANSCRIPTION_KEY."
)
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0.1),
    help="1.0 sends in real time, as a microphone does.",
)
@click.option(
    "--slice-ms", default=500, show_default=True, type=click.IntRange(10, 10_000), help="Length of a slice."
)
@click.option("--json", "as_json", is_flag=True, help="Print the server's messages, one a line.")
def stream(file: Path, url: str, key: str, speed: float, slice_ms: int, as_json: bool) -> None:
    """Play FILE to a running server as a microphone would, and show the transcript."""
    from whisper_service.client.play import show_stream

    _run(lambda: show_stream(file, url=url, key=key, speed=speed, slice_ms=slice_ms, as_json=as_json))


@click.command()
@click.argument("files", type=_FILE, nargs=-1, required=True)
@click.option(
    "--format", "style", default="txt", show_default=True, type=click.Choice(["txt", "srt", "vtt", "json"])
)
@click.option("--model", help="Overrides WHISPER_MODEL.")
@click.option("--device", help="Overrides WHISPER_DEVICE.")
@click.option("--language", help="Language of the speech; otherwise it is detected.")
@click.option(
    "--beam-size",
    type=click.IntRange(1, 5),
    default=1,
    show_default=True,
    help="Width of the beam search; 1 is greedy.",
)
@click.option(
    "--timestamps",
    is_flag=True,
    help="Let Whisper write timestamps. This is slower, and helps some checkpoints.",
)
@click.option("--as-stream", is_flag=True, help="Print the text that a live stream would give.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the transcripts of several FILES; one is printed.",
)
def transcribe(
    files: tuple[Path, ...],
    style: str,
    model: str | None,
    device: str | None,
    language: str | None,
    beam_size: int,
    timestamps: bool,
    as_stream: bool,
    output: Path | None,
) -> None:
    """Transcribe FILES without a server, as fast as this machine can."""
    from whisper_service.files import write_transcripts

    if len(files) > 1 and output is None:
        raise click.UsageError("Say with --output in which folder the transcripts of several files go.")
    chosen = {"WHISPER_MODEL": model, "WHISPER_DEVICE": device, "WHISPER_LANGUAGE": language}
    overrides = {key: value for key, value in chosen.items() if value is not None}
    settings = {"beam_size": beam_size, "interim": False}
    failed = _run(
        lambda: write_transcripts(
            files,
            style=style,
            folder=output,
            overrides=overrides,
            settings=settings,
            as_stream=as_stream,
            timestamps=timestamps,
        )
    )
    if failed:
        raise click.ClickException(f"{failed} of {len(set(files))} files could not be transcribed.")


def _run(command: Callable[[], T]) -> T:
    """Return the result of ``command``. Errors that the user can act on become one line, not a traceback."""
    try:
        return command()
    except TranscriptionError as problem:
        raise click.ClickException(str(problem)) from problem


@click.command()
@click.option("--url", default="", help="Look at a running service through its proxies, too.")
@click.pass_context
def doctor(context: click.Context, url: str) -> None:
    """Look at this installation and say what to do. Ends with status 1 if there is a problem."""
    from whisper_service.doctor import examine

    app = context.obj.load_app() if hasattr(context.obj, "load_app") else None
    settings = app.config if app is not None else {}
    secret = app.secret_key if app is not None else None
    instance = Path(app.instance_path) if app is not None else None
    levels = []
    for finding in examine(settings, secret=secret, instance=instance, url=url):
        levels.append(finding.level)
        colour = {"ok": "green", "warning": "yellow", "problem": "red"}[finding.level]
        click.echo(f"{click.style(f'{finding.level:>8}', fg=colour)}  {finding.text}")
    if "problem" in levels:
        context.exit(1)


@click.group()
def keys() -> None:
    """API keys. Only their hashes are kept, in the file that WHISPER_KEYS_FILE names."""


_keys_file = click.option(
    "--file",
    "path",
    envvar="WHISPER_KEYS_FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file of keys; by default WHISPER_KEYS_FILE.",
)


@keys.command()
@click.argument("name")
@_keys_file
def add(name: str, path: Path | None) -> None:
    """Make a key for NAME and print it. It is shown only now."""
    _run(lambda: _add(name, path))


def _add(name: str, path: Path | None) -> None:
    from whisper_service.web.keys import check_name, hash_of, make, read, write

    check_name(name)
    key = make()
    if path is None:
        click.echo(f"Give this key to {name}; it is shown only now: {key}")
        click.echo(f"Add this to WHISPER_KEYS: {name}:{hash_of(key)}")
        return
    known = read(path)
    if name in known:
        raise ConfigError(f"There is a key of {name} already: revoke it first, or choose another name.")
    write(path, {**known, name: hash_of(key)})
    click.echo(f"Give this key to {name}; it is shown only now: {key}")


@keys.command("list")
@_keys_file
def list_keys(path: Path | None) -> None:
    """Print the names of the keys."""
    from whisper_service.web.keys import read

    for name in _run(lambda: read(_named(path))):
        click.echo(name)


@keys.command()
@click.argument("name")
@_keys_file
def revoke(name: str, path: Path | None) -> None:
    """Delete the key of NAME. Servers that run take it no longer; open streams go on."""
    _run(lambda: _revoke(name, _named(path)))


def _revoke(name: str, path: Path) -> None:
    from whisper_service.web.keys import read, write

    known = read(path)
    if name not in known:
        raise ConfigError(f"There is no key of {name} in {path}.")
    write(path, {other: hashed for other, hashed in known.items() if other != name})


def _named(path: Path | None) -> Path:
    if path is None:
        raise ConfigError("Name the file of keys in WHISPER_KEYS_FILE, or with --file.")
    return path


@click.group()
def main() -> None:
    """Live transcription with Whisper: play a file to a server, or transcribe files without one."""


@click.group("whisper")
def flask_commands() -> None:
    """Live transcription."""


for command in (settings, stream, transcribe, doctor):
    main.add_command(command)
for command in (settings, keys, doctor):
    flask_commands.add_command(command)
