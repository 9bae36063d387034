"""The app with a fake engine, for a subprocess: ``python -m tests.fake_service``. It is ready at once.

The engine reads the words of ``tests.fakes.speak``. DELAY_S is the longest time that an answer takes.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402
import os
import time
from dataclasses import replace

from app import app
from tests.streams import LateEngine, parts_of
from whisper_service import logs
from whisper_service.capacity import Capacity
from whisper_service.engine.pace import Pace
from whisper_service.parts import Parts
from whisper_service.server import serve
from whisper_service.service import Service


def assemble(self: Service) -> Parts:
    limits = self.config.limits
    return replace(
        parts_of(LateEngine(delay_s=float(os.environ.get("DELAY_S", "0.02")))),
        drain_timeout_s=limits.drain_timeout_s,
        max_audio_samples=round(limits.max_audio_s * 16_000),
        capacity=Capacity(
            lambda: Pace([(1, 0.1)]), jobs_per_s=2, limit=limits.max_streams, clock=time.monotonic
        ),
    )


Service._assemble = assemble  # type: ignore[method-assign]

if __name__ == "__main__":
    logs.configure()
    serve(app)
