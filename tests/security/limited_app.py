"""The app for gunicorn, whose places in Redis are free 3 s after the death of a worker."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402
from whisper_service.web import places

places.LEASE_S, places._RENEWED_EVERY_S = 3.0, 1.0

from app import app

__all__ = ["app"]
