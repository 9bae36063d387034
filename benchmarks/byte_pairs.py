"""Converts Whisper's tiktoken files to byte pairs, the form that CTranslate2 and ``tokenizers`` need."""

from __future__ import annotations

import base64
from itertools import pairwise
from pathlib import Path

import whisper


def byte_pairs(*, multilingual: bool) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the tokens with their ids, and the merges that make them. Bytes are written as in GPT-2.

    The last token of the multilingual vocabulary is empty. No merge makes it.
    """
    name = "multilingual" if multilingual else "gpt2"
    lines = (Path(whisper.__file__).parent / "assets" / f"{name}.tiktoken").read_text().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}
    table = _printable()

    def shown(token: bytes) -> str:
        return "".join(table[byte] for byte in token)

    merges = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) < 2:
            continue
        parts = [bytes([byte]) for byte in token]
        while len(parts) > 2:
            # Apply the merges of lower rank. The two parts that are left are this token's own merge.
            pairs = ((ranks.get(a + b, 1 << 30), place) for place, (a, b) in enumerate(pairwise(parts)))
            _, place = min(pair for pair in pairs if pair[0] < rank)
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        merges.append((shown(parts[0]), shown(parts[1])))
    return {shown(token): rank for token, rank in ranks.items()}, merges


def _printable() -> dict[int, str]:
    """Return the printable character that GPT-2 writes for each byte."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {byte: chr(byte) for byte in kept}
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(256 + len(table) - len(kept))
    return table
