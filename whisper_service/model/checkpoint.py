"""Finding and fetching of checkpoints: turns a name into a file.

It may wait for the network, so it runs in the main thread or greenlet; the download itself is done by a
subprocess (``python -m whisper_service.model.checkpoint NAME``), which can be killed.

Whisper's own ``_download`` has no timeout, no lock and no atomic write: two workers race for the file, and
behind a firewall it hangs. It is never reached here, while its cache folder and file names are shared.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import whisper
from filelock import FileLock, Timeout
from tqdm import tqdm

from whisper_service.errors import ModelUnavailable

#: The model behind the name 'auto'.
AUTO_MODEL = "base.en"
#: Longest silence of the server, from the first packet of the connection on.
READ_TIMEOUT_S = 10.0
#: What a subprocess may need to import torch, on a cold disk, beyond the deadline of its download.
START_UP_S = 60.0
_BLOCK_BYTES = 1 << 20

DEMO_WARNING = (
    "Demonstration model: it understands only the synthetic voices of the bundled samples. For real speech "
    f"allow the download of {AUTO_MODEL}, or set WHISPER_MODEL to the path of a Whisper checkpoint."
)

logger = logging.getLogger(__name__)

#: Called with (bytes so far, bytes in all, or 0 where the server does not say).
Progress = Callable[[int, int], None]
#: Brings the named official model into the folder within some seconds, or raises ModelUnavailable.
Fetch = Callable[[str, Path, float], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Where an official checkpoint comes from, and how it is known to be whole."""

    url: str
    sha256: str
    filename: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on disk.

    :param path: the file.
    :param name: official name, or the file's name without its suffix.
    :param official: whether ``name`` is an official name (whose alignment heads Whisper knows).
    :param warnings: sentences that every user of the model should see.
    """

    path: Path
    name: str
    official: bool
    warnings: tuple[str, ...] = ()


# --- finding


def default_cache_dir() -> Path:
    """Return the folder in which Whisper itself keeps its checkpoints."""
    return Path(os.getenv("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"


def official_source(name: str) -> Source:
    """Return where the official model ``name`` comes from.

    :raises ModelUnavailable: if there is no such model.
    """
    url = whisper._MODELS.get(name)
    if url is None:
        raise ModelUnavailable(
            f"There is no model {name!r}: WHISPER_MODEL must be 'auto', the path of a checkpoint, or one of "
            f"{', '.join(whisper.available_models())}."
        )
    *_, sha256, filename = url.split("/")
    return Source(url, sha256, filename)


def cached(source: Source, cache_dir: Path) -> Path | None:
    """Return the file of ``source`` if it is whole, else None. Reads all of it: about 1 s for each GB."""
    path = cache_dir / source.filename
    try:
        with path.open("rb") as file:
            return path if _sha256(file) == source.sha256 else None
    except OSError:
        return None


def find_checkpoint(
    name: str,
    *,
    deadline_s: float,
    cache_dir: Path | None = None,
    demo: Path | None = None,
    fetch: Fetch | None = None,
) -> Checkpoint:
    """Return the checkpoint for ``name``, downloaded where necessary.

    Blocks while it reads a cached file, or up to ``deadline_s`` plus START_UP_S for a download. Not for
    the model's native thread (see above).

    :param name: official name, path of a checkpoint, or 'auto': base.en or, where that is neither cached nor
        can be downloaded, the demonstration model with a warning.
    :param deadline_s: longest time for a download, in seconds; 0 forbids it.
    :param cache_dir: folder for downloads; by default Whisper's own.
    :param demo: the demonstration checkpoint.
    :param fetch: downloads a model; by default :func:`fetch_in_subprocess`.
    :raises ModelUnavailable: if there is no such file or model, or it cannot be downloaded.
    """
    cache_dir = cache_dir or default_cache_dir()
    fetch = fetch or fetch_in_subprocess
    if name != "auto":
        return _find(name, cache_dir, deadline_s, fetch)
    try:
        return _find(AUTO_MODEL, cache_dir, deadline_s, fetch)
    except ModelUnavailable as error:
        if demo is None or not demo.is_file():
            raise
        logger.warning("%s %s", error, DEMO_WARNING)
        return Checkpoint(demo, demo.stem, official=False, warnings=(DEMO_WARNING,))


def _find(name: str, cache_dir: Path, deadline_s: float, fetch: Fetch) -> Checkpoint:
    path = Path(name).expanduser()
    if name not in whisper._MODELS and path.is_file():
        return Checkpoint(path, path.stem, official=False)
    if name not in whisper._MODELS and (path.suffix or len(path.parts) > 1):
        raise ModelUnavailable(f"There is no checkpoint {path}: correct the path in WHISPER_MODEL.")
    source = official_source(name)
    if cached(source, cache_dir) is None:
        if deadline_s <= 0:
            raise _unavailable(source, cache_dir, "It is not in the cache, and downloads are switched off.")
        fetch(name, cache_dir, deadline_s)
    return Checkpoint(cache_dir / source.filename, name, official=True)


# --- fetching


def fetch_in_subprocess(name: str, cache_dir: Path, deadline_s: float) -> None:
    """Download the official model ``name`` in a process of its own, with a progress bar on a terminal.

    Blocks up to ``deadline_s`` plus START_UP_S, then kills the process: that also ends what knows no timeout
    (a name server that does not answer).

    :raises ModelUnavailable: with the reason that the process gave.
    """
    package_root = str(Path(__file__).resolve().parents[2])
    search_path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "whisper_service.model.checkpoint", name]
    try:
        done = subprocess.run(
            [*command, "--cache", str(cache_dir), "--deadline", str(deadline_s)],
            env={**os.environ, "PYTHONPATH": search_path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=deadline_s + START_UP_S,
        )
    except subprocess.TimeoutExpired:
        source = official_source(name)
        raise _unavailable(source, cache_dir, f"The download took over {deadline_s:g} s.") from None
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines()
        raise ModelUnavailable(lines[-1] if lines else f"The download of {name} failed; see standard error.")


def fetch_checkpoint(
    source: Source, cache_dir: Path, *, deadline_s: float, progress: Progress | None = None
) -> Path:
    """Return the whole file of ``source`` in ``cache_dir``, downloaded if it is not there yet.

    Blocks up to ``deadline_s``, plus READ_TIMEOUT_S where the server falls silent near the end. Processes
    that want the same file wait for the first one, and take its file. For a plain process, not for a native
    thread of a gevent process.

    :raises ModelUnavailable: if the download fails, or the folder cannot be written.
    """
    end = time.monotonic() + deadline_s
    path = cache_dir / source.filename
    part = path.with_name(path.name + ".part")
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock"), timeout=deadline_s):
            if cached(source, cache_dir) is None:
                try:
                    _download(source, part, end, progress)
                    os.replace(part, path)
                finally:
                    part.unlink(missing_ok=True)
        return path
    except Timeout:
        reason = f"Another process has been downloading it for over {deadline_s:g} s."
    except TimeoutError:
        reason = f"The server fell silent, or did not deliver it within {deadline_s:g} s."
    except _WrongContents:
        reason = "What was downloaded is not the checkpoint: its SHA-256 is wrong."
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
        reason = f"The download failed ({_network_reason(error)})."
    except OSError as error:
        reason = f"The file cannot be written ({error.strerror})."
    raise _unavailable(source, cache_dir, reason)


class _WrongContents(Exception):
    """What came is not the checkpoint."""


def _download(source: Source, part: Path, end: float, progress: Progress | None) -> None:
    timeout_s = min(READ_TIMEOUT_S, max(0.1, end - time.monotonic()))
    with urllib.request.urlopen(source.url, timeout=timeout_s) as reply, part.open("w+b") as file:
        total = int(reply.headers.get("Content-Length") or 0)
        while block := reply.read1(_BLOCK_BYTES):
            if time.monotonic() > end:
                raise TimeoutError
            file.write(block)
            if progress is not None:
                progress(file.tell(), total)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        if _sha256(file) != source.sha256:
            raise _WrongContents


def _network_reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"HTTP status {error.code}"
    if isinstance(error, urllib.error.URLError):
        if isinstance(error.reason, TimeoutError):
            return "no answer in time"
        return f"no connection: {getattr(error.reason, 'strerror', None) or 'of unknown cause'}"
    return "the connection broke" if isinstance(error, OSError) else "the server's answer is not valid HTTP"


def _unavailable(source: Source, cache_dir: Path, reason: str) -> ModelUnavailable:
    name = source.filename.removesuffix(".pt")
    return ModelUnavailable(
        f"The model {name} is not available. {reason} Fetch it beforehand with "
        f"'python -m whisper_service.model.checkpoint {name} --cache {cache_dir}', copy {source.filename} "
        "into that folder from another machine, or set WHISPER_MODEL to the path of a checkpoint."
    )


def _sha256(file: IO[bytes]) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


# --- command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Download one official model; print one line, the file or the reason, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m whisper_service.model.checkpoint",
        description="Download a Whisper model into the cache.",
    )
    parser.add_argument("name", help=f"auto ({AUTO_MODEL}), {', '.join(whisper.available_models())}")
    parser.add_argument("--cache", type=Path, default=default_cache_dir(), help="folder (%(default)s)")
    parser.add_argument("--deadline", type=float, default=3600.0, help="longest time in s (%(default)g)")
    options = parser.parse_args(arguments)
    try:
        source = official_source(AUTO_MODEL if options.name == "auto" else options.name)
        # Without a terminal the bar would fill the server's log.
        with tqdm(desc=source.filename, unit="B", unit_scale=True, disable=None) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total or None
                bar.update(done - bar.n)

            path = fetch_checkpoint(source, options.cache, deadline_s=options.deadline, progress=show)
    except ModelUnavailable as error:
        print(error)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
