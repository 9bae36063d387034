"""A stream goes on from the carry of another: the seam for resuming after a lost connection."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from tests.fakes import FakeDetector, Samples, cut_evenly, speak
from tests.streams import F32, STOP, TALK, LateEngine, parts_of, raw
from whisper_service.audio.pcm import FRAME_SAMPLES
from whisper_service.config import StreamSettings
from whisper_service.events import Event, Final
from whisper_service.live import Arrival, Stream
from whisper_service.protocol.dialect import Command, Frame, Resume
from whisper_service.protocol.native import NativeDialect
from whisper_service.session.carry import Carry

pytestmark = pytest.mark.usefixtures("loop_that_knows_the_time")


class _Keeping(NativeDialect):
    """Keeps each carry with the number of finals before it. The text ``resume`` goes on from ``carry``."""

    def __init__(self, carry: Carry | None = None) -> None:
        super().__init__({}, StreamSettings(), undeclared=F32)
        self.finals: list[Final] = []
        self.carries: list[tuple[int, Carry]] = []
        self._carry = carry

    def receive(self, data: str | bytes) -> Sequence[Command]:
        if data == "resume":
            assert self._carry is not None
            return (Resume(self._carry),)
        return super().receive(data)

    def tell(self, event: Event | Carry) -> Sequence[Frame]:
        if isinstance(event, Carry):
            self.carries.append((len(self.finals), event))
        elif isinstance(event, Final):
            self.finals.append(event)
        return super().tell(event)


class _LateDetector(FakeDetector):
    """Hears from ``lead_in`` frames before the first frame on, and reports the frames from the first on."""

    def __init__(self, lead_in: int, first: int) -> None:
        super().__init__()
        self._unwanted = min(first, lead_in)

    def probabilities(self, pcm: Samples) -> list[float]:
        found = super().probabilities(pcm)
        wanted = found[self._unwanted :]
        self._unwanted -= len(found) - len(wanted)
        return wanted


@pytest.mark.parametrize("lead_in", [0, 30, 400])
def test_a_stream_goes_on_where_the_utterances_of_another_have_ended(lead_in: int) -> None:
    """The lead-in of the detector may begin before the audio that the session needs, or after it."""
    pcm, _ = speak([*TALK, 1.2, *TALK, 1.2, *TALK])
    parts = replace(
        parts_of(LateEngine()),
        speech_state=partial(_LateDetector, lead_in),
        lead_in_start=lambda frame: max(0, frame - lead_in) * FRAME_SAMPLES,
    )

    def run(dialect: _Keeping, *frames: str | bytes) -> list[str]:
        sent: list[str] = []
        stream = Stream(
            parts, dialect, send=lambda frames: sent.extend(frame.text for frame in frames), fail=pytest.fail
        )
        stream.run(Arrival(frame, 0.0) for frame in frames)
        return sent

    whole = _Keeping()
    done = json.loads(run(whole, *raw(cut_evenly(pcm, 8_000)), STOP)[-1])
    assert len(whole.carries) >= 5 and any(carry.audio_from > 0 for _, carry in whole.carries)
    for count, carry in whole.carries:
        again = _Keeping(carry)
        begin = min(carry.audio_from, parts.lead_in_start(carry.frame))
        told = run(again, "resume", *raw(cut_evenly(pcm[begin:], 5_000)), STOP)
        assert again.finals == whole.finals[count:]
        assert {**json.loads(told[-1]), "full_transcript": ""} == {**done, "full_transcript": ""}


def test_a_stream_that_has_begun_does_not_go_on_from_another() -> None:
    dialect, sent = _Keeping(Carry()), []
    stream = Stream(parts_of(LateEngine()), dialect, send=sent.extend, fail=pytest.fail)
    stream.run(Arrival(frame, 0.0) for frame in [*raw([speak([0.1])[0]]), "resume", STOP])
    (error,) = [message for frame in sent if (message := json.loads(frame.text))["type"] == "error"]
    assert error["code"] == "bad_message" and not error["fatal"]
    assert json.loads(sent[-1].text)["full_transcript"] == " w1."
