"""Streams with lost or damaged pieces: the rest is decoded, and missing audio is reported and counted."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.audio.test_decode import encoded
from whisper_service.audio.ffmpeg import Clock
from whisper_service.audio.pcm import Block, Gap
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
    """Return the seconds of decoded audio, the seconds known to be lost, and the messages for the client."""
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
    # A loss before the first or after the last decoded audio leaves no trace in the timestamps. In an
    # MP4 that last audio is the last fragment but one.
    end = len(messages) - (14 if name.endswith("mp4") else 5)
    for lost in range(5, end, max(1, len(messages) // 20)):
        heard_s, lost_s, told = _hear([*messages[:lost], *messages[lost + 1 :]])
        assert heard_s > least_s, lost
        if name != "jfk_opus.ogg":  # the end of the last page but one may be the last known time
            assert heard_s + lost_s == pytest.approx(CLIP_S, abs=0.35), lost
        assert bool(told) == (lost_s > 0)


@pytest.mark.parametrize(
    ("name", "size", "least_s"),
    [("webm_without_second_2500_bytes.webm", 2_500, 10.0), ("fmp4_without_third_3000_bytes.mp4", 3_000, 9.0)],
)
def test_the_recorders_that_were_deaf_are_heard(name: str, size: int, least_s: float) -> None:
    """Two recordings with a lost message. At one time, nothing after the loss was decoded."""
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
    noise = np.random.default_rng(2).bytes(300_000).replace(b"\xa3", b"\0").replace(b"\x1f", b"\0")
    heard_s, lost_s, told = _hear([*_cut(webm[:20_000], 2_000), *_cut(noise, 2_000)])
    assert 3.0 < heard_s < 6.0
    assert lost_s == pytest.approx(300_000 / (len(webm) / CLIP_S), rel=0.2)
    assert "Begin a new recording" in told[0]
    assert 2 <= len(told) <= 1 + lost_s / 5


def test_after_a_stream_was_given_up_a_new_one_is_heard() -> None:
    webm = (CLIPS / "jfk_opus_live_noduration.webm").read_bytes()
    heard_s, _, told = _hear([*_cut(webm[:20_000], 2_000), *_cut(bytes(100_000), 2_000), *_cut(webm, 2_000)])
    assert heard_s == pytest.approx(CLIP_S + 4.5, abs=1.5) and told


def test_a_stream_whose_header_is_broken_is_an_error() -> None:
    messages = _cut((CLIPS / "jfk_aac_fragmented.mp4").read_bytes(), 500)
    heard_s, _, told = _hear([messages[0], *messages[2:]])
    assert heard_s == 0.0 and told


def _with_serial(ogg: bytes, serial: bytes) -> bytes:
    """Return an Ogg whose pages have another serial number. Source: RFC 3533, section 6."""
    pages = bytearray()
    at = 0
    while at < len(ogg):
        segments = ogg[at + 26]
        end = at + 27 + segments + sum(ogg[at + 27 : at + 27 + segments])
        page = bytearray(ogg[at:end])
        page[14:18], page[22:26] = serial, bytes(4)
        crc = 0
        for byte in page:
            crc ^= byte << 24
            for _ in range(8):
                crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
        page[22:26] = crc.to_bytes(4, "little")
        pages += page
        at = end
    return bytes(pages)


@pytest.mark.parametrize("name", ["jfk_opus.ogg", "jfk_opus_live_noduration.webm", "jfk_aac_fragmented.mp4"])
@pytest.mark.parametrize("size", [700, 2_500, 1 << 20])
def test_one_stream_after_another_is_heard(name: str, size: int) -> None:
    """The second stream's timestamps begin anew. They do not mean that its audio was already decoded."""
    data = (CLIPS / name).read_bytes()
    second = _with_serial(data, b"abcd") if name.endswith("ogg") else data
    messages = _cut(data, size) + _cut(second, size)
    heard_s, lost_s, told = _hear(messages)
    assert (heard_s, lost_s, told) == (pytest.approx(2 * CLIP_S, abs=0.2), 0.0, [])


@pytest.mark.parametrize(("jitter_s", "every"), [(0.03, 1), (0.08, 10)])
def test_timestamps_may_jitter(jitter_s: float, every: int) -> None:
    clock, dice = Clock(), np.random.default_rng(0)
    heard = lost = 0.0
    for number in range(500):
        block = Block(np.zeros((960, 1), np.float32), 48_000)
        late = dice.uniform(-jitter_s, jitter_s) if every == 1 else jitter_s * (number % every == 0)
        for item in clock.place(block, number * 0.02 + late):
            if isinstance(item, Gap):
                lost += item.seconds
            else:
                heard += item.samples.shape[0] / 48_000
    assert (heard, lost) == (pytest.approx(10.0), 0.0)


def _made(form: str, *, video: bool, seconds: int, options: dict[str, str]) -> bytes:
    """Return a recording of a tone, with a video track of noise if ``video`` is set."""
    file = io.BytesIO()
    codec = "libopus" if form == "webm" else "aac"
    with av.open(file, "w", format=form, options=options) as container:
        picture = container.add_stream("libvpx" if form == "webm" else "mpeg4", rate=10) if video else None
        sound = container.add_stream(codec, rate=48_000, layout="mono")
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt, picture.bit_rate = 320, 240, "yuv420p", 1_000_000
        dice = np.random.default_rng(0)
        resampler = av.AudioResampler(
            "fltp" if codec == "aac" else "flt", "mono", 48_000, 960 if codec != "aac" else 1024
        )
        for second in range(seconds):
            if picture is not None:
                for number in range(10):
                    noise = dice.integers(0, 255, (240, 320, 3), np.uint8)
                    shot = av.VideoFrame.from_ndarray(noise, format="rgb24")
                    shot.pts = 10 * second + number
                    container.mux(picture.encode(shot))
            time_ = np.arange(48_000) + 48_000 * second
            tone = (0.3 * np.sin(2 * np.pi * 300 / 48_000 * time_)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, 48_000 * second
            frame.time_base = Fraction(1, 48_000)
            for piece in resampler.resample(frame):
                container.mux(sound.encode(piece))
        for stream in container.streams:
            container.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("mp4", {"movflags": "frag_custom+empty_moov", "frag_duration": "4000000"}),
        ("mp4", {"movflags": "frag_keyframe+empty_moov+default_base_moof"}),
        ("webm", {"live": "1", "cluster_time_limit": "5000"}),
    ],
)
@pytest.mark.parametrize("size", [4_096, 1 << 24])
def test_a_recording_with_pictures_is_heard(form: str, options: dict[str, str], size: int) -> None:
    data = _made(form, video=True, seconds=12, options=options)
    heard_s, lost_s, told = _hear(_cut(data, size))
    assert (heard_s, lost_s, told) == (pytest.approx(12.0, abs=0.2), 0.0, [])


@pytest.mark.parametrize("cluster_ms", [2_000, 10_000, 20_000])
def test_a_lost_head_of_a_cluster_costs_little(cluster_ms: int) -> None:
    options = {"live": "1", "cluster_time_limit": str(cluster_ms), "cluster_size_limit": "10000000"}
    data = _made("webm", video=False, seconds=45, options=options)
    messages = _cut(data, 2_500)
    heads = [at for at in range(1, len(messages)) if b"\x1f\x43\xb6\x75" in messages[at]]
    lost = heads[0]
    heard_s, lost_s, told = _hear([*messages[:lost], *messages[lost + 1 :]])
    assert heard_s > 43.0 and told
    assert heard_s + lost_s == pytest.approx(45.0, abs=0.5)


def test_what_stands_at_the_end_of_a_recording_is_no_loss() -> None:
    cues = b"\x1c\x53\xbb\x6b" + (0x10000000 | 60_000).to_bytes(4, "big") + bytes(60_000)
    free = (200_000).to_bytes(4, "big") + b"free" + bytes(199_992)
    for name, rest in (("jfk_opus_live_noduration.webm", cues), ("jfk_aac_fragmented.mp4", free)):
        data = (CLIPS / name).read_bytes() + rest
        for size in (2_500, 1 << 20):
            heard_s, lost_s, told = _hear(_cut(data, size))
            assert (heard_s, lost_s, told) == (pytest.approx(CLIP_S, abs=0.1), 0.0, [])


@pytest.mark.parametrize(
    "noise",
    [
        b"\xa3\x85\x81\0\0\x80\xff" * 8_000,
        b"\xa3" * 256_000,
        b"\x1f\x43\xb6\x75" * 64_000,
        (b"\0\0\0\x10moof\0\0\0\x08mfhd") * 8_000,
    ],
)
@pytest.mark.parametrize("name", ["jfk_opus_live_noduration.webm", "jfk_aac_fragmented.mp4"])
def test_noise_that_looks_like_a_place_to_go_on_takes_linear_time(name: str, noise: bytes) -> None:
    began = time.process_time()
    _hear(_cut((CLIPS / name).read_bytes()[:60_000] + noise, 2_000))
    assert time.process_time() - began < 3.0


def test_a_reader_that_nobody_reads_to_its_end_frees_its_place() -> None:
    threads = ContainerThreads(1)
    data = encoded("pcm_s16be", "aiff", np.zeros((1, 16_000 * 60), np.float32), 16_000)
    for _ in range(3):
        reader = SliceReader(declared=None, undeclared=None, containers=threads)
        items = reader.read(data)
        next(items)
        items.close()  # type: ignore[attr-defined]
        reader.abort()
    assert threads._open == 0


def test_metadata_of_a_flac_is_passed_over() -> None:
    flac = (CLIPS / "jfk_16k.flac").read_bytes()
    padding = b"\x01" + (1_000_000).to_bytes(3, "big") + bytes(1_000_000)
    heard_s, _, told = _hear(_cut(flac[:42] + padding * 5 + flac[42:], 50_000))
    assert heard_s == pytest.approx(CLIP_S, abs=0.1) and not told
    _, _, told = _hear(_cut(flac[:42] + padding * 40, 1_000_000))
    assert "metadata" in told[0]
