"""How many cores the operations of a thread take.

Every thread that runs torch has a pool of its own behind it (OpenMP). Where the pools have more threads than
there are cores, GNU's OpenMP lets all of them sleep between operations: with a detector beside the engine on
two cores each small operation took 0.15 instead of 0.02 ms. So one thread, the engine's, takes all cores, and
others that run torch take one.
"""

from __future__ import annotations

import torch

#: What torch takes on its own accord, or is told to by OMP_NUM_THREADS.
_ALL = torch.get_num_threads()


def take_all() -> None:
    """Let this thread's operations run on all cores, and those of threads that ask for nothing."""
    torch.set_num_threads(_ALL)


def take_one() -> None:
    """Let this thread's operations run in this thread alone. Some thread has to ``take_all`` afterwards."""
    torch.set_num_threads(1)
