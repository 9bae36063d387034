"""The pipeline of one connection, with an engine that is slow, silent or broken."""

from __future__ import annotations

import base64
import gc
import struct
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import gevent
import numpy as np
import pytest

from tests.fakes import (
    FakeEngine,
    cut_evenly,
    cut_randomly,
    finals,
    make_session,
    play,
    speak,
)
from tests.streams import INFO, STOP, TALK, Client, LateEngine, NoSpeech, parts_of, raw
from whisper_service.audio.pcm import float32_to_int16
from whisper_service.engine.bridge import OnAnswer
from whisper_service.engine.request import EngineInfo, Request
from whisper_service.errors import Draining, InternalError, SessionTooLong, TranscriptionError
from whisper_service.parts import Arrival
from whisper_service.session.buffer import RollingBuffer

pytestmark = pytest.mark.usefixtures("loop_that_knows_the_time")

CLIPS = Path(__file__).resolve().parent / "data" / "containers"


def test_streams_on_a_late_engine_get_the_finals_of_an_instant_one() -> None:
    talks = [speak(TALK[index:])[0] for index in range(4)]
    parts = parts_of(LateEngine(delay_s=0.02))
    clients = [Client(parts) for _ in talks]
    greenlets = [
        gevent.spawn(client.run, [*raw(cut_randomly(pcm, 5, 9_000)), STOP])
        for client, pcm in zip(clients, talks, strict=True)
    ]
    gevent.joinall(greenlets, timeout=30, raise_error=True)
    for client, pcm in zip(clients, talks, strict=True):
        expected = [final.text for final in finals(play(make_session(), FakeEngine(), [pcm]))]
        assert [message["text"] for message in client.of("final")] == expected
        assert client.messages[-1]["received_samples"] == pcm.shape[0]


def test_ready_comes_first_and_done_last() -> None:
    messages = Client(parts_of(LateEngine())).run([*raw([speak([0.1])[0]]), STOP])
    assert messages[0]["type"] == "ready" and messages[0]["warnings"] == ["It is a fake."]
    assert messages[-1]["type"] == "done" and messages[-1]["full_transcript"] == " w1."


def test_stop_without_audio_is_done_at_once() -> None:
    messages = Client(parts_of(LateEngine())).run([STOP])
    assert [message["type"] for message in messages] == ["ready", "done"]


def test_a_rejected_slice_of_known_length_becomes_silence() -> None:
    pcm, said = speak([1.0, 0.1, 0.1])
    # 500 samples of an unknown coding, 16 bits each, at 8 kHz: 1,000 samples at 16 kHz.
    coding = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 0x7777, 1, 8_000, 16_000, 2, 16)
    coding += b"data" + struct.pack("<I", 1_000)
    client = Client(parts_of(LateEngine()))
    client.run([pcm[:16_000].tobytes(), coding + bytes(1_000), pcm[16_000:].tobytes(), STOP])
    (error,) = client.of("error")
    assert error["code"] == "unsupported_audio" and not error["fatal"]
    account = client.messages[-1]
    assert account["lost_samples"] == 1_000 and account["received_samples"] == pcm.shape[0] + 1_000
    assert account["full_transcript"] == "".join(said)


def test_more_audio_than_a_stream_may_have_is_final_before_the_end() -> None:
    pcm, said = speak([0.2, 0.1, 1.0, 0.1, 0.1, 0.1])
    client = Client(replace(parts_of(LateEngine()), max_audio_samples=40_000))
    with pytest.raises(SessionTooLong):
        client.run(raw(cut_evenly(pcm, 8_000)))
    assert not client.of("done")  # it is the last message, and the error comes after the finals
    assert "".join(message["text"] for message in client.of("final")) == "".join(said[:3])


def test_a_bad_message_does_not_end_the_stream() -> None:
    client = Client(parts_of(LateEngine()))
    client.run(['{"type": "dance"}', *raw([speak([0.1])[0]]), STOP])
    assert [message["code"] for message in client.of("error")] == ["bad_message"]
    assert client.messages[-1]["full_transcript"] == " w1."


def test_an_unknown_language_is_refused_before_audio_is_taken() -> None:
    client = Client(parts_of(LateEngine()))
    client.run(['{"type": "start", "language": "de"}', STOP])
    (error,) = client.of("error")
    assert error["code"] == "bad_setting" and "'de'; it knows: en" in error["message"]


def test_reply_text_sends_finals_alone() -> None:
    pcm, said = speak(TALK)
    client = Client(parts_of(LateEngine()), reply="text")
    frames = [*raw(cut_evenly(pcm, 8_000)), "not base64!", STOP]
    client.stream.run(Arrival(frame, 0.0) for frame in frames)
    assert "".join(client.frames) == "".join(said) and client.frames[0] in "".join(said)


def test_full_transcript_with_every_final() -> None:
    pcm, said = speak(TALK)
    client = Client(parts_of(LateEngine()), full_transcript=True)
    client.run([*raw(cut_evenly(pcm, 8_000)), STOP])
    assert client.of("final")[-1]["full_transcript"] == "".join(said)


def test_slices_of_another_rate_are_one_stream() -> None:
    pcm, said = speak([0.4, 0.4, 0.4])
    twice = np.repeat(pcm, 2)
    client = Client(parts_of(LateEngine()), format="s16le", rate=32_000)
    client.run([*(float32_to_int16(piece).tobytes() for piece in cut_evenly(twice, 4_001)), STOP])
    assert abs(client.messages[-1]["received_samples"] - pcm.shape[0]) <= 1
    assert client.messages[-1]["speech_samples"] > 0 and len(said) == 3


def test_draining_makes_everything_final_but_is_not_done() -> None:
    pcm, said = speak(TALK, tail_s=0)

    def frames() -> Iterator[str | bytes]:
        yield pcm.tobytes()
        raise Draining("bye")

    client = Client(parts_of(LateEngine()))
    with pytest.raises(Draining):
        client.run(frames())
    assert "".join(message["text"] for message in client.of("final")) == "".join(said)
    assert not client.of("done")


def test_a_client_that_is_gone_frees_its_work() -> None:
    engine = LateEngine()
    client = Client(parts_of(engine))
    client.run(raw([speak(TALK)[0]]))
    assert engine.cancelled == [client.stream.name] and not client.of("done")


def test_a_fault_of_the_engine_ends_the_stream() -> None:
    client = Client(parts_of(LateEngine(fail=True)))
    with pytest.raises(InternalError):
        client.run([*raw([speak(TALK)[0]]), STOP])
    assert [failure.code for failure in client.failures] == ["internal"]


def test_a_slow_machine_says_so_loses_no_word_and_recovers() -> None:
    # By a clock that runs 100 times as fast, an answer after 40 ms comes after 4 s.
    parts = parts_of(LateEngine(delay_s=0.04), clock=lambda: 100 * time.monotonic())
    pcm, said = speak([0.1, 0.2, 0.1, 0.9, 0.3] * 6)
    client = Client(parts)
    client.run([*raw(cut_evenly(pcm, 8_000)), STOP])
    lags = [message["behind_s"] for message in client.of("lag")]
    assert lags[0] >= 2.0 and lags[-1] == 0.0
    assert client.messages[-1]["full_transcript"] == "".join(said)


def test_a_stream_far_ahead_of_the_engine_is_not_read_on() -> None:
    """No more frames are read while more than 10 s of audio wait for the engine."""
    read_s = 0.0
    engine = LateEngine()
    waiting: list[tuple[Request, OnAnswer]] = []
    parts = replace(parts_of(engine), engine=_Held(waiting))
    pcm, _ = speak([0.1] * 100)

    def frames() -> Iterator[bytes]:
        nonlocal read_s
        for piece in cut_evenly(pcm, 8_000):
            read_s += 0.5
            yield piece.tobytes()

    greenlet = gevent.spawn(Client(parts).run, frames())
    gevent.sleep(0.3)
    greenlet.kill()
    assert 9.0 < read_s < 13.0


class _Held:
    """An engine that never answers."""

    def __init__(self, waiting: list[tuple[Request, OnAnswer]]) -> None:
        self._waiting = waiting

    def info(self) -> EngineInfo:
        return INFO

    def submit(self, request: Request, on_answer: OnAnswer) -> None:
        self._waiting.append((request, on_answer))

    def cancel(self, stream: str) -> None:
        self._waiting.clear()


def test_audio_that_is_lost_within_a_stream_is_told_and_counted() -> None:
    webm = (CLIPS / "jfk_opus_live_noduration.webm").read_bytes()
    messages = [webm[start : start + 2_500] for start in range(0, len(webm), 2_500)]
    client = Client(replace(parts_of(LateEngine()), speech=NoSpeech()))
    client.run([*messages[:9], *messages[10:], STOP])
    (error, *others) = client.of("error")
    assert error["code"] == "bad_audio" and not error["fatal"] and "s of audio were lost" in error["message"]
    account = client.messages[-1]
    assert 8_000 < account["lost_samples"] < 48_000
    assert account["received_samples"] == pytest.approx(11 * 16_000, abs=5_000)
    assert len(others) <= 1


def test_long_base64_is_decoded_beside_the_hub() -> None:
    """A native thread decodes it, so that it does not block the hub."""
    threads: list[int] = []
    pcm, said = speak(TALK)

    def in_thread(function: Callable[[], bytes]) -> bytes:
        threads.append(1)
        return function()

    client = Client(replace(parts_of(LateEngine()), in_thread=in_thread))
    client.run([base64.b64encode(pcm.tobytes()).decode(), STOP])
    assert client.messages[-1]["full_transcript"] == "".join(said) and threads


def test_at_the_deadline_what_is_known_is_final_and_the_rest_is_named() -> None:
    """The engine answers some requests, and then never again."""
    engine = _Stalling(answers=12)
    client = Client(replace(parts_of(LateEngine()), engine=engine))
    pcm, said = speak(TALK, tail_s=0)

    def frames() -> Iterator[str | bytes]:
        for piece in cut_evenly(pcm, 8_000):
            gevent.sleep(0.01)
            yield piece.tobytes()
        client.stream.end_by(time.monotonic() + 0.3)
        raise Draining("bye")

    began = time.monotonic()
    with pytest.raises(Draining, match=r"has not come to the last [1-9]\.\d s") as caught:
        client.run(frames())
    assert time.monotonic() - began < 2.0 and caught.value.close_code == 1012
    finals_text = "".join(message["text"] for message in client.of("final"))
    assert finals_text and "".join(said).startswith(finals_text)


class _Stalling(LateEngine):
    def __init__(self, *, answers: int) -> None:
        super().__init__()
        self._left = answers

    def submit(self, request: Request, on_answer: OnAnswer) -> None:
        self._left -= 1
        if self._left >= 0:
            super().submit(request, on_answer)


def test_a_stream_that_has_to_end_waits_for_no_position_of_the_grid() -> None:
    """Once it has a deadline, it asks the engine only for the last answer on each utterance."""
    engine = LateEngine(delay_s=0.05)
    asked: list[Request] = []
    submit = engine.submit

    def counting(request: Request, on_answer: OnAnswer) -> None:
        asked.append(request)
        submit(request, on_answer)

    engine.submit = counting  # type: ignore[method-assign]
    client = Client(parts_of(engine))
    pcm, said = speak([0.1] * 15, tail_s=0)
    client.stream.end_by(time.monotonic() + 30)
    with pytest.raises(Draining):
        client.run(_then_drain([pcm.tobytes()]))
    assert "".join(message["text"] for message in client.of("final")) == "".join(said)
    assert len(asked) <= 3


def _then_drain(frames: list[bytes]) -> Iterator[str | bytes]:
    yield from frames
    raise Draining("bye")


@pytest.mark.parametrize("end", ["stop", "gone", "fault", "refused"])
def test_the_audio_of_a_stream_that_has_ended_is_freed_at_once(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    kept: list[weakref.ref[RollingBuffer]] = []

    def remember(self: RollingBuffer, position: int = 0) -> None:
        kept.append(weakref.ref(self))
        begin(self, position)

    begin = RollingBuffer.__init__
    monkeypatch.setattr(RollingBuffer, "__init__", remember)
    pcm, _ = speak(TALK)
    parts = parts_of(LateEngine(fail=end == "fault"))
    client = Client(replace(parts, max_audio_samples=8_000) if end == "refused" else parts)
    gc.collect()
    gc.disable()
    try:
        with suppress(TranscriptionError):
            client.run([*raw(cut_evenly(pcm, 8_000)), *([STOP] if end == "stop" else [])])
        gevent.sleep(0.05)
        client.failures.clear()
        assert len(kept) == 1 and kept[0]() is None
    finally:
        gc.enable()
