"""``make soak``: 16 clients visit a server for 30 minutes. What they leave behind is written into a log."""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import describe
from tests.servers import (
    MODEL,
    ROOT,
    Server,
    free_port,
    resident_bytes,
    running,
    wait_until,
    wait_until_ready,
)
from tests.soak.visits import VISITS, Place, visit

MEGABYTE = 1 << 20
#: After this share of the time the memory must not grow any more, by more than this.
_WARM = 1 / 3
_MOST_GROWTH_BYTES = 20 * MEGABYTE
_LINE_EVERY_S = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, default=ROOT / "docs" / "soak.log")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--streams", type=int, default=16)
    chosen = parser.parse_args()
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, chosen.log.open("w") as log:

        def say(line: str) -> None:
            print(line, flush=True)
            log.write(line + "\n")
            log.flush()

        settings = {"PORT": str(port), "WHISPER_MODEL": MODEL}
        server_log = Path(folder) / "log"
        with running(["-m", "tests.soak.app"], port=port, log_path=server_log, **settings) as server:
            wait_until_ready(server)
            machine = ", ".join(f"{name} {value}" for name, value in describe().items())
            say(f"# {time.strftime('%Y-%m-%d')}, commit {commit}, {machine}")
            problems = _soak(server, chosen.streams, chosen.minutes * 60, say)
        if "Traceback" in server.log():
            say(f"# the server's log has a traceback:\n{server.log()}")
            problems.append("a traceback")
        say(f"# {len(problems)} problems")
    return bool(problems)


def _soak(server: Server, streams: int, seconds: float, say: Callable[[str], None]) -> list[str]:
    """Let clients visit the server for a while; return the problems.

    :param say: writes a line of the log.
    """
    place, dice = Place(server), random.Random(0)
    for kind in VISITS:  # everything has been used once before the first count
        visit(place, kind, dice)
    before = _open(server)
    say(f"# open before: {json.dumps(before)}")
    say("# minute, resident MB, descriptors, threads, visits so far, of them with a problem")
    began, memory, problems, visits = time.monotonic(), list[tuple[float, int]](), list[str](), Counter[str]()

    def client(number: int) -> None:
        own = random.Random(number)
        while time.monotonic() - began < seconds:
            kind = own.choices(list(VISITS), list(VISITS.values()))[0]
            problem = visit(place, kind, own)
            visits[kind.__name__] += 1
            if problem:
                problems.append(f"client {number}, {kind.__name__}: {problem}")
                say(f"# {problems[-1]}")

    threads = [threading.Thread(target=client, args=(number,)) for number in range(streams)]
    for thread in threads:
        thread.start()
    next_line = 0.0
    while any(thread.is_alive() for thread in threads):
        passed = time.monotonic() - began
        memory.append((passed, resident_bytes(server.process.pid)))
        if passed >= next_line:
            next_line += _LINE_EVERY_S
            folder = Path(f"/proc/{server.process.pid}")
            files, tasks = (len(list((folder / name).iterdir())) for name in ("fd", "task"))
            resident = memory[-1][1] / MEGABYTE
            say(f"{passed / 60:.0f}  {resident:.0f}  {files}  {tasks}  {visits.total()}  {len(problems)}")
        time.sleep(1.0)
    say(f"# visits: {json.dumps(visits)}")
    if not wait_until(lambda: _is_within(_open(server), before), timeout_s=60):
        say("# something is left open")
        problems.append("left open")
    say(f"# open after: {json.dumps(_open(server))}")
    warm, last = _resident(memory, _WARM, _WARM + 0.2), _resident(memory, 0.8, 1.0)
    say(f"# resident memory after the warm-up {warm / MEGABYTE:.0f} MB, at the end {last / MEGABYTE:.0f} MB")
    if last > warm + _MOST_GROWTH_BYTES:
        say("# the memory grows")
        problems.append("memory")
    return problems


def _resident(memory: list[tuple[float, int]], begin: float, end: float) -> float:
    """Return the median of the resident bytes in a part of the time, from 0 to 1."""
    whole = memory[-1][0]
    return median(size for passed, size in memory if begin <= passed / whole <= end)


def _open(server: Server) -> dict[str, dict[str, int]]:
    """Return what is open in the server."""
    found: dict[str, Any] = json.loads(server.get("/open", timeout_s=30))
    return found


def _is_within(now: dict[str, dict[str, int]], before: dict[str, dict[str, int]]) -> bool:
    return all(
        count <= before[kind].get(name, 0) for kind, counts in now.items() for name, count in counts.items()
    )


if __name__ == "__main__":
    sys.exit(main())
