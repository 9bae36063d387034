"""API keys: who has one may enter. Only their hashes are kept.

A key has 256 random bits, so nobody can guess it from its hash, and a fast hash is enough: slow ones protect
passwords, which people choose.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from whisper_service.errors import ConfigError

#: How a key begins. It lets a person, and a scanner of source code, tell what it is.
PREFIX = "wsk_"
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_HASH = re.compile(r"[0-9a-f]{64}")


class KeyRing:
    """The keys that open the service.

    :param listed: names and hashes, one ``name:hash`` after the other, separated by commas or white space.
    :param path: a file with one ``name:hash`` in each line; None for none. It is read again when it has
        changed, so a key that is revoked counts no more from then on.
    :raises ConfigError: if ``listed`` has something else.
    """

    def __init__(self, listed: str = "", path: Path | None = None) -> None:
        self._listed = parse(listed.replace(",", "\n"), "WHISPER_KEYS")
        self._path = path
        self._of_file: dict[str, str] = {}
        self._seen: tuple[int, int, int] | None = None

    @property
    def exists(self) -> bool:
        """Whether there is any key, or could be one: then nobody enters without."""
        return bool(self._listed) or self._path is not None

    def name_of(self, key: str) -> str | None:
        """Return the name of ``key``, or None if it opens nothing. Takes the same time for all keys.

        :raises ConfigError: if the file has lines that are no keys, or cannot be read.
        """
        hashed, found = hash_of(key), None
        for name, known in {**self._current(), **self._listed}.items():
            if hmac.compare_digest(hashed, known):
                found = name
        return found

    def _current(self) -> Mapping[str, str]:
        if self._path is None:
            return {}
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return {}
        seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if seen != self._seen:
            self._of_file = read(self._path)
            self._seen = seen
        return self._of_file


def make() -> str:
    """Return a new key."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    """Return the hash of a key, as it is kept."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def read(path: Path) -> dict[str, str]:
    """Return the hashes in a file by their names; none if there is no file.

    :raises ConfigError: if it has a line that is no key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"The file of keys {path} cannot be read: {problem}") from problem
    return parse(text, str(path))


def write(path: Path, keys: Mapping[str, str]) -> None:
    """Write the hashes into a file, which only its owner may read. Nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.writelines(f"{name}:{hashed}\n" for name, hashed in keys.items())
    own.replace(path)


def check_name(name: str) -> str:
    """Return ``name`` if a key may have it.

    :raises ConfigError: if not.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "The name of a key has letters, digits and . _ @ - and at most 64 of them; it appears in logs."
        )
    return name


def parse(text: str, place: str) -> dict[str, str]:
    """Return the hashes in ``text`` by their names.

    :param place: where the text comes from, for the error. The text itself is never quoted: somebody may have
        put a key there instead of its hash.
    :raises ConfigError: if a line is not ``name:hash``.
    """
    keys: dict[str, str] = {}
    for number, line in enumerate(text.split(), start=1):
        name, _, hashed = line.rpartition(":")
        if not (_NAME.fullmatch(name) and _HASH.fullmatch(hashed)):
            raise ConfigError(
                f"Entry {number} of {place} is not name:hash; make it by 'flask whisper keys add'."
            )
        keys[name] = hashed
    return keys
