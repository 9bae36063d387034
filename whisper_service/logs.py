"""The log of the standalone service: lines for people or, with ``LOG_FORMAT=json``, objects for machines.

An app that mounts the service has a log of its own, and may use ``json_formatter`` and ``SessionFilter``.
"""

from __future__ import annotations

import logging
import logging.config
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from whisper_service.errors import ConfigError

_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_session: ContextVar[str] = ContextVar("session", default="")


@contextmanager
def of_session(name: str) -> Iterator[None]:
    """Mark what is logged in the ``with`` block as being about the stream ``name``."""
    before = _session.set(name)
    try:
        yield
    finally:
        _session.reset(before)


class SessionFilter(logging.Filter):
    """Adds ``session``, the name of the stream, to records that are about a stream. Drops none."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True."""
        if session := _session.get():
            record.session = session
        return True


def json_formatter() -> logging.Formatter:
    """Return a formatter whose lines are JSON objects.

    They have ``time`` (ISO 8601, UTC), ``level``, ``logger`` and ``message``, and if there is one also
    ``session`` and ``exception``, which is a traceback.
    """
    names = {"levelname": "level", "name": "logger", "exc_info": "exception"}
    return JsonFormatter(list(names)[:2] + ["message"], rename_fields=names, timestamp="time")


def configuration() -> dict[str, Any]:
    """Return the configuration of the log, for ``logging.config.dictConfig``.

    ``LOG_FORMAT`` is ``text`` (the default) or ``json``.

    :raises ConfigError: if it is something else.
    """
    form = os.environ.get("LOG_FORMAT", "text")
    if form not in ("text", "json"):
        raise ConfigError(f"LOG_FORMAT is {form!r:.40}; accepted: text, json.")
    # gunicorn's own loggers keep their lines to themselves unless they are told not to.
    plain = {"level": "INFO", "handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"text": {"format": _LINE}, "json": {"()": json_formatter}},
        "filters": {"session": {"()": SessionFilter}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": form, "filters": ["session"]}
        },
        "root": {"level": "INFO", "handlers": ["console"]},
        "loggers": {"gunicorn.error": plain, "gunicorn.access": plain},
    }


def configure() -> None:
    """Begin to write the log to stderr.

    :raises ConfigError: see ``configuration``.
    """
    logging.config.dictConfig(configuration())
