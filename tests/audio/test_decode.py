import base64
import io
import struct
import wave
from fractions import Fraction

import av
import numpy as np
import pytest

from whisper_service.audio.decode import RawReader, _at_one_rate, decode, decode_base64
from whisper_service.audio.mixing import Downmix
from whisper_service.audio.pcm import Recording
from whisper_service.audio.recognise import Kind, recognise
from whisper_service.audio.wav import WavReader, is_wav
from whisper_service.config import RawFormat
from whisper_service.errors import BadAudio, BadBase64, UnsupportedAudio


def tone(rate: int = 16000, seconds: float = 0.5) -> np.ndarray:
    """Return a rising tone, float32 in [-0.5, 0.5], shape ``(n,)``."""
    time = np.arange(round(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * (300 + 400 * time) * time)).astype(np.float32)


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def fmt(tag: int = 1, *, channels: int = 1, rate: int = 16000, bits: int = 16) -> bytes:
    frame = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits))


def riff(*chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, chunks))) + b"WAVE" + b"".join(chunks)


def encoded(codec: str, form: str, samples: np.ndarray, rate: int, layout: str = "mono") -> bytes:
    """Return a file made by PyAV from float32 ``samples`` of shape ``(channels, n)``."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler(stream.format.name, layout, rate, stream.codec_context.frame_size)
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(piece))
    return file.getvalue()


def likeness(ours: np.ndarray, reference: np.ndarray) -> float:
    count = min(len(ours), len(reference))
    return float(np.corrcoef(ours[:count], reference[:count])[0, 1])


INT16 = np.array([0, 1, -1, 32767, -32768], "<i2").tobytes()
FLOATS = [0.0, 2**-15, -(2**-15), 32767 / 32768, -1.0]


def test_decode_wav_reads_what_the_wave_module_writes() -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(22050)
        writer.writeframes(INT16)
    pcm = decode(file.getvalue())
    assert (pcm.rate, pcm.samples.dtype, pcm.samples.tolist()) == (22050, np.float32, FLOATS)


@pytest.mark.parametrize(
    ("codec", "tolerance"),
    [
        ("pcm_u8", 1 / 100),
        ("pcm_s16le", 1e-4),
        ("pcm_s24le", 1e-6),
        ("pcm_s32le", 1e-7),
        ("pcm_f32le", 0),
        ("pcm_f64le", 0),
        ("pcm_mulaw", 1 / 50),
        ("pcm_alaw", 1 / 50),
    ],
)
def test_decode_wav_reads_every_coding(codec: str, tolerance: float) -> None:
    samples = tone(8000)
    ours = decode(encoded(codec, "wav", samples[None], 8000)).samples
    assert np.abs(ours - samples).max() <= tolerance


@pytest.mark.parametrize(("tag", "codec"), [(7, "pcm_mulaw"), (6, "pcm_alaw")])
def test_decode_wav_reads_all_g711_codes_as_ffmpeg_does(tag: int, codec: str) -> None:
    data = riff(fmt(tag, bits=8), chunk(b"data", bytes(range(256))))
    with av.open(io.BytesIO(data)) as container:
        reference = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert np.array_equal(decode(data).samples, reference / np.float32(32768))


def test_decode_wav_averages_the_channels() -> None:
    data = riff(fmt(channels=2), chunk(b"data", np.array([16384, 8192, -16384, 16384], "<i2").tobytes()))
    assert decode(data).samples.tolist() == [0.375, 0.0]


def test_decode_wav_reads_wave_format_extensible() -> None:
    guid = bytes.fromhex("0100000000001000800000aa00389b71")
    body = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 48000, 192000, 4, 32, 22, 24, 4) + guid
    data = riff(chunk(b"fmt ", body), chunk(b"data", struct.pack("<i", 1 << 30)))
    assert decode(data).samples.tolist() == [0.5]


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 4096])
def test_decode_wav_reads_to_the_end_where_the_header_lies(size: int) -> None:
    assert len(decode(riff(fmt(), chunk(b"data", INT16, size))).samples) == 5


def test_decode_wav_stops_at_the_length_in_the_header() -> None:
    assert len(decode(riff(fmt(), chunk(b"data", INT16), chunk(b"LIST", b"abcdef"))).samples) == 5


def test_decode_wav_reads_chunks_in_any_order() -> None:
    data = riff(chunk(b"junk", b"odd"), chunk(b"data", INT16), chunk(b"fact", b"1234"), fmt())
    assert decode(data).samples.tolist() == FLOATS


def test_decode_wav_reads_the_length_of_rf64() -> None:
    sizes = chunk(b"ds64", struct.pack("<QQQI", 0, len(INT16), 5, 0))
    data = riff(sizes, fmt(), chunk(b"data", INT16, 0xFFFFFFFF), chunk(b"LIST", b"abcdef"))
    assert len(decode(b"RF64\xff\xff\xff\xff" + data[8:]).samples) == 5


def test_decode_wav_drops_a_partial_last_frame() -> None:
    assert len(decode(riff(fmt(), chunk(b"data", INT16 + b"\1"))).samples) == 5


@pytest.mark.parametrize("after", [b"", chunk(b"LIST", b"abcdef")])
def test_decode_wav_takes_an_empty_data_chunk(after: bytes) -> None:
    assert len(decode(riff(fmt(), chunk(b"data", b""), after)).samples) == 0


def test_decode_wav_silences_nan_and_clips() -> None:
    body = np.array([np.nan, np.inf, 3.0, -3.0, 0.5], "<f4").tobytes()
    assert decode(riff(fmt(3, bits=32), chunk(b"data", body))).samples.tolist() == [0, 0, 1, -1, 0.5]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (riff(chunk(b"data", INT16)), "no 'fmt ' chunk"),
        (riff(fmt()), "no data chunk"),
        (riff(chunk(b"fmt ", b"\1\0"), chunk(b"data", INT16)), "under 16 bytes"),
        (riff(fmt(rate=999), chunk(b"data", INT16)), "999 Hz is out of range"),
        (riff(fmt(channels=33), chunk(b"data", INT16)), "33 channels are out of range"),
        (riff(fmt(channels=0), chunk(b"data", INT16)), "0 channels are out of range"),
    ],
)
def test_decode_wav_says_what_is_broken(data: bytes, message: str) -> None:
    with pytest.raises(BadAudio, match=message):
        decode(data)


def test_decode_wav_tells_the_length_of_an_unknown_coding() -> None:
    data = riff(fmt(0x1234, bits=8), chunk(b"data", bytes(8000)))
    with pytest.raises(UnsupportedAudio, match="coding 0x1234") as caught:
        decode(data)
    assert caught.value.lost_samples == 8000


def test_decode_wav_survives_every_cut() -> None:
    data = riff(fmt(), chunk(b"data", INT16))
    for end in range(44):
        with pytest.raises((BadAudio, UnsupportedAudio)):
            decode(data[:end])


def test_decode_leaves_compressed_wav_to_ffmpeg() -> None:
    samples = tone(8000)
    assert likeness(decode(encoded("adpcm_ms", "wav", samples[None], 8000)).samples, samples) > 0.99


def _raw(data: bytes, encoding: str, channels: int) -> list[float]:
    mixer = Downmix()
    blocks = RawReader(RawFormat(encoding, 8000, channels)).read(data)
    return [float(sample) for block in blocks for sample in mixer.mix(block)]


def test_raw_s16le() -> None:
    assert _raw(INT16, "s16le", 1) == FLOATS


def test_raw_f32le_stereo() -> None:
    data = np.array([0.25, 0.5, np.nan, 1.0], "<f4").tobytes()
    assert _raw(data, "f32le", 2) == [0.375, 0.5]


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_raw_samples_may_be_cut_anywhere(size: int) -> None:
    data = np.arange(4000, dtype="<i2").tobytes()
    reader = RawReader(RawFormat("s16le", 8000, 2))
    cuts = [data[start : start + size] for start in range(0, len(data), size)]
    pieces = [block for cut in cuts for block in reader.read(cut)]
    mixer = Downmix()
    assert np.concatenate([mixer.mix(piece) for piece in pieces]).tolist() == _raw(data, "s16le", 2)


@pytest.mark.parametrize(("rate", "channels"), [(0, 1), (10**9, 1), (8000, 0), (8000, 33)])
def test_raw_refuses_what_no_device_has(rate: int, channels: int) -> None:
    with pytest.raises(BadAudio, match="out of range"):
        RawReader(RawFormat("s16le", rate, channels))


def test_a_wav_that_promises_more_is_read_on() -> None:
    samples = np.arange(1000, dtype="<i2").tobytes()
    reader = WavReader()
    pieces = list(reader.read(riff(fmt(), chunk(b"data", samples[:776], size=1900))))
    assert reader.promised
    pieces += [*reader.read(samples[776:1001]), *reader.read(samples[1001:])]
    assert not reader.promised
    joined = np.concatenate([piece.samples[:, 0] for piece in pieces])
    assert joined.tolist() == (np.arange(950) / 32768).tolist()


@pytest.mark.parametrize(
    ("codec", "form", "rate", "least"),
    [
        ("flac", "flac", 16000, 0.9999),
        ("pcm_s16be", "aiff", 44100, 0.9999),
        ("pcm_s16be", "au", 44100, 0.9999),
        ("pcm_s24be", "caf", 44100, 0.9999),
        ("pcm_s16le", "w64", 44100, 0.9999),
        ("libopus", "ogg", 48000, 0.99),
        ("libopus", "webm", 48000, 0.99),
        ("libmp3lame", "mp3", 44100, 0.99),
        ("aac", "ipod", 44100, 0.99),
    ],
)
def test_decode_reads_every_container(codec: str, form: str, rate: int, least: float) -> None:
    samples = tone(rate, 1.0)
    pcm = decode(encoded(codec, form, samples[None], rate))
    assert pcm.rate == rate
    assert likeness(pcm.samples, samples) > least


def test_decode_reads_aac_without_a_container() -> None:
    samples = tone(44100, 1.0)
    pcm = decode(encoded("aac", "adts", samples[None], 44100))
    assert likeness(pcm.samples[1024:], samples) > 0.99  # ADTS cannot say that its first frame is padding


def test_decode_file_averages_the_channels() -> None:
    samples = tone()
    pcm = decode(encoded("flac", "flac", np.stack([samples, 0 * samples]), 16000, "stereo"))
    assert np.abs(pcm.samples - samples / 2).max() < 1e-4


def test_decode_file_resamples_to_the_first_rate() -> None:
    blocks = list(_at_one_rate(iter([Recording(tone(rate), rate) for rate in (16000, 48000, 48000, 16000)])))
    assert {block.rate for block in blocks} == {16000}
    assert sum(len(block.samples) for block in blocks) == 32000


def test_decode_file_stops_at_the_limit() -> None:
    data = encoded("flac", "flac", np.zeros((1, 32000), np.float32), 16000)
    with pytest.raises(BadAudio, match="more than 16000 samples"):
        decode(data, max_samples=16_000)


def test_decode_file_refuses_a_file_without_audio() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width = stream.height = 16
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))
        for picture in (frame, None):
            container.mux(stream.encode(picture))
    with pytest.raises(UnsupportedAudio, match="no audio stream"):
        decode(file.getvalue())


@pytest.mark.parametrize("magic", [b"fLaC", b"OggS", b"\x1a\x45\xdf\xa3", b"ID3", b"\0\0\0\x20ftypM4A "])
def test_decode_file_refuses_broken_contents_in_silence(
    magic: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadAudio, match="must come whole|no audio that can be decoded|cut off|FLAC stream"):
        decode(magic + b"\x55" * 2000)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("data", [b"", b"hello", b"#EXTM3U\nhttp://127.0.0.1/a.wav\n", INT16 * 100])
def test_decode_refuses_what_is_no_audio(data: bytes) -> None:
    with pytest.raises(UnsupportedAudio, match="Send each message as one whole file: WAV, FLAC"):
        decode(data)


def test_container_format_does_not_take_raw_samples_for_mp3() -> None:
    random = np.random.default_rng(3)
    noise = [b"\xff\xfb" + random.integers(-300, 300, 4000).astype("<i2").tobytes() for _ in range(200)]
    assert {recognise(data).kind for data in noise} <= {Kind.UNKNOWN}


def test_is_wav_looks_at_both_marks() -> None:
    assert [is_wav(data) for data in (riff(), b"RIFF\0\0\0\0AVI ", b"RIFF")] == [True, False, False]


@pytest.mark.parametrize(
    "text",
    [
        "+/8AAQ==",
        "+/8AAQ",
        "-_8AAQ",
        " +/8A\r\nAQ==\n",
        "data:audio/wav;base64,+/8AAQ==",
        "data:audio/webm;codecs=opus;BASE64,-_8AAQ",
    ],
)
def test_decode_base64_tolerates(text: str) -> None:
    assert decode_base64(text) == b"\xfb\xff\x00\x01"


@pytest.mark.parametrize("text", ["hello!", "a", "+/8=AAQ=", "+/8AAQ=", "é123", "data:text/plain,abcd", "{}"])
def test_decode_base64_refuses(text: str) -> None:
    with pytest.raises(BadBase64):
        decode_base64(text)


def test_decode_base64_returns_long_messages() -> None:
    data = np.random.default_rng(4).bytes(100_000)
    assert decode_base64(base64.b64encode(data).decode()) == data
