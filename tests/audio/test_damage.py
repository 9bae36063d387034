"""Streams of which pieces are lost or damaged: the rest is heard, and what is missing is told and counted."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from whisper_service.audio.pcm import Gap
from whisper_service.audio.slices import SliceReader
from whisper_service.audio.stream import ContainerThreads
from whisper_service.errors import AudioError

DATA = Path(__file__).resolve().parents[1] / "data"
CLIPS = DATA / "containers"
CASES = DATA / "cases"
RATE = 16_000
CLIP_S = 11.0


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def _hear(messages: Iterable[bytes]) -> tuple[float, float, list[str]]:
    """Return how many seconds were heard, how many are known to be lost, and what the client is told."""
    reader = SliceReader(declared=None, undeclared=None, containers=ContainerThreads(4))
    heard = lost = 0.0
    told: list[str] = []
    for read in (*((reader.read, message) for message in messages), (reader.finish,)):
        try:
            for item in read[0](*read[1:]):  # type: ignore[operator]
                if isinstance(item, Gap):
                    lost += item.seconds
                    told += [item.reason] if item.reason else []
                else:
                    heard += item.shape[0] / RATE
        except AudioError as problem:
            lost += problem.lost_samples / RATE
            told.append(str(problem))
    reader.abort()
    return heard, lost, told


@pytest.mark.parametrize(
    ("name", "size", "least_s"),
    [
        ("jfk_opus_live_noduration.webm", 2_500, 8.5),
        ("jfk_opus_live_noduration.webm", 500, 10.0),
        ("jfk_aac_fragmented.mp4", 3_000, 8.5),
        ("jfk_opus.ogg", 2_500, 8.5),
        ("jfk_16k.flac", 2_000, 10.5),
        ("jfk.mp3", 1_000, 10.5),
    ],
)
def test_a_lost_message_costs_little_and_is_counted(name: str, size: int, least_s: float) -> None:
    messages = _cut((CLIPS / name).read_bytes(), size)
    # What is lost before the first sound or after the last one leaves no trace in the clock.
    for lost in range(5, len(messages) - 5, max(1, len(messages) // 20)):
        heard_s, lost_s, told = _hear([*messages[:lost], *messages[lost + 1 :]])
        assert heard_s > least_s, lost
        if name != "jfk_opus.ogg":  # the end of the last page but one may be the last that is known
            assert heard_s + lost_s == pytest.approx(CLIP_S, abs=0.35), lost
        assert bool(told) == (lost_s > 0)


@pytest.mark.parametrize(
    ("name", "size", "least_s"),
    [("webm_without_second_2500_bytes.webm", 2_500, 8.5), ("fmp4_without_third_3000_bytes.mp4", 3_000, 9.5)],
)
def test_the_recorders_that_were_deaf_are_heard(name: str, size: int, least_s: float) -> None:
    heard_s, lost_s, told = _hear(_cut((CASES / "container-lost-chunk" / name).read_bytes(), size))
    assert heard_s > least_s
    assert heard_s + lost_s == pytest.approx(CLIP_S, abs=0.35)
    assert told


@pytest.mark.parametrize("name", ["jfk_opus_live_noduration.webm", "jfk_opus.webm", "jfk_aac_fragmented.mp4"])
def test_damaged_bytes_are_lost_samples_and_what_follows_keeps_its_time(name: str) -> None:
    data = bytearray((CLIPS / name).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2_000] = np.random.default_rng(1).bytes(2_000)
    heard_s, lost_s, told = _hear(_cut(bytes(data), 2_000))
    assert 0.05 < lost_s < 3.0 and told
    assert heard_s + lost_s == pytest.approx(CLIP_S, abs=0.35)


def test_a_stream_that_cannot_be_taken_up_again_is_given_up_in_words_and_counted() -> None:
    webm = (CLIPS / "jfk_opus_live_noduration.webm").read_bytes()
    noise = np.random.default_rng(2).bytes(100_000).replace(b"\xa3", b"\0").replace(b"\x1f", b"\0")
    heard_s, lost_s, told = _hear([*_cut(webm[:20_000], 2_000), *_cut(noise, 2_000)])
    assert 3.0 < heard_s < 6.0
    assert lost_s == pytest.approx(100_000 / (len(webm) / CLIP_S), rel=0.2)
    assert "Begin a new recording" in told[0]
    assert 2 <= len(told) <= 1 + lost_s / 5


def test_after_a_stream_was_given_up_a_new_one_is_heard() -> None:
    webm = (CLIPS / "jfk_opus_live_noduration.webm").read_bytes()
    heard_s, _, told = _hear([*_cut(webm[:20_000], 2_000), *_cut(bytes(60_000), 2_000), *_cut(webm, 2_000)])
    assert heard_s == pytest.approx(CLIP_S + 4.5, abs=1.5) and told


def test_a_stream_whose_header_is_broken_is_an_error() -> None:
    messages = _cut((CLIPS / "jfk_aac_fragmented.mp4").read_bytes(), 500)
    heard_s, _, told = _hear([messages[0], *messages[2:]])
    assert heard_s == 0.0 and told
