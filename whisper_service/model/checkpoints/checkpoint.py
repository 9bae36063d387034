"""What a name stands for: files on the disk, and what their users should know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on disk.

    :param path: a file in OpenAI's format, or a folder in that of Hugging Face or CTranslate2.
    :param name: official name, or that of the file or folder.
    :param official: whether ``name`` is an official name (whose alignment heads Whisper knows).
    :param warnings: sentences that every user of the model should see.
    """

    path: Path
    name: str
    official: bool
    warnings: tuple[str, ...] = ()
