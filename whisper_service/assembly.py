"""The parts that compute: the model that a configuration names, and the speech detector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from whisper_service.config import Config, ModelSettings
from whisper_service.engine.runner import Runner
from whisper_service.model.checkpoints.checkpoint import Checkpoint
from whisper_service.model.checkpoints.find import find_checkpoint
from whisper_service.model.network import cores
from whisper_service.model.network.incremental import MARGINS
from whisper_service.model.speech.detector import SpeechDetector


def demonstration_checkpoint() -> Path:
    """Return the path of the demonstration checkpoint of a source checkout; a wheel does not carry it."""
    return Path(__file__).resolve().parents[1] / "models" / "micro.en.pt"


@dataclass(frozen=True, slots=True)
class Assembly:
    """A checkpoint on disk, with the settings to load it with."""

    checkpoint: Checkpoint
    settings: ModelSettings

    @classmethod
    def of(cls, config: Config, *, demonstration: bool = False) -> Assembly:
        """Return the assembly for ``config``. Blocks while a subprocess downloads the checkpoint.

        :param demonstration: whether the name ``auto`` may fall back to the demonstration model if no other
            model can be had. The demonstration model makes nonsense of human speech.
        :raises ModelUnavailable: if there is no checkpoint.
        """
        model = config.model
        checkpoint = find_checkpoint(
            model.name,
            deadline_s=model.download_timeout_s,
            cache_dir=Path(model.cache_dir) if model.cache_dir else None,
            demo=demonstration_checkpoint() if demonstration else None,
        )
        return cls(checkpoint, model)

    def runner(self) -> Runner:
        """Return a runner with the loaded model. Blocks.

        Call it in the thread that will run the model: it lets the operations of that thread use all cores.

        :raises ConfigError: if there is no such device or precision.
        :raises ModelUnavailable: if the files are not a checkpoint, or the model does not fit the device.
        """
        cores.use_all()
        settings = self.settings
        return Runner.load(
            self.checkpoint,
            device=settings.device,
            dtype=settings.dtype,
            margins=MARGINS if settings.encoder == "incremental" else None,
            state_memory=settings.state_memory,
        )

    def detector(self) -> SpeechDetector:
        """Return the loaded speech detector. Blocks."""
        return SpeechDetector()
