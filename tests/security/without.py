"""Takes each measure of docs/security.md out of a copy of the project, and shows that its tests then fail.

``python -m tests.security.without``. The report says which measure was taken out, and how many tests failed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.servers import ROOT


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure, and how it is taken out: ``old`` becomes ``new`` in ``file``.

    :param tests: what must fail then, as arguments of pytest.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


ORIGINS, ENTRY, KEYS = (f"tests/security/test_{name}.py" for name in ("origins", "entry", "keys"))
QUOTAS, HOSTING, USERS = (f"tests/security/test_{name}.py" for name in ("quotas", "hosting", "users"))

MEASURES = (
    Measure(
        "the origin is checked before the handshake",
        "whisper_service/web/admission.py",
        "        self.check_origin(request)\n        if",
        "        if",
        (ENTRY, "-k", "other_origins"),
    ),
    Measure(
        "a host is compared as a whole",
        "whisper_service/web/origins.py",
        "return _with_port(theirs) == _with_port(ours._replace(scheme=theirs.scheme))",
        "return _with_port(theirs).startswith(_with_port(ours))",
        (ORIGINS,),
    ),
    Measure(
        "names that have come to mean this machine are refused",
        "whisper_service/web/origins.py",
        "if _is_loopback(peer) and ours.port == server_port:",
        "if False:",
        (ORIGINS, ENTRY, "-k", "this_machine"),
    ),
    Measure(
        "a key must be right",
        "whisper_service/web/keys.py",
        "if hmac.compare_digest(hashed, known):",
        "if hashed:",
        (KEYS,),
    ),
    Measure(
        "only hashes of keys are kept",
        "whisper_service/cli.py",
        "write(path, {**known, name: hash_of(key)})",
        "write(path, {**known, name: key})",
        (KEYS,),
    ),
    Measure(
        "errors do not quote secrets",
        "whisper_service/config.py",
        'shown = "not accepted" if item.metadata["secret"] else',
        'shown = "" if not item.metadata else',
        (KEYS, "-k", "quote"),
    ),
    Measure(
        "keys are hidden from access logs",
        "whisper_service/web/admission.py",
        '            environ[name] = _TOKEN.sub(r"\\1hidden", environ[name])',
        "            pass",
        (ENTRY, "-k", "access_log"),
    ),
    Measure(
        "a client secret ends",
        "whisper_service/web/secrets.py",
        "return str(name) if self._clock() < expires_at else None",
        "return str(name)",
        (KEYS, "-k", "secret"),
    ),
    Measure(
        "who has no key must say so in time",
        "whisper_service/web/visit.py",
        "_INTRODUCTION_S = 10.0",
        "_INTRODUCTION_S = 100.0",
        (ENTRY, "-k", "says_nothing"),
    ),
    Measure(
        "the app's own users are asked for",
        "whisper_service/web/admission.py",
        "        if self._authenticate is not None:\n            name = self._authenticate(request)",
        '        if self._authenticate is not None:\n            name = "anybody"',
        (USERS,),
    ),
    Measure(
        "a user has a number of streams",
        "whisper_service/web/places.py",
        "if self._taken[user] >= most:",
        "if False:",
        (QUOTAS, "-k", "in_the_process"),
    ),
    Measure(
        "all workers count together",
        "whisper_service/web/quotas.py",
        "self._places: Places = SharedPlaces(url) if url else OwnPlaces()",
        "self._places: Places = OwnPlaces()",
        (QUOTAS, "-k", "four_workers"),
    ),
    Measure(
        "places of a dead worker are free again",
        "whisper_service/web/places.py",
        "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)",
        "",
        (QUOTAS, "-k", "dead_process"),
    ),
    Measure(
        "a user has a number of seconds a minute",
        "whisper_service/web/quotas.py",
        "        if not is_allowed:",
        "        if False:",
        (QUOTAS, "-k", "audio"),
    ),
    Measure(
        "an IPv6 household is one user",
        "whisper_service/web/quotas.py",
        "_HOUSEHOLD_BITS = 64",
        "_HOUSEHOLD_BITS = 128",
        (QUOTAS, "-k", "household"),
    ),
    Measure(
        "fast clients wait",
        "whisper_service/web/socket.py",
        "            held |= self._slow_down(now)\n",
        "",
        ("tests/web/test_socket.py", "-k", "too_fast"),
    ),
    Measure(
        "silent clients are closed",
        "whisper_service/web/socket.py",
        "- self._last_message >= self._pulse.idle_s:",
        "- self._last_message >= 1e9:",
        ("tests/web/test_socket.py", "-k", "idle"),
    ),
    Measure(
        "a client cannot fill the log",
        "whisper_service/native.py",
        "        answer: Callable[[], R] = self._pool.apply(run)\n        return answer()",
        "        result: R = self._pool.apply(function, args)\n        return result",
        ("tests/test_native.py",),
    ),
    Measure(
        "the wrong worker of gunicorn is refused",
        "whisper_service/web/hosting.py",
        'if _is_gunicorn() and "gunicorn.workers.ggevent" not in sys.modules:',
        "if False:",
        (HOSTING, "-k", "gunicorn and sync and plain"),
    ),
    Measure(
        "tokens of streams are signed",
        "whisper_service/protocol/resume.py",
        "contents = self._serializer().loads(token, max_age=self._max_age_s)",
        "contents = self._serializer().loads_unsafe(token)[1]",
        ("tests/test_going_on.py",),
    ),
    Measure(
        "keys are not logged",
        "whisper_service/web/admission.py",
        'log.info("a wrong key is refused")',
        'log.info("the key %s is refused", credential)',
        (ENTRY, "-k", "key"),
    ),
    Measure(
        "what was said is not logged",
        "whisper_service/live.py",
        "        if isinstance(event, Done):\n            if self._cut_short",
        '        log.info("%s", getattr(event, "text", ""))\n'
        "        if isinstance(event, Done):\n            if self._cut_short",
        ("tests/test_metrics.py", "-k", "stream_shows"),
    ),
    Measure(
        "what is no text is refused",
        "whisper_service/protocol/native.py",
        "len(name) <= _LONGEST_MARK and is_text(name))",
        "len(name) <= _LONGEST_MARK)",
        ("tests/protocol", "tests/fuzz"),
    ),
    Measure(
        "the figures are for local clients and holders of keys",
        "whisper_service/web/blueprint.py",
        'if mount.config.access.metrics != "open" and not is_local(request):',
        "if False:",
        ("tests/test_metrics.py",),
    ),
    Measure(
        "the page's policy forbids scripts of others",
        "whisper_service/web/blueprint.py",
        "default-src 'none'; script-src 'self';",
        "default-src 'none'; script-src 'self' 'unsafe-inline' data:;",
        ("tests/browser/test_page.py", "-k", "but_its_own"),
    ),
)


def main() -> int:
    """Check the measures whose name contains the first argument; by default all of them."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    unnoticed = 0
    for measure in MEASURES:
        if wanted in measure.name:
            failed = _failures(measure)
            unnoticed += not failed
            print(f"without '{measure.name}': {failed or 'NO'} tests fail", flush=True)
    print(f"{unnoticed} measures are not noticed when they are missing")
    return bool(unnoticed)


def _failures(measure: Measure) -> int:
    """Return how many tests fail without a measure."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        files = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
        for name in filter(None, files):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
        path = copy / measure.file
        text = path.read_text()
        assert text.count(measure.old) == 1, f"{measure.name}: {measure.file} has changed"
        path.write_text(text.replace(measure.old, measure.new))
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *measure.tests]
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        counts = re.findall(r"(\d+) (?:failed|error)", done.stdout)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return sum(map(int, counts))


if __name__ == "__main__":
    sys.exit(main())
