"""Refuses servers on which the service cannot work, when the app is made and not at the first stream.

A live stream needs a WSGI server on gevent. Under gunicorn's usual worker one stream blocks the whole app
until gunicorn kills it; threads that were patched by gevent hang without a word.
"""

from __future__ import annotations

import os
import sys

import click
from flask.cli import FlaskGroup
from gevent import monkey

from whisper_service.errors import ConfigError

_HOW = (
    "Serve the app with 'gunicorn -k gevent -c gunicorn.conf.py app:app', with 'python app.py', or with "
    "gevent.pywsgi.WSGIServer after gevent.monkey.patch_all(). docs/deploy.md says more."
)


def check_server() -> None:
    """Check the server that is about to serve the app in this process.

    :raises ConfigError: if the service cannot work there. The text has the line to type instead.
    """
    if _is_gunicorn() and "gunicorn.workers.ggevent" not in sys.modules:
        raise ConfigError(f"A live stream blocks this worker of gunicorn: it is not a gevent worker. {_HOW}")
    if _is_flask_run() and not monkey.is_module_patched("socket"):
        raise ConfigError(f"'flask run' cannot serve live streams: it does not use gevent. {_HOW}")


def _is_gunicorn() -> bool:
    return "gunicorn.arbiter" in sys.modules and os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn")


def _is_flask_run() -> bool:
    context = click.get_current_context(silent=True)
    return (
        context is not None
        and context.info_name == "run"
        and isinstance(context.find_root().command, FlaskGroup)
    )
