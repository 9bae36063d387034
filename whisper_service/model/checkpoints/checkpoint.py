"""The description of a checkpoint: its files on disk, and warnings for its users."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on disk.

    :param path: a file in OpenAI's format, or a folder in the format of Hugging Face or CTranslate2.
    :param name: an official name, a Hub name (``hf:owner/name``), or the name of the file or folder.
    :param official: whether ``name`` is an official name (whose alignment heads Whisper knows).
    :param warnings: sentences that every user of the model should see.
    """

    path: Path
    name: str
    official: bool
    warnings: tuple[str, ...] = ()
