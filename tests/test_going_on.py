"""A stream goes on where another one broke off: tokens, the audio that comes again, and marks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.fakes import FakeDetector, Samples, cut_evenly, speak
from tests.streams import STOP, TALK, LateEngine, parts_of
from whisper_service.audio.pcm import FRAME_SAMPLES
from whisper_service.config import StreamSettings
from whisper_service.errors import Draining
from whisper_service.live import Stream
from whisper_service.parts import Arrival, Parts
from whisper_service.protocol.dialect import Checkpoint
from whisper_service.protocol.native import NativeDialect
from whisper_service.protocol.resume import Tokens
from whisper_service.session.carry import Carry

pytestmark = pytest.mark.usefixtures("loop_that_knows_the_time")

TOKENS = Tokens(lambda: "secret", max_age_s=3_600)
SETTINGS = {"resumable": "1", "format": "f32le"}

Message = dict[str, Any]


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


def _parts(lead_in: int = 0) -> Parts:
    return replace(
        parts_of(LateEngine()),
        speech_state=partial(_LateDetector, lead_in),
        lead_in_start=lambda frame: max(0, frame - lead_in) * FRAME_SAMPLES,
    )


def _run(
    frames: Iterable[str | bytes], *, parts: Parts | None = None, tokens: Tokens = TOKENS, **settings: str
) -> list[Message]:
    """Return the messages of a stream that gets ``frames``."""
    told: list[str] = []
    stream = Stream(
        parts or _parts(),
        NativeDialect({**SETTINGS, **settings}, StreamSettings(), tokens=tokens),
        send=lambda frames: told.extend(frame.text for frame in frames),
        fail=pytest.fail,
    )
    stream.run(Arrival(frame, 0.0) for frame in frames)
    return [json.loads(text) for text in told]


def _resume(token: str, **fields: Any) -> str:
    return json.dumps({"type": "resume", "token": token, **fields})


def _raw(pcm: Samples, size: int = 8_000) -> list[bytes]:
    return [piece.tobytes() for piece in cut_evenly(pcm, size)]


def _of(messages: Sequence[Message], kind: str) -> list[Message]:
    return [message for message in messages if message["type"] == kind]


def _texts(messages: Sequence[Message]) -> list[tuple[int, str, float, float]]:
    return [(final["id"], final["text"], final["start"], final["end"]) for final in _of(messages, "final")]


@pytest.mark.parametrize("lead_in", [0, 400])
def test_a_stream_goes_on_from_every_token(lead_in: int) -> None:
    """The lead-in of the detector may begin before the audio that the session needs, or after it."""
    pcm, _ = speak([*TALK, 1.2, *TALK, 1.2, *TALK, 7.0, 0.1])
    parts = _parts(lead_in)
    whole = _run([*_raw(pcm), STOP], parts=parts)
    with_token = [(index, message) for index, message in enumerate(whole) if "resume" in message]
    assert len(_of(whole, "ack")) > 8 and len(with_token) > 20
    replayed = []
    for index, message in with_token[::2]:
        replay_from = next(ack["replay_from"] for ack in reversed(_of(whole[: index + 1], "ack")))
        again = _run([_resume(message["resume"]), *_raw(pcm[replay_from:], 5_000), STOP], parts=parts)
        [resumed] = _of(again, "resumed")
        assert resumed["replay_from"] == replay_from
        assert _texts(again) == _texts(whole[index + 1 :])
        assert {**again[-1], "full_transcript": ""} == {**whole[-1], "full_transcript": ""}
        replayed.append(replay_from)
    assert max(replayed) > 16_000 * 8


def test_nothing_is_shown_of_words_that_the_client_has_already() -> None:
    pcm, _ = speak([*[0.1] * 30, 1.0, 0.1, 0.1, 0.3, 0.1, 0.1])
    whole = _run([*_raw(pcm), STOP])
    last = _of(whole, "final")[2]
    again = _run([_resume(last["resume"]), *_raw(pcm), STOP])
    shown = "".join(partial["text"] for partial in _of(again, "partial"))
    assert shown
    assert not set(last["text"].split()) & set(shown.split())


def test_audio_that_comes_twice_is_dropped_and_missing_audio_is_lost() -> None:
    pcm, _ = speak([*TALK, 1.2, *TALK, 1.2, *TALK, 1.2, *TALK])
    whole = _run([*_raw(pcm), STOP])
    ack = next(ack for ack in _of(whole, "ack") if ack["replay_from"] > 8_000)
    early = ack["replay_from"] - 7_777
    index = whole.index(ack)
    again = _run([_resume(ack["resume"], **{"from": early}), *_raw(pcm[early:]), STOP])
    assert _texts(again) == _texts(whole[index + 1 :])
    late = ack["received"] + 20_001
    again = _run([_resume(ack["resume"], **{"from": late}), *_raw(pcm[late:]), STOP])
    [error] = _of(again, "error")
    seconds = (late - ack["replay_from"]) / 16_000
    assert error["code"] == "bad_audio" and f"{seconds:.2f} s of audio are missing" in error["message"]
    done = again[-1]
    assert (
        done["received_samples"]
        == pcm.shape[0]
        == sum(done[f"{kind}_samples"] for kind in ("speech", "silent", "lost"))
    )
    assert 20_000 < done["lost_samples"] <= late - ack["replay_from"]


def test_a_stream_that_breaks_off_twice_after_a_gap_keeps_its_clock() -> None:
    pcm, _ = speak([*TALK, 1.2, *TALK, 1.2, *TALK, 1.2, *TALK])
    whole = _run([*_raw(pcm), STOP])
    ack = next(ack for ack in _of(whole, "ack") if ack["replay_from"] > 8_000)
    late = ack["replay_from"] + 30_000
    once = _run([_resume(ack["resume"], **{"from": late}), *_raw(pcm[late:]), STOP])
    first = _of(once, "ack")[0]
    assert first["replay_from"] == ack["replay_from"] and first["received"] >= late
    twice = _run([_resume(first["resume"], **{"from": late}), *_raw(pcm[late:]), STOP])
    assert _texts(twice) == _texts(once) and twice[-1] == once[-1]


@pytest.mark.parametrize(
    ("token", "settings"),
    [
        ("forged", {}),
        (None, {"prompt": "Other settings."}),
        (TOKENS.write(Checkpoint(Carry()), "another model", StreamSettings()), {}),
        (
            Tokens(lambda: "another key", max_age_s=3_600).write(
                Checkpoint(Carry()), "fake", StreamSettings()
            ),
            {},
        ),
        (7, {}),
    ],
)
def test_with_a_bad_token_the_stream_begins_anew(token: Any, settings: dict[str, str]) -> None:
    pcm, _ = speak([0.1, 1.0])
    whole = _run([*_raw(pcm), STOP])
    token = token or _of(whole, "final")[-1]["resume"]
    messages = _run([_resume(token), *_raw(pcm), STOP], **settings)
    [error] = _of(messages, "error")
    assert error["code"] == "bad_token" and not error["fatal"]
    assert _texts(messages) == _texts(whole) and not _of(messages, "resumed")


def test_an_old_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import itsdangerous.timed

    token = TOKENS.write(Checkpoint(Carry()), "fake", StreamSettings())
    now = itsdangerous.timed.time.time()
    monkeypatch.setattr(itsdangerous.timed.time, "time", lambda: now + 3_601)
    [error] = _of(_run([_resume(token), STOP]), "error")
    assert error["code"] == "bad_token" and "Signature age 3601" in error["message"]


def test_a_stream_that_has_begun_does_not_go_on_from_another() -> None:
    pcm, _ = speak([0.1])
    token = _of(_run([*_raw(pcm), STOP]), "final")[0]["resume"]
    messages = _run([*_raw(pcm), _resume(token), STOP])
    [error] = _of(messages, "error")
    assert error["code"] == "bad_message" and messages[-1]["full_transcript"] == " w1."


def test_who_does_not_ask_for_tokens_gets_none() -> None:
    pcm, _ = speak([0.1, 1.0])
    messages = _run([*_raw(pcm), STOP], resumable="0")
    assert not _of(messages, "ack") and not any("resume" in message for message in messages)


def test_a_mark_comes_back_when_everything_before_it_is_final() -> None:
    pcm, spoken = speak([*TALK, 1.2, *TALK])
    slices = _raw(pcm)
    frames: list[str | bytes] = [json.dumps({"type": "mark", "id": "at once"})]
    for number, piece in enumerate(slices):
        frames += [piece, json.dumps({"type": "mark", "id": number})]
    messages = _run([*frames, STOP])
    names = [mark["id"] for mark in _of(messages, "mark")]
    assert names == ["at once", *range(len(slices))] and messages[-1]["type"] == "done"
    text, whole = "", "".join(spoken)
    for message in messages:
        text += message.get("text", "") if message["type"] == "final" else ""
        if message["type"] == "mark" and message["id"] != "at once":
            heard, _ = divmod((message["id"] + 1) * 8_000, 1)
            complete = [word for word, end in _ends(pcm, spoken) if end <= heard]
            assert whole.startswith(text) and len(text) >= len("".join(complete))


def _ends(pcm: Samples, spoken: list[str]) -> list[tuple[str, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0.0], pcm, [0.0]])))
    return list(zip(spoken, [int(end) for end in edges[1::2]], strict=True))


@pytest.mark.parametrize("name", [None, "x" * 101, 1.5, True, 2**60])
def test_a_mark_needs_a_name(name: Any) -> None:
    messages = _run([json.dumps({"type": "mark", "id": name}), STOP])
    assert [error["code"] for error in _of(messages, "error")] == ["bad_message"]


def test_a_server_that_must_stop_at_once_makes_nothing_final_of_a_resumable_stream() -> None:
    pcm, _ = speak([*TALK, 1.2, *TALK])
    whole = _run([*_raw(pcm), STOP])
    told: list[str] = []
    stream = Stream(
        replace(_parts(), engine=LateEngine(delay_s=2.0)),
        NativeDialect(SETTINGS, StreamSettings(), tokens=TOKENS),
        send=lambda frames: told.extend(frame.text for frame in frames),
        fail=pytest.fail,
    )

    def arrivals() -> Iterable[Arrival]:
        yield from (Arrival(frame, 0.0) for frame in _raw(pcm)[:12])
        stream.end_by(time.monotonic() + 1.0)
        raise Draining("The server is about to stop; connect again.")

    with pytest.raises(Draining):
        stream.run(arrivals())
    first = [json.loads(text) for text in told]
    again = _run([_resume(first[-1]["resume"]), *_raw(pcm[first[-1]["replay_from"] :]), STOP])
    assert _texts(first) + _texts(again) == _texts(whole) and len(_texts(again)) > 1


def test_a_server_that_stops_does_not_cut_a_resumable_stream_short() -> None:
    """Half of an utterance is not made final. The client goes on elsewhere, and gets the same finals."""
    pcm, _ = speak([*TALK, 1.2, *TALK])
    whole = _run([*_raw(pcm), STOP])
    for count in (3, 5, 12):
        told: list[str] = []
        stream = Stream(
            _parts(),
            NativeDialect(SETTINGS, StreamSettings(), tokens=TOKENS),
            send=lambda frames: told.extend(frame.text for frame in frames),  # noqa: B023
            fail=pytest.fail,
        )

        def arrivals(count: int = count) -> Iterable[Arrival]:
            yield from (Arrival(frame, 0.0) for frame in _raw(pcm)[:count])
            raise Draining("The server is about to stop; connect again.")

        with pytest.raises(Draining):
            stream.run(arrivals())
        first = [json.loads(text) for text in told]
        ack = first[-1]
        assert (ack["type"], ack["received"]) == ("ack", count * 8_000)
        rest = pcm[ack["replay_from"] :]
        again = _run([_resume(ack["resume"]), *_raw(rest), STOP])
        assert _texts(first) + _texts(again) == _texts(whole)
