"""What computes: the checkpoint, the model and the speech detector that a configuration asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from whisper_service.config import Config
from whisper_service.engine.runner import Runner
from whisper_service.model.checkpoints.checkpoint import Checkpoint
from whisper_service.model.checkpoints.find import find_checkpoint
from whisper_service.model.network import cores
from whisper_service.model.speech.detector import SpeechDetector


def demonstration_checkpoint() -> Path:
    """Return the path of the demonstration checkpoint of a source checkout; a wheel does not carry it."""
    return Path(__file__).resolve().parents[1] / "models" / "micro.en.pt"


@dataclass(frozen=True, slots=True)
class Assembly:
    """A checkpoint on disk, and how it is loaded.

    :param device: see ``resolve_device``.
    :param dtype: see ``resolve_precision``.
    """

    checkpoint: Checkpoint
    device: str
    dtype: str

    @classmethod
    def of(cls, config: Config, *, demonstration: bool = False) -> Assembly:
        """Find the checkpoint that ``config`` names. Blocks while it is downloaded, in a process of its own.

        :param demonstration: whether the demonstration model may take the place of one that cannot be had. It
            makes nonsense of human speech.
        :raises ModelUnavailable: if there is none.
        """
        checkpoint = find_checkpoint(
            config.model,
            deadline_s=config.download_timeout_s,
            cache_dir=Path(config.cache_dir) if config.cache_dir else None,
            demo=demonstration_checkpoint() if demonstration else None,
        )
        return cls(checkpoint, config.device, config.dtype)

    def runner(self) -> Runner:
        """Load the model, for the thread that will run it: its operations take all cores. Blocks.

        :raises ConfigError: if there is no such device or precision.
        :raises ModelUnavailable: if the files are no checkpoint, or it does not fit onto the device.
        """
        cores.take_all()
        return Runner.load(self.checkpoint, device=self.device, dtype=self.dtype)

    def detector(self) -> SpeechDetector:
        """Load the speech detector. Blocks."""
        return SpeechDetector()
