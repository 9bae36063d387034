"""Messages become one stream: one clip in fourteen formats, cut in any way, gives the same audio."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from whisper_service.audio.decode import decode
from whisper_service.audio.pcm import Gap
from whisper_service.audio.slices import SliceReader
from whisper_service.audio.stream import ContainerThreads
from whisper_service.config import RawFormat
from whisper_service.errors import AudioError, BadAudio, Full, UnsupportedAudio

CLIPS = Path(__file__).resolve().parents[1] / "data" / "containers"
LOSSY = 0.9
LOSSLESS = 0.99
FORMS = {
    "jfk.mp3": LOSSY,
    "jfk_16k.flac": LOSSLESS,
    "jfk_16k_mono_s16.raw": LOSSLESS,
    "jfk_16k_mono_s16.wav": LOSSLESS,
    "jfk_16k_mono_s24.wav": LOSSLESS,
    "jfk_44k1_stereo_s16.wav": LOSSLESS,
    "jfk_48k_mono_f32.wav": LOSSLESS,
    "jfk_8k_alaw.wav": LOSSY,
    "jfk_8k_mulaw.wav": LOSSY,
    "jfk_aac_fragmented.mp4": LOSSY,
    "jfk_opus.ogg": LOSSY,
    "jfk_opus.webm": LOSSY,
    "jfk_opus_live_noduration.webm": LOSSY,
}
WHOLE_ONLY = "jfk_aac.m4a"
ORIGINAL = decode((CLIPS / "jfk_16k_mono_s16.wav").read_bytes()).samples
S16 = RawFormat("s16le", 16_000, 1)


def _reader(declared: RawFormat | None = None, *, limit: int = 4) -> SliceReader:
    return SliceReader(
        declared=declared,
        undeclared=None,
        containers=ContainerThreads(limit),
    )


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def _read(reader: SliceReader, messages: Iterable[bytes]) -> np.ndarray:
    items = [item for message in messages for item in reader.read(message)]
    items += reader.finish()
    assert not [item for item in items if isinstance(item, Gap)]
    return np.concatenate(items)


def _assert_same(pcm: np.ndarray, least: float) -> None:
    """Check the length of ``pcm``, and its correlation with the original at a shift of up to 50 ms."""
    assert abs(pcm.shape[0] - ORIGINAL.shape[0]) <= 800
    count = min(pcm.shape[0], ORIGINAL.shape[0])
    spectrum = np.fft.rfft(ORIGINAL[:count], 2 * count) * np.conj(np.fft.rfft(pcm[:count], 2 * count))
    correlation = np.fft.irfft(spectrum)
    best = correlation / np.linalg.norm(ORIGINAL[:count]) / np.linalg.norm(pcm[:count])
    assert max(best[:801].max(), best[-800:].max()) > least


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("size", [1, 37, 1_000, 20_000, 100_000])
def test_every_form_cut_anywhere_is_the_same_audio(name: str, size: int) -> None:
    data = (CLIPS / name).read_bytes()
    # Of small messages the first 8,000 are enough: a reader that survives these survives the rest.
    small = 8_000 * size if size < 1_000 else 0
    pieces = [*_cut(data[:small], size), *_cut(data[small:], max(size, 1_000))]
    _assert_same(_read(_reader(S16 if name.endswith(".raw") else None), pieces), FORMS[name])


@pytest.mark.parametrize("name", [*FORMS, WHOLE_ONLY])
def test_every_form_in_one_message_is_the_same_audio(name: str) -> None:
    reader = _reader(S16 if name.endswith(".raw") else None)
    _assert_same(_read(reader, [(CLIPS / name).read_bytes()]), FORMS.get(name, LOSSY))


def test_an_mp4_with_its_index_last_is_refused_as_a_stream_with_what_to_do() -> None:
    with pytest.raises(UnsupportedAudio, match="send it in one message, or record fragmented MP4 or WebM"):
        _read(_reader(), _cut((CLIPS / WHOLE_ONLY).read_bytes(), 20_000))


@pytest.mark.parametrize(
    ("name", "frame_s"),
    [
        ("jfk.mp3", 0.053),
        ("jfk_16k.flac", 0.144),  # a frame of 72 ms, and the next one, which is still arriving
        ("jfk_opus.webm", 0.021),
        ("jfk_aac_fragmented.mp4", 0.024),
    ],
)
def test_little_is_held_back(name: str, frame_s: float) -> None:
    """Of the frames that have arrived whole, at most 0.1 s and a tenth of ``frame_s`` are held back."""
    data = (CLIPS / name).read_bytes()
    whole = decode(data)
    reader, heard, worst = _reader(), 0.0, 0.0
    arrived = _arrivals(CLIPS / name)
    for start in range(0, len(data), 50):
        heard += sum(block.shape[0] for block in reader.read(data[start : start + 50])) / 16_000
        worst = max(worst, arrived(start + 50) - heard)
    reader.abort()
    assert whole.samples.shape[0] and worst <= 0.1 + frame_s / 10, worst


def _arrivals(path: Path):  # type: ignore[no-untyped-def]
    """Return a function: the seconds of audio in whole packets within the first ``count`` bytes of a file."""
    import av

    with av.open(str(path)) as container:
        ends = [
            (packet.pos + packet.size, float((packet.pts + packet.duration) * packet.time_base))
            for packet in container.demux(container.streams.audio[0])
            if packet.size and packet.pts is not None and packet.pos is not None
        ]
    return lambda count: max((end_s for end, end_s in ends if end <= count), default=0.0)


@pytest.mark.parametrize("name", ["jfk_opus.webm", "jfk_opus.ogg", "jfk_aac_fragmented.mp4", "jfk_16k.flac"])
def test_a_new_header_begins_a_new_container(name: str) -> None:
    data = (CLIPS / name).read_bytes()
    once = _read(_reader(), [data])
    twice = _read(_reader(), [*_cut(data, 9_000), *_cut(data, 9_000)])
    assert abs(twice.shape[0] - 2 * once.shape[0]) <= 2


@pytest.mark.parametrize("name", [name for name in FORMS if not name.endswith((".wav", ".raw"))])
def test_a_container_cut_off_in_the_middle_gives_what_came(name: str) -> None:
    data = (CLIPS / name).read_bytes()
    pcm = _read(_reader(), _cut(data[: len(data) // 2], 3_000))
    assert 4.0 < pcm.shape[0] / 16_000 < 7.0


@pytest.mark.parametrize("magic", [b"fLaC", b"OggS\0\2", b"\x1a\x45\xdf\xa3", b"\0\0\0\x18ftypiso5"])
def test_broken_contents_are_an_error_and_the_next_container_is_heard(magic: bytes) -> None:
    reader = _reader()
    with pytest.raises(AudioError):
        for message in (magic + b"\x55" * 3_000, b"\x55" * 3_000):
            list(reader.read(message))
        list(reader.finish())
    _assert_same(_read(reader, [(CLIPS / "jfk_opus.webm").read_bytes()]), LOSSY)


def test_too_many_containers_are_refused_with_a_hint_and_make_room_again() -> None:
    threads = ContainerThreads(1)
    readers = [SliceReader(declared=None, undeclared=None, containers=threads) for _ in range(2)]
    data = (CLIPS / "jfk_opus.webm").read_bytes()
    list(readers[0].read(data[:5_000]))
    with pytest.raises(Full, match="Send WAV or raw samples"):
        list(readers[1].read(data[:5_000]))
    readers[0].abort()
    _assert_same(_read(readers[1], [data]), LOSSY)


def test_a_lying_header_does_not_swallow_the_slices_behind_it() -> None:
    wav = (CLIPS / "jfk_16k_mono_s16.wav").read_bytes()
    header, body = wav[:78], wav[78:]
    slices = [header + part for part in _cut(body, 16_000)]  # each header states eleven seconds
    _assert_same(_read(_reader(), slices), LOSSLESS)


def test_a_wav_cut_off_in_its_header_is_an_error_and_the_next_is_heard() -> None:
    wav = (CLIPS / "jfk_16k_mono_s16.wav").read_bytes()
    reader, heard = _reader(), []
    list(reader.read(wav[:20]))
    with pytest.raises(BadAudio, match="cut off within its header"):
        for block in reader.read(wav):
            heard.append(block)
    _assert_same(np.concatenate(heard), LOSSLESS)


@pytest.mark.parametrize("data", [b"hello", b"\x55" * 5_000, b""])
def test_what_is_no_audio_is_refused(data: bytes) -> None:
    reader = _reader()
    with pytest.raises(UnsupportedAudio):
        list(reader.read(data))
        list(reader.finish())
