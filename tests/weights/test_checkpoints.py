"""Numerical shortcuts on real checkpoints, whose hidden states have outliers."""

from __future__ import annotations

import resource

import pytest

from tests.conftest import Talk
from tests.model.network.test_logits import check_candidates
from tests.weights.conftest import checkpoint
from tests.weights.test_cases import CASES
from whisper_service.engine.request import Kind, Request
from whisper_service.engine.runner import Runner
from whisper_service.files import read
from whisper_service.model.checkpoints.find import find_checkpoint

pytestmark = [pytest.mark.weights, pytest.mark.timeout(600)]

SPOKEN = CASES / "keyword-false-rings" / "test-other_2414-128291-0001.flac"


@pytest.mark.parametrize("name", ["tiny.en", "base"])
def test_an_update_finds_few_candidates_and_maps_few_pages(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner.load(find_checkpoint(str(checkpoint(name)), deadline_s=0), device="cpu", dtype="float32")
    samples = read(SPOKEN)
    check_candidates(runner, Talk(SPOKEN, samples, "", []), monkeypatch)
    faults = []
    for seconds in (4, 5, 6, 7):
        request = Request("s", seconds, Kind.COMMIT, 0, samples[: seconds * 16_000], language="en")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        runner.run(request)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert max(faults[1:]) < 5_000, faults
