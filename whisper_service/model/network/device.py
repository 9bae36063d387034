"""The device that a model runs on."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from whisper_service.errors import ConfigError, ModelUnavailable

#: Where Linux tells the limits of the container (cgroup v2).
CONTAINER = Path("/sys/fs/cgroup")


def resolve_device(text: str) -> torch.device:
    """Return the device for 'auto' (the first GPU if there is one), 'cpu', 'cuda' or 'cuda:n'.

    Call this after a fork, never before: CUDA does not survive a fork.

    :raises ConfigError: if ``text`` is none of these, or the GPU's number is too high.
    :raises ModelUnavailable: if CUDA is requested but not available.
    """
    kind, _, index = text.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (":" in text and not (kind == "cuda" and index.isdecimal())):
        raise ConfigError(f"WHISPER_DEVICE is {text!r}; it must be 'auto', 'cpu', 'cuda' or 'cuda:N'.")
    if kind == "cpu" or (kind == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ModelUnavailable(
            f"WHISPER_DEVICE is {text!r}, but torch {torch.__version__} finds no CUDA device: install the "
            "driver and a CUDA build of torch, let the container see the GPU, or set "
            "WHISPER_DEVICE to 'cpu' or 'auto'."
        )
    number = int(index or 0)
    last = torch.cuda.device_count() - 1
    if number > last:
        raise ConfigError(f"WHISPER_DEVICE is {text!r}; the GPUs are cuda:0 to cuda:{last}.")
    return torch.device("cuda", number)


def prepare(device: torch.device) -> None:
    """Choose how torch computes on ``device``, for the whole process.

    cuDNN's attention plans each new shape anew. That takes 90 ms on an H200, longer than a whole batch, and
    windows and texts have ever new lengths. torch's other kernels need no plan.
    """
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)


def does_not_fit(name: str, device: torch.device) -> ModelUnavailable:
    """Return the error for a model ``name`` that is too big for ``device``."""
    return ModelUnavailable(
        f"The model {name} does not fit into the memory of {device}: set WHISPER_MODEL to a "
        "smaller one, or WHISPER_DEVICE to another device."
    )


def free_memory(device: torch.device) -> int:
    """Return how many bytes can still be taken on ``device``; on a CPU within the limit of the container."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        available = int(fields["MemAvailable"].split()[0]) * 1024
    else:
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = CONTAINER / "memory.max"
    text = limit.read_text().strip() if limit.exists() else "max"
    if text == "max":
        return available
    # Files that the system has cached count as used, but it can drop them.
    used = int((CONTAINER / "memory.current").read_text())
    cached = dict(line.split() for line in (CONTAINER / "memory.stat").read_text().splitlines())
    return max(0, min(available, int(text) - used + int(cached["inactive_file"])))
