"""Speech probabilities are Silero's own. They do not depend on slices, or on other streams of the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.conftest import Talk
from tests.fakes import cut_randomly
from whisper_service.audio.pcm import FRAME_SAMPLES
from whisper_service.model.speech.detector import (
    BLOCK_FRAMES,
    SpeechDetector,
    SpeechState,
    lead_in_start,
)

Samples = np.ndarray


@pytest.fixture(scope="module")
def detector() -> SpeechDetector:
    return SpeechDetector()


def _listen(detector: SpeechDetector, slices: list[Samples]) -> list[float]:
    state = SpeechState()
    return [value for pcm in slices for value in detector.probabilities([(state, pcm)])[0]]


def test_loading_leaves_torch_its_threads() -> None:
    before = torch.get_num_threads()
    SpeechDetector()
    assert torch.get_num_threads() == before


def test_the_first_block_is_what_silero_itself_says(detector: SpeechDetector, talk: Talk) -> None:
    from importlib.util import find_spec

    spec = find_spec("silero_vad")
    assert spec is not None and spec.submodule_search_locations is not None
    silero = torch.jit.load(f"{spec.submodule_search_locations[0]}/data/silero_vad.jit")
    pcm = talk.pcm[: BLOCK_FRAMES * FRAME_SAMPLES]
    with torch.inference_mode():
        expected = [
            float(silero(torch.from_numpy(frame), 16_000)) for frame in pcm.reshape(-1, FRAME_SAMPLES)
        ]
    assert _listen(detector, [pcm]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_slices_do_not_matter(detector: SpeechDetector, talk: Talk, seed: int) -> None:
    whole = _listen(detector, [talk.pcm])
    assert _listen(detector, cut_randomly(talk.pcm, seed, 20_000)) == whole


def test_streams_in_one_batch_do_not_hear_each_other(detector: SpeechDetector, talk: Talk) -> None:
    one, other = talk.pcm[:200_000], talk.pcm[100_000:400_000]
    states = SpeechState(), SpeechState()
    together = detector.probabilities([(states[0], one), (states[1], other)])
    assert together[0] == pytest.approx(_listen(detector, [one]), abs=1e-4)
    assert together[1] == pytest.approx(_listen(detector, [other]), abs=1e-4)


def test_recordings_are_heard_as_streams_are(detector: SpeechDetector, talk: Talk) -> None:
    recordings = [
        talk.pcm,
        talk.pcm[:100],
        talk.pcm[5_000:200_000],
        talk.pcm[: 2 * BLOCK_FRAMES * FRAME_SAMPLES],
    ]
    for found, pcm in zip(detector.of_recordings(recordings), recordings, strict=True):
        assert found == pytest.approx(_listen(detector, [pcm]), abs=1e-4)


def test_what_was_before_the_lead_in_does_not_matter(detector: SpeechDetector, talk: Talk) -> None:
    block = BLOCK_FRAMES * FRAME_SAMPLES
    other = talk.pcm.copy()
    other[: block - 65 * FRAME_SAMPLES] = np.random.default_rng(0).standard_normal(1).astype(np.float32)
    assert _listen(detector, [talk.pcm])[BLOCK_FRAMES:] == _listen(detector, [other])[BLOCK_FRAMES:]


@pytest.mark.parametrize(
    "first", [1, BLOCK_FRAMES - 1, BLOCK_FRAMES, BLOCK_FRAMES + 7, 3 * BLOCK_FRAMES + 200]
)
def test_a_stream_that_is_taken_up_in_the_middle_gives_the_same(
    detector: SpeechDetector, talk: Talk, first: int
) -> None:
    rest = talk.pcm[lead_in_start(first) :]
    state = SpeechState(first)
    found = [
        value for pcm in cut_randomly(rest, 1, 20_000) for value in detector.probabilities([(state, pcm)])[0]
    ]
    assert found == _listen(detector, [talk.pcm])[first:]


def test_speech_is_told_from_silence(detector: SpeechDetector, talk: Talk) -> None:
    values = _listen(detector, [talk.pcm])
    spoken = [
        values[round(float(word["start"]) * 16_000) // FRAME_SAMPLES + 2]  # type: ignore[arg-type]
        for word in talk.words
        if float(word["end"]) - float(word["start"]) > 0.2  # type: ignore[arg-type]
    ]
    assert np.mean(np.array(spoken) > 0.5) > 0.95
    assert max(values[:12]) < 0.3  # the first word begins at 0.65 s
