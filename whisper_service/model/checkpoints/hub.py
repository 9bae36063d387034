"""Checkpoints from the Hugging Face Hub, fetched by ``huggingface_hub`` if it is installed."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from whisper_service.model.checkpoints.download import Unreachable

PREFIX = "hf:"
#: The files that are fetched from a repository: weights that are never unpickled, and their descriptions.
_FILES = (
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "model.bin",
    "vocabulary.*",
)
_NAME = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


def is_name(name: str) -> bool:
    """Return whether ``name`` is ``hf:owner/name`` or ``hf:owner/name@revision``."""
    return _NAME.fullmatch(name) is not None


def fetch(name: str, cache_dir: Path | None, *, offline: bool) -> Path:
    """Return the folder of the repository ``name``, fetched if it is not cached. Blocks without a time limit.

    :param cache_dir: None for the Hub's own cache, which other programs share.
    :param offline: whether to use only the cache.
    :raises Unreachable: if the package ``huggingface_hub`` is missing, or the repository cannot be fetched.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise Unreachable("It needs huggingface_hub: pip install 'whisper-service[hub]'.") from None
    if not sys.stderr.isatty():
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    match = _NAME.fullmatch(name)
    assert match is not None
    try:
        folder = snapshot_download(
            match["repository"],
            revision=match["revision"],
            cache_dir=cache_dir,
            allow_patterns=list(_FILES),
            local_files_only=offline,
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise Unreachable(f"The hub says: {' '.join(str(error).split())}") from error
    return Path(folder)
