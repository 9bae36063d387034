"""The client's clock: from the place that it names, the same samples come again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from benchmarks.slices import wav_slices
from tests.fakes import Samples, cut_evenly
from whisper_service.audio.clock import ClientClock, Origin
from whisper_service.audio.pcm import SAMPLE_RATE, Recording
from whisper_service.audio.slices import SliceReader
from whisper_service.audio.stream import ContainerThreads
from whisper_service.config import RawFormat
from whisper_service.errors import BadAudio

RATES = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000]


def _reader(raw: RawFormat | None, clock: ClientClock | None = None, skipped: int = 0) -> SliceReader:
    return SliceReader(
        declared=raw, undeclared=None, containers=ContainerThreads(4), clock=clock, skipped=skipped
    )


def _read(reader: SliceReader, messages: Iterable[bytes]) -> Samples:
    pieces = [piece for data in messages for piece in reader.read(data)]
    return np.concatenate([*pieces, *reader.finish()])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_same_samples_come_again_from_a_place(rate: int, channels: int) -> None:
    raw = RawFormat("f32le", rate, channels)
    dice = np.random.default_rng(rate)
    frames = dice.uniform(-0.5, 0.5, (rate * 4, channels)).astype(np.float32)
    if channels == 2:
        frames[:, 1] = -frames[:, 0]  # the channels cancel each other
    reader = _reader(raw)
    whole = _read(reader, [piece.tobytes() for piece in cut_evenly(frames, rate // 3)])
    assert (reader.clock.received, reader.clock.rate) == (rate * 4, rate)
    for needed in (0, 1_000, 30_001, 40_000):
        clock = ClientClock()
        clock.count(rate * 4, rate)
        origin = clock.origin_before(needed)
        assert origin.position * rate == origin.sample * SAMPLE_RATE and origin.position <= needed
        assert needed < 6_400 or needed - origin.position <= 6_400
        again = _reader(raw, ClientClock(origin, received=origin.sample))
        heard = _read(again, [piece.tobytes() for piece in cut_evenly(frames[origin.sample :], rate // 5)])
        assert np.array_equal(heard[needed - origin.position :], whole[needed:])
        assert again.clock.received == rate * 4


def test_samples_that_come_too_early_are_dropped() -> None:
    pcm = np.arange(30_000, dtype=np.float32) / 40_000
    reader = _reader(RawFormat("f32le", 16_000, 1), ClientClock(Origin(1_600, 16_000, 1_600)), skipped=12_345)
    heard = _read(reader, [piece.tobytes() for piece in cut_evenly(pcm, 5_000)])
    assert np.array_equal(heard, pcm[12_345:]) and reader.clock.received == 30_000 - 12_345


def test_a_later_place_lies_on_a_whole_sample() -> None:
    assert Origin(0, 44_100, 0).moved_to(1) == Origin(441, 44_100, 160)
    assert Origin(0, 44_100, 0).moved_to(882) == Origin(882, 44_100, 320)
    assert Origin(0, 48_000, 0).moved_to(4) == Origin(6, 48_000, 2)


def test_places_never_go_back() -> None:
    clock = ClientClock(Origin(48_000, 16_000, 48_000), received=48_000)
    clock.count(16_000, 16_000)
    assert clock.origin_before(10_000) == Origin(48_000, 16_000, 48_000)
    assert clock.origin_before(60_000) == Origin(57_600, 16_000, 57_600)
    assert clock.origin_before(0) == Origin(57_600, 16_000, 57_600)


def test_another_rate_leaves_the_last_place_before_it() -> None:
    clock = ClientClock()
    clock.count(48_000, 16_000)
    assert clock.origin_before(30_000).sample == 27_200
    clock.count(44_100, 44_100)
    assert clock.origin_before(60_000).sample == 27_200


@pytest.mark.parametrize(
    ("lost", "received", "place"), [(8_000, 66_150, 48_510), (0, 44_100, 0), (1, 44_102, 0)]
)
def test_a_refused_slice_leaves_the_clock_right_only_if_its_length_is_known(
    lost: int, received: int, place: int
) -> None:
    clock = ClientClock()
    clock.count(44_100, 44_100)
    clock.lose(lost)
    assert clock.received == received
    assert clock.origin_before(20_000).sample == place


def test_a_container_has_no_place_but_its_beginning(tmp_path: object) -> None:
    from tests.conftest import ROOT

    [name] = sorted((ROOT / "tests" / "data" / "containers").glob("*.webm"))[:1]
    reader = _reader(None)
    _read(reader, [name.read_bytes()])
    assert reader.clock.received > 0 and reader.clock.origin_before(10_000).sample == 0


def test_wavs_count_like_raw_samples() -> None:
    pcm = np.linspace(-0.5, 0.5, 24_000, dtype=np.float32)
    reader = _reader(None)
    _read(reader, wav_slices(Recording(pcm, 48_000), slice_ms=100))
    assert (reader.clock.received, reader.clock.rate) == (24_000, 48_000)
    with pytest.raises(BadAudio):
        list(reader.read(b"RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + bytes(16) + b"data" + bytes(4)))
