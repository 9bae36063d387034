"""Describes the machine on which a figure was measured. Every figure names it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch


def describe() -> dict[str, str]:
    """Return the processor, its vector and matrix instructions, the usable cores, the GPU, the versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = dict(line.split("\t: ", 1) for line in lines if "\t: " in line)
    facts = {key.strip(): value for key, value in facts.items()}
    flags = set(facts.get("flags", "").split())
    known = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    return {
        "processor": facts.get("model name", platform.processor()),
        "family and model": f"{facts.get('cpu family', '?')}, {facts.get('model', '?')}",
        "instructions": " ".join(flag for flag in known if flag in flags),
        "cores": str(len(os.sched_getaffinity(0))),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "gevent", "openai-whisper")},
    }
