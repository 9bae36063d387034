"""``make fuzz``: a million messages, chosen by libFuzzer. The log and the corpus are committed.

libFuzzer starts from the corpus of the tests. What it has found is added, and then every input is left out
that reaches nothing of its own. At last the corpus is sent once more to measure which branches it reaches.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.machine import describe
from tests.fuzz.conversations import CORPUS
from tests.servers import ROOT

#: The longest input in bytes, the longest time for one in seconds, and the most memory of the process in MB.
_LIMITS = ["-max_len=800", "-timeout=600", "-rss_limit_mb=1500"]
#: After the first tenth of the messages, memory may grow by this much.
_MOST_GROWTH_MB = 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, default=ROOT / "docs" / "fuzz.log")
    chosen = parser.parse_args()
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip()
    with chosen.log.open("w") as log, tempfile.TemporaryDirectory() as place:

        def say(line: str) -> None:
            print(line, flush=True)
            log.write(line.rstrip() + "\n")
            log.flush()

        machine = ", ".join(f"{name} {value}" for name, value in describe().items())
        say(f"# {time.strftime('%Y-%m-%d')}, commit {commit}, seed {chosen.seed}, {machine}")
        known, least = Path(place, "known"), Path(place, "least")
        for folder in (known, least):
            folder.mkdir()
        _unpack(known)
        problem = _fuzz(chosen.messages, chosen.seed, known, say)
        if not problem:
            _run_target("-use_counters=0", "-merge=1", str(least), str(known))
            _pack(least)
            say(f"# inputs that each reach something of their own: {len(list(least.iterdir()))}")
            say(_coverage(Path(place)))
        say(f"# {problem or 'no crash, no hang, no growth of memory, no error outside the protocol'}")
    return bool(problem)


def _fuzz(messages: int, seed: int, known: Path, say: Callable[[str], None]) -> str:
    """Send the messages; return what went wrong, "" for nothing."""
    command = _command(messages, str(known), f"-seed={seed}", "-len_control=0", f"-artifact_prefix={ROOT}/")
    sizes: list[int] = []
    last: list[str] = []
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            last = [*last[-30:], line]
            if line.startswith("messages "):
                say(line.rstrip())
                sizes.append(int(line.split()[-2]))
    if run.returncode:
        return "a fault: " + "".join(last)
    growth = sizes[-1] - sizes[len(sizes) // 10]
    return f"memory has grown by {growth} MB" if growth > _MOST_GROWTH_MB else ""


def _command(messages: int, *options: str) -> list[str]:
    return [sys.executable, "-m", "tests.fuzz.target", "--messages", str(messages), *_LIMITS, *options]


def _run_target(*options: str) -> None:
    subprocess.run(_command(0, *options), cwd=ROOT, check=True, capture_output=True)


def _unpack(folder: Path) -> None:
    if CORPUS.exists():
        with zipfile.ZipFile(CORPUS) as corpus:
            corpus.extractall(folder)


def _pack(folder: Path) -> None:
    with zipfile.ZipFile(CORPUS, "w", zipfile.ZIP_DEFLATED) as corpus:
        for path in sorted(folder.iterdir()):
            corpus.writestr(zipfile.ZipInfo(path.name), path.read_bytes())


def _coverage(place: Path) -> str:
    """Return a table of the branches that the corpus reaches."""
    data = f"--data-file={place}/coverage"
    coverage = [sys.executable, "-m", "coverage"]
    sources = "--source=whisper_service.protocol,whisper_service.audio"
    subprocess.run(
        [*coverage, "run", data, "--branch", sources, "-m", "tests.fuzz.again"], cwd=ROOT, check=True
    )
    return subprocess.check_output([*coverage, "report", data, "--skip-empty"], cwd=ROOT, text=True)


if __name__ == "__main__":
    sys.exit(main())
