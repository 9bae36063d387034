"""The architecture: which part may import which, and which may import torch, whisper, gevent and Flask."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "whisper_service"

#: The other parts that each part may import. Every part may import `errors`, `config` and `events`.
ARROWS: dict[str, set[str]] = {
    "extension": {"web", "cli", "service", "metrics", "protocol.resume", "signals", "signing", "tracing"},
    "server": {"extension", "service"},
    "gunicorn": {"extension", "service"},
    "service": {"engine.bridge", "engine.listening", "loading", "native", "parts"},
    "loading": {"assembly", "audio", "capacity", "engine", "model", "native", "parts"},
    "assembly": {"engine", "model"},
    "cli": {"client", "doctor", "files", "web.keys"},
    "doctor": {"assembly", "model", "web.keys"},
    "client": {"audio"},
    "files": {"assembly", "audio", "engine", "model", "offline", "replay", "subtitles"},
    "offline": {"audio", "engine", "model", "session"},
    "replay": {"audio", "engine", "model", "session"},
    "subtitles": {"audio", "engine.request", "sentences"},
    "sentences": {"audio"},
    "web": {"live", "logs", "metrics", "parts", "protocol", "signals", "tracing"},
    "live": {
        "audio",
        "checkpoints",
        "engine.request",
        "hearing",
        "lag",
        "logs",
        "parts",
        "protocol",
        "session",
    },
    "parts": {"capacity", "audio", "engine", "hearing"},
    "signals": {"parts"},
    "metrics": {"parts"},
    "tracing": {"audio.pcm", "parts"},
    "hearing": {"audio"},
    "lag": {"audio"},
    "checkpoints": {"audio", "protocol.dialect", "session.carry"},
    "protocol": {"audio", "checks", "engine.request", "session.carry", "session.packing"},
    "session": {"audio", "engine.request"},
    "engine": {"audio.pcm", "model", "native"},
    "model": {"audio.pcm"},
    "audio": {"native"},
    "native": set(),
    "logs": set(),
    "signing": set(),
    "capacity": set(),
    "events": {"engine.request"},
    "config": {"checks"},
    "checks": set(),
    "errors": set(),
    "__init__": {"extension"},
    "__main__": {"cli"},
}
FOR_EVERYONE = {"errors", "config", "events"}
FENCES = {
    "torch": {"model", "engine/runner.py"},
    "whisper": {"model", "engine/runner.py"},
    "gevent": {
        "gunicorn.py",
        "server.py",
        "service.py",
        "live.py",
        "native.py",
        "signals.py",
        "web",
        "engine/bridge.py",
        "engine/listening.py",
    },
    "flask": {"extension.py", "server.py", "signals.py", "signing.py", "web"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_imports_upward(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in _imports(path):
        if not name.startswith("whisper_service."):
            continue
        target = name.removeprefix("whisper_service.")
        other = target.split(".")[0]
        allowed = ARROWS[part] | FOR_EVERYONE | {part}
        assert other in allowed or target in allowed, f"{part} must not import {target}"


@pytest.mark.parametrize("library", FENCES)
def test_libraries_stay_behind_their_fences(library: str) -> None:
    for path in MODULES:
        relative = path.relative_to(PACKAGE)
        inside = str(relative) in FENCES[library] or relative.parts[0] in FENCES[library]
        used = {name.split(".")[0] for name in _imports(path)}
        assert inside or library not in used, f"{relative} must not import {library}"
