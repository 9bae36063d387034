"""The number of cores that the torch operations of a thread use.

Every thread that runs torch has its own OpenMP thread pool. If the pools together have more threads than
there are cores, GNU's OpenMP puts all of them to sleep between operations. With a detector beside the engine
on two cores, each small operation took 0.15 instead of 0.02 ms. So one thread, the engine's, uses all cores,
and the other threads that run torch use one.
"""

from __future__ import annotations

import torch

#: The number of threads that torch uses by default, or that OMP_NUM_THREADS sets.
_ALL = torch.get_num_threads()


def use_all() -> None:
    """Let this thread run its operations on all cores, and new threads that call neither function.

    The last call of either function decides for new threads.
    """
    torch.set_num_threads(_ALL)


def use_one() -> None:
    """Let the operations of this thread run in this thread alone.

    This also sets the default of new threads, so some thread has to call ``use_all`` afterwards.
    """
    torch.set_num_threads(1)
