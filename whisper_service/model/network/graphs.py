"""Steps of the decoder that are recorded once and replayed, as CUDA graphs.

A step of one token is about a hundred small kernels. A GPU runs them faster than Python launches them, and
Python holds the GIL meanwhile. A graph launches all of them at once. It works on the tensors that it was
recorded with, so these must stay in place, and there is one graph for each of a few sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from whisper_service.model.network.cache import DecoderCache

#: Steps are recorded for batches of 1, 2, 4, 8, … rows that read a multiple of this many positions.
_REACH = 64

#: Hidden states and attention; see ``Decoder.forward``.
Outputs = tuple[Tensor, Tensor]
#: Runs a step: tokens ``(B, 1)``, their positions ``(B,)``, the cache, the number of its positions to read.
Run = Callable[[Tensor, Tensor, DecoderCache, int], Outputs]
#: Records a call. Returns a function that replays it on the same tensors, and the outputs, which each replay
#: overwrites.
Record = Callable[[Callable[[], Outputs]], tuple[Callable[[], None], Outputs]]


def recorder(device: torch.device) -> Callable[[], Record] | None:
    """Return a factory of recorders for this device, or None if they would save no time there."""
    return partial(CudaGraphs, device) if device.type == "cuda" else None


class CudaGraphs:
    """Records CUDA graphs. They share one memory pool, because only one is replayed at a time.

    They also share a CUDA stream that nothing else uses. A workspace of cuBLAS belongs to a stream, and is
    lost with any graph that was recorded on it: ordinary work on that stream would break.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        with torch.cuda.device(device):
            self._pool = torch.cuda.graph_pool_handle()
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, run: Callable[[], Outputs]) -> tuple[Callable[[], None], Outputs]:
        """Record ``run``; see ``Record``."""
        with torch.cuda.device(self._device):
            # Run once before the recording, because libraries allocate memory at their first call.
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                run()
            torch.cuda.current_stream().wait_stream(self._stream)
            graph = torch.cuda.CUDAGraph()
            # "thread_local", because other threads of the process may use CUDA during the recording.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ):
                outputs = run()
        return graph.replay, outputs


class StepGraphs:
    """The recorded steps of one decoder, and the memory that they work on.

    :param recorder: makes a recorder; it is called again whenever the memory grows.
    :param capacity: the largest number of tokens of a row.
    """

    def __init__(self, run: Run, recorder: Callable[[], Record], *, capacity: int) -> None:
        self._run = run
        self._recorder = recorder
        self._capacity = capacity
        self._record: Record | None = None
        self._memory: DecoderCache | None = None
        self._staged = self._inputs = torch.zeros(2, 0, dtype=torch.int64)
        self._recorded: dict[tuple[int, int], tuple[Callable[[], None], Outputs]] = {}

    def open(self, shape: tuple[int, ...], *, like: Tensor) -> DecoderCache:
        """Return an empty cache in the memory of the steps. It overwrites the cache before.

        :param shape: of the keys and values of the audio, ``(2, L, B, H, n_audio_ctx, D_head)``.
        :param like: a tensor with the dtype and on the device of the memory.
        """
        batch = shape[2]
        if self._memory is None or len(self._memory.lengths) < batch:
            self._grow(shape, like, _rows(batch))
        assert self._memory is not None
        # A step also reads positions that are not written yet, and masks them. The values that the last batch
        # has left there do not matter, unless they are NaN.
        used = self._memory.first_rows(_rows(batch))
        used.keys.zero_()
        used.values.zero_()
        return self._memory.first_rows(batch)

    def run(self, tokens: Sequence[int], cache: DecoderCache) -> Outputs:
        """Append one token to each row of ``cache``, and return the outputs of ``Decoder.forward``.

        :param cache: a cache from ``open``. Its lengths are not changed.
        """
        count, rows = len(tokens), _rows(len(tokens))
        # The last copy from the staging tensor has ended, because the caller waits for each step's tokens.
        # The rows after those of the batch are computed as well, with token 0 at position 0.
        self._staged.zero_()
        self._staged[:, :count] = torch.tensor([tokens, cache.lengths])
        self._inputs.copy_(self._staged, non_blocking=True)
        reach = min(self._capacity, -(-(max(cache.lengths) + 1) // _REACH) * _REACH)
        if (rows, reach) not in self._recorded:
            self._recorded[rows, reach] = self._recording(rows, reach)
        replay, (hidden, attention) = self._recorded[rows, reach]
        replay()
        # Copied, because the next replay overwrites the outputs.
        return hidden[:count].clone(), attention[:count].clone()

    def _recording(self, rows: int, reach: int) -> tuple[Callable[[], None], Outputs]:
        assert self._memory is not None and self._record is not None
        tokens, begins = self._inputs[0, :rows, None], self._inputs[1, :rows]
        try:
            return self._record(partial(self._run, tokens, begins, self._memory.first_rows(rows), reach))
        except Exception:
            # A recording that fails, for lack of memory, also invalidates the memory that it shares with the
            # earlier ones.
            self._recorded.clear()
            raise

    def _grow(self, shape: tuple[int, ...], like: Tensor, rows: int) -> None:
        # The recordings hold the old memory, and the new memory may need its space.
        self._recorded.clear()
        self._memory = None
        self._record = self._recorder()
        _, layers, _, *rest = shape
        keys, values = (like.new_zeros(layers, rows, *rest) for _ in range(2))
        self._staged = torch.zeros(2, rows, dtype=torch.int64, pin_memory=like.is_cuda)
        self._inputs = torch.zeros(2, rows, dtype=torch.int64, device=like.device)
        self._memory = DecoderCache(keys, values, capacity=self._capacity, fixed_memory=True)


def _rows(count: int) -> int:
    """Return the smallest power of two that is not below ``count``."""
    return 1 << (count - 1).bit_length()
