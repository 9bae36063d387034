"""``make faults``: all runs with faults. It writes a line for each into a log."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe
from tests.faults.runs import one_run, pair, undisturbed
from tests.servers import ROOT

#: How many runs there are of each fault.
RUNS = {"kill": 50, "cut": 50, "term": 20, "deploy": 20, "stop": 20}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, default=ROOT / "docs" / "faults.log")
    parser.add_argument("--runs", type=float, default=1.0, help="share of the runs")
    parser.add_argument("--fault", choices=RUNS, action="append")
    chosen = parser.parse_args()
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip()
    failed = 0
    with tempfile.TemporaryDirectory() as folder, pair(Path(folder)) as servers, chosen.log.open("w") as log:

        def say(line: str) -> None:
            print(line, flush=True)
            log.write(line + "\n")
            log.flush()

        machine = ", ".join(f"{name} {value}" for name, value in describe().items())
        say(f"# {time.strftime('%Y-%m-%d')}, commit {commit}, {machine}")
        whole = undisturbed(servers)
        say("# fault seed, second of the talk, seconds of the run, connections lost, verdict")
        for fault in chosen.fault or RUNS:
            for seed in range(max(1, round(RUNS[fault] * chosen.runs))):
                run = one_run(servers, fault, seed, whole)
                failed += bool(run.problem)
                say(
                    f"{fault} {seed}  {run.at_s:.1f}  {run.seconds:.1f}  {run.reconnected}  "
                    f"{run.problem or 'same finals'}"
                )
        say(f"# {failed} runs failed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
