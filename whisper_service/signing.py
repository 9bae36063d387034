"""The key that signs tokens. All workers of a service must have the same one, also after a restart."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable
from functools import cache
from pathlib import Path

from flask import Flask

log = logging.getLogger(__name__)

#: The file of the key, in the app's instance folder.
_FILE = "whisper-signing-key"


def signing_key(app: Flask, configured: str) -> Callable[[], str]:
    """Return a function that returns the key: the configured one, else the app's secret, else that of a file.

    The file is made when the key is first needed, and only its owner may read it.

    :param configured: the setting ``WHISPER_SIGNING_KEY``; "" for none.
    """

    @cache
    def key() -> str:
        secret = app.secret_key
        if configured or secret:
            return configured or (secret.decode("latin-1") if isinstance(secret, bytes) else str(secret))
        try:
            return _of_file(Path(app.instance_path) / _FILE)
        except OSError as problem:
            log.warning(
                "no key for tokens can be kept (%s): after a restart no stream can go on. Set "
                "WHISPER_SIGNING_KEY.",
                problem,
            )
            return secrets.token_hex(32)

    return key


def _of_file(path: Path) -> str:
    """Return the key in a file, which is made if it does not exist.

    :raises OSError: if it can be neither read nor made.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        own = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        try:
            path.hardlink_to(own)  # unlike a rename, this leaves the file of another worker that was faster
        except FileExistsError:
            pass
        finally:
            own.unlink()
    return path.read_text()
