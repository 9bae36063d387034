"""Half a second of speech in each format that the server takes, made from the bundled talk."""

from __future__ import annotations

import io
import struct
from functools import cache

import av
import numpy as np

from tests.servers import ROOT

#: Format, codec and rate of the files that FFmpeg writes, and its options.
_WRITTEN = {
    "webm": ("webm", "libopus", 48_000, {}),
    "live webm": ("webm", "libopus", 48_000, {"live": "1", "cluster_time_limit": "100"}),
    "ogg opus": ("ogg", "libopus", 48_000, {"page_duration": "60000"}),
    "ogg flac": ("ogg", "flac", 16_000, {}),
    "fragmented mp4": ("mp4", "aac", 16_000, {"movflags": "frag_every_frame+empty_moov"}),
    "mp4": ("mp4", "aac", 16_000, {}),
    "mp3": ("mp3", "libmp3lame", 16_000, {}),
    "flac": ("flac", "flac", 16_000, {}),
    "aac": ("adts", "aac", 16_000, {}),
    "aiff": ("aiff", "pcm_s16be", 16_000, {}),
    "caf": ("caf", "pcm_s16be", 16_000, {}),
    "au": ("au", "pcm_s16be", 8_000, {}),
    "w64": ("w64", "pcm_s16le", 16_000, {}),
    "adpcm wav": ("wav", "adpcm_ima_wav", 16_000, {}),
    "s24 wav": ("wav", "pcm_s24le", 44_100, {}),
    "f32 wav": ("wav", "pcm_f32le", 16_000, {}),
    "mu-law wav": ("wav", "pcm_mulaw", 8_000, {}),
    "u8 wav": ("wav", "pcm_u8", 11_025, {}),
}
_FILE = ROOT / "tests" / "data" / "containers" / "jfk_16k_mono_s16.raw"


@cache
def samples() -> np.ndarray:
    """Return half a second of speech, int16 at 16 kHz, ``(8000,)``."""
    return np.fromfile(_FILE, dtype="<i2")[6_000:14_000]


@cache
def recordings() -> dict[str, bytes]:
    """Return the files by the name of their format."""
    return {"wav": wav(samples().tobytes())} | {name: _written(*how) for name, how in _WRITTEN.items()}


def wav(data: bytes, *, rate: int = 16_000) -> bytes:
    """Return a WAV of mono 16-bit samples."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    chunks = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(chunks)) + chunks


def _written(form: str, codec: str, rate: int, options: dict[str, str]) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=form, options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.codec_context.layout = "mono"
        shape, size = stream.codec_context.format, stream.codec_context.frame_size
        resampler = av.AudioResampler(shape, "mono", rate, size)
        frame = av.AudioFrame.from_ndarray(samples()[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16_000, 0
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file.getvalue()
