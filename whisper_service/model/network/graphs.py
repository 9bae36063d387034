"""StepGraphs of the decoder that are recorded once and replayed: CUDA graphs.

A step of one token is some hundred small kernels; a GPU is done with them before Python has asked for them
all, and Python holds the interpreter's lock meanwhile. A graph asks for them at once. It works on the tensors
that it was recorded with, so these have to stay, and there is a graph for each of a few sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from whisper_service.model.network.cache import DecoderCache

#: StepGraphs are recorded for batches of 1, 2, 4, … rows that reach 64, 128, … tokens back.
_REACH = 64

#: Hidden states and attention; see ``Decoder.forward``.
Outputs = tuple[Tensor, Tensor]
#: Runs a step: tokens ``(B, 1)``, the place of each ``(B,)``, the cache, how many places of it are looked at.
Run = Callable[[Tensor, Tensor, DecoderCache, int], Outputs]
#: Runs a call for good and returns what runs it again on the same tensors, and the outputs, which stay too.
Record = Callable[[Callable[[], Outputs]], tuple[Callable[[], None], Outputs]]


def recorder(device: torch.device) -> Callable[[], Record] | None:
    """Return what makes recorders for this device; None where there is nothing to win by them."""
    return partial(CudaGraphs, device) if device.type == "cuda" else None


class CudaGraphs:
    """Records CUDA graphs, which share their memory: one is replayed at a time.

    They have a stream of their own as well: what cuBLAS needs belongs to a stream, and goes with any graph
    that was recorded on it.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        with torch.cuda.device(device):
            self._pool = torch.cuda.graph_pool_handle()
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, run: Callable[[], Outputs]) -> tuple[Callable[[], None], Outputs]:
        """Record; see ``Record``."""
        with torch.cuda.device(self._device):
            # Once before: libraries allocate at their first call.
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                run()
            torch.cuda.current_stream().wait_stream(self._stream)
            graph = torch.cuda.CUDAGraph()
            # Other threads of the process may use CUDA meanwhile.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ):
                outputs = run()
        return graph.replay, outputs


class StepGraphs:
    """The steps of one decoder, and the memory that they work on.

    :param recorder: makes what records; anew whenever the memory grows.
    :param room: the largest number of tokens of a row.
    """

    def __init__(self, run: Run, recorder: Callable[[], Record], *, room: int) -> None:
        self._run = run
        self._recorder = recorder
        self._room = room
        self._record: Record | None = None
        self._memory: DecoderCache | None = None
        self._staged = self._inputs = torch.zeros(2, 0, dtype=torch.int64)
        self._recorded: dict[tuple[int, int], tuple[Callable[[], None], Outputs]] = {}

    def open(self, cross: Tensor) -> DecoderCache:
        """Return an empty cache in the memory of the steps; the one before is used up.

        :param cross: keys and values of the audio, ``(2, L, B, H, n_audio_ctx, D_head)``.
        """
        batch = cross.shape[2]
        if self._memory is None or len(self._memory.lengths) < batch:
            self._grow(cross, _rows(batch))
        assert self._memory is not None
        # A step looks at places that nothing was written to; whatever the last batch has left there counts
        # for nothing, if only it is a number.
        used = self._memory.first(_rows(batch))
        used.keys.zero_()
        used.values.zero_()
        cache = self._memory.first(batch)
        cache.cross_keys.copy_(cross[0])
        cache.cross_values.copy_(cross[1])
        return cache

    def run(self, tokens: Sequence[int], cache: DecoderCache) -> Outputs:
        """Append a token to each row of ``cache``, which ``open`` has returned; its lengths stay.

        Returns what ``Decoder.forward`` does.
        """
        count, rows = len(tokens), _rows(len(tokens))
        # What was copied from here last is on the device: every step waits for its tokens.
        # Rows behind those of the batch run along with token 0 at place 0.
        self._staged.zero_()
        self._staged[:, :count] = torch.tensor([tokens, cache.lengths])
        self._inputs.copy_(self._staged, non_blocking=True)
        reach = min(self._room, -(-(max(cache.lengths) + 1) // _REACH) * _REACH)
        if (rows, reach) not in self._recorded:
            self._recorded[rows, reach] = self._recording(rows, reach)
        replay, (hidden, attention) = self._recorded[rows, reach]
        replay()
        # The next replay writes over its outputs.
        return hidden[:count].clone(), attention[:count].clone()

    def _recording(self, rows: int, reach: int) -> tuple[Callable[[], None], Outputs]:
        assert self._memory is not None and self._record is not None
        tokens, begins = self._inputs[0, :rows, None], self._inputs[1, :rows]
        try:
            return self._record(partial(self._run, tokens, begins, self._memory.first(rows), reach))
        except Exception:
            # A recording that fails, for want of memory, takes along what those before it share with it.
            self._recorded.clear()
            raise

    def _grow(self, cross: Tensor, rows: int) -> None:
        # What is recorded holds the memory before, which may be needed for the new one.
        self._recorded.clear()
        self._memory = None
        self._record = self._recorder()
        _, layers, _, *rest = cross.shape
        keys, values = (cross.new_zeros(layers, rows, *rest) for _ in range(2))
        self._staged = torch.zeros(2, rows, dtype=torch.int64, pin_memory=cross.is_cuda)
        self._inputs = torch.zeros(2, rows, dtype=torch.int64, device=cross.device)
        self._memory = DecoderCache(keys, values, room=self._room, stays=True)


def _rows(count: int) -> int:
    """Return the next power of two."""
    return 1 << (count - 1).bit_length()
