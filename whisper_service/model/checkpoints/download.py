"""Checkpoints from OpenAI's own server.

Whisper's own ``_download`` has no timeout, no lock and no atomic write: two workers race for the file, and
behind a firewall it hangs. This module never calls it, but uses the same cache folder and file names.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import whisper
from filelock import FileLock, Timeout

from whisper_service.errors import ModelUnavailable

#: The longest time without a packet from the server, also while the connection is opened.
READ_TIMEOUT_S = 10.0
_BLOCK_BYTES = 1 << 20

#: Called with the number of bytes so far, and the total, or 0 if the server does not report it.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """The URL of an official checkpoint, its file name, and the checksum that verifies it."""

    url: str
    sha256: str
    filename: str


class Unreachable(Exception):
    """A checkpoint could not be fetched; the text is a sentence that says why."""


def official_source(name: str) -> Source:
    """Return the source of the official model ``name``.

    :raises ModelUnavailable: if there is no official model of that name.
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
    """Return the cached file of ``source`` if its checksum is right, else None.

    Reads the whole file, which takes about 1 s for each GB.
    """
    path = cache_dir / source.filename
    try:
        with path.open("rb") as file:
            return path if sha256_of(file) == source.sha256 else None
    except OSError:
        return None


def download(source: Source, cache_dir: Path, *, deadline_s: float, progress: Progress | None = None) -> Path:
    """Return the verified file of ``source`` in ``cache_dir``, downloaded if it is not there yet.

    Blocks up to ``deadline_s``, plus READ_TIMEOUT_S if the server falls silent near the end. Processes that
    need the same file wait for the first one, and use its file. This function is for a plain process, not for
    a native thread of a gevent process.

    :raises Unreachable: if the download fails, or the folder cannot be written.
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
    raise Unreachable(reason)


class _WrongContents(Exception):
    """The downloaded file is not the checkpoint."""


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
        if sha256_of(file) != source.sha256:
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


def sha256_of(file: IO[bytes]) -> str:
    """Return the SHA-256 of ``file`` from its current position on, in hexadecimal digits."""
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
