"""The probability of speech in each frame, by Silero VAD, batched over streams.

A probability depends only on the samples near its frame, not on when they arrived. The recurrent state is
reset at every block of the stream's clock, and rebuilt from a lead-in of fixed length. So a stream that the
detector takes up in the middle gives the same probabilities as one that it hears from the beginning.

Source: silero-vad 6.2.3, ``silero_vad.jit`` (MIT).
"""

from __future__ import annotations

import importlib.util
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from whisper_service.audio.pcm import FRAME_SAMPLES, Samples

#: The samples before a frame that the network takes with it.
_CONTEXT_SAMPLES = 64
#: The state is reset every 256 frames (8.2 s), and rebuilt from the 64 frames (2 s) before.
BLOCK_FRAMES = 256
LEAD_IN_FRAMES = 64
_BLOCK_SAMPLES = BLOCK_FRAMES * FRAME_SAMPLES
#: Blocks of recordings that share a batch. A larger batch is not faster.
_BLOCKS = 64
_STATE_SIZE = 128


def lead_in_start(frame: int) -> int:
    """Return the first sample that the detector needs for the probability of ``frame``.

    It is at most 10.3 s before the frame: a block, its lead-in, and the frame before the lead-in.
    """
    return max(0, _block_of(frame) - LEAD_IN_FRAMES - 1) * FRAME_SAMPLES


def _block_of(frame: int) -> int:
    """Return the first frame of the block that holds ``frame``."""
    return frame // BLOCK_FRAMES * BLOCK_FRAMES


class SpeechState:
    """The state of the detector for one stream.

    :param first: number of the first frame whose probability is returned. The detector must get the stream's
        samples from ``lead_in_start(first)`` on.
    """

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self.block = _block_of(first)  # earlier frames serve only as lead-in
        self.frame = lead_in_start(first) // FRAME_SAMPLES
        # The samples of no frame yet, with the context before them. Before the first sample is silence.
        self.pending: Samples = np.zeros(_CONTEXT_SAMPLES, dtype=np.float32)
        self.recurrent = torch.zeros(2, _STATE_SIZE)
        # Each entry is a frame with the context before it, (576,).
        self.recent: deque[Samples] = deque(maxlen=LEAD_IN_FRAMES)


@dataclass(frozen=True, slots=True)
class _Task:
    """One run of the network over one frame of one stream."""

    audio: Samples  # (576,)
    restart: bool
    keep: bool


class SpeechDetector:
    """The network of Silero VAD. Only one thread at a time may run it."""

    def __init__(self) -> None:
        # Only the file of silero_vad is needed. Importing it would limit torch to one thread in the process.
        spec = importlib.util.find_spec("silero_vad")
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError("silero-vad is not installed")
        path = Path(spec.submodule_search_locations[0]) / "data" / "silero_vad.jit"
        self._network = torch.jit.load(  # type: ignore[no-untyped-call]
            str(path), map_location="cpu"
        )._model.eval()

    @torch.inference_mode()
    def probabilities(self, batch: Sequence[tuple[SpeechState, Samples]]) -> list[list[float]]:
        """Return for each stream the probabilities of the frames that its next samples complete. Blocks.

        :param batch: the state of each stream and its next samples, mono float32 at 16 kHz, ``(n_samples,)``.
            A stream must not occur twice.
        """
        tasks = [_tasks(state, pcm) for state, pcm in batch]
        results: list[list[float]] = [[] for _ in batch]
        for step in range(max((len(todo) for todo in tasks), default=0)):
            rows = [index for index, todo in enumerate(tasks) if step < len(todo)]
            for index in rows:
                if tasks[index][step].restart:
                    batch[index][0].recurrent = torch.zeros(2, _STATE_SIZE)
            audio = torch.from_numpy(np.stack([tasks[index][step].audio for index in rows]))  # (B, 576)
            state = torch.stack([batch[index][0].recurrent for index in rows], dim=1)  # (2, B, 128)
            probability, state = self._network(audio, state)  # (B, 1), (2, B, 128)
            values = probability[:, 0].tolist()
            for row, index in enumerate(rows):
                batch[index][0].recurrent = state[:, row]
                if tasks[index][step].keep:
                    results[index].append(values[row])
        return results

    def of_recordings(self, recordings: Sequence[Samples]) -> list[list[float]]:
        """Return the probabilities of whole recordings, the same as for streams of this audio. Blocks.

        A block does not depend on the audio before its lead-in, so many blocks share a batch.

        :param recordings: mono float32 at 16 kHz, each ``(n_samples,)``.
        """
        blocks = [
            (number, pcm, block)
            for number, pcm in enumerate(recordings)
            for block in range(-(-pcm.shape[0] // _BLOCK_SAMPLES))
        ]
        results: list[list[float]] = [[] for _ in recordings]
        for begin in range(0, len(blocks), _BLOCKS):
            some = blocks[begin : begin + _BLOCKS]
            found = self.probabilities(
                [
                    (
                        SpeechState(block * BLOCK_FRAMES),
                        pcm[lead_in_start(block * BLOCK_FRAMES) : (block + 1) * _BLOCK_SAMPLES],
                    )
                    for _, pcm, block in some
                ]
            )
            for (number, _, _), values in zip(some, found, strict=True):
                results[number] += values
        return results


def _tasks(state: SpeechState, pcm: Samples) -> list[_Task]:
    """Return the runs for the frames that ``pcm`` completes. A new block first repeats its lead-in."""
    audio = np.concatenate([state.pending, pcm])
    count = (audio.shape[0] - _CONTEXT_SAMPLES) // FRAME_SAMPLES
    state.pending = audio[count * FRAME_SAMPLES :]
    tasks: list[_Task] = []
    for begin in range(0, count * FRAME_SAMPLES, FRAME_SAMPLES):
        heard = audio[begin : begin + _CONTEXT_SAMPLES + FRAME_SAMPLES]
        if state.frame >= state.block:
            if state.frame % BLOCK_FRAMES == 0 and state.frame:
                tasks += [
                    _Task(old, restart=index == 0, keep=False) for index, old in enumerate(state.recent)
                ]
            tasks.append(_Task(heard, restart=False, keep=state.frame >= state.first))
        state.recent.append(heard)
        state.frame += 1
    return tasks
