"""WAV headers that lie, slices without sound, noise, and samples that are no numbers."""

from __future__ import annotations

import base64
import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.audio.test_decode import chunk, fmt, riff
from tests.bad_input.cases import accepted, assert_right, refused
from tests.servers import Server
from tests.talks import MAX_ERROR_RATE_SHORT, RATE, assert_whole, sentences, stream_talk, word_error_rate


def _wav(samples: NDArray[np.int16], *, size: int | None = None, rate: int = RATE) -> bytes:
    """Return a WAV whose data chunk claims ``size`` bytes."""
    return riff(fmt(rate=rate), chunk(b"data", samples.astype("<i2").tobytes(), size))


def _no_numbers(dtype: str) -> bytes:
    """Return 500 ms of NaN and infinities."""
    return np.resize(np.array([np.nan, np.inf, -np.inf], dtype), RATE // 2).tobytes()


@pytest.mark.parametrize("size", [0, 1_000_000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF])
def test_wav_header_that_lies_about_its_length(server: Server, size: int) -> None:
    spoken = sentences()
    samples = (spoken.samples * 32_767).astype(np.int16)
    frames = [_wav(piece, size=size) for piece in np.array_split(samples, 7)]

    heard = stream_talk(server.ws("/transcribe"), frames)

    assert not heard.of("error")
    assert_whole(heard, samples=spoken.samples.shape[0])
    assert_right(spoken, heard)


def test_wav_with_an_impossible_rate(server: Server) -> None:
    wavs = [
        riff(
            chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, rate, min(2 * rate, 0xFFFFFFFF), 2, 16)),
            chunk(b"data", bytes(16_000)),
        )
        for rate in (0, 10**9)
    ]
    refused(server, [(wav, "bad_audio") for wav in wavs])


def test_empty_slice(server: Server) -> None:
    for path in ("/transcribe", "/ws/transcribe"):
        frames = [b"", "", "  \r\n", "data:audio/wav;base64,"]
        refused(server, [(frame, "unsupported_audio") for frame in frames], path=path)


def test_slices_of_no_and_of_one_sample(server: Server) -> None:
    for frames in (0, 1):
        for rate in (RATE, 8_000):
            slices = [_wav(np.full(frames, 100), rate=rate)] * 4
            as_text = [base64.b64encode(slice_).decode() for slice_ in slices]
            accepted(server, [*slices, *as_text], samples=8 * frames * RATE // rate)


def test_raw_slices_of_no_and_of_one_sample(server: Server) -> None:
    for frames in (0, 1):
        heard = stream_talk(server.ws("/transcribe?format=s16le"), [bytes(2 * frames)] * 5)
        messages = [error["message"] for error in heard.of("error")]
        assert len(messages) == (0 if frames else 5)
        assert all('{"type": "stop"}' in message for message in messages)  # who sends nothing means that
        assert_whole(heard, samples=5 * frames)


def test_noise_bytes(server: Server) -> None:
    noise = [np.random.default_rng(size).bytes(size) for size in (1, 2, 3, 11, 44, 16_000, 900_000)]
    refused(server, [(bytes_, "unsupported_audio") for bytes_ in noise])


def test_raw_floats_that_are_no_numbers(server: Server) -> None:
    spoken = sentences()
    silence = _no_numbers("<f4")
    frames = [*spoken.raw("<f4"), silence, silence, *spoken.raw("<f4")]

    heard = stream_talk(server.ws("/transcribe?format=f32le"), frames)

    assert not heard.of("error")
    assert_whole(heard, samples=2 * spoken.samples.shape[0] + RATE)
    assert word_error_rate(f"{spoken.text} {spoken.text}", heard.transcript) <= MAX_ERROR_RATE_SHORT


@pytest.mark.parametrize(("dtype", "bits"), [("<f4", 32), ("<f8", 64)])
def test_float_wav_with_samples_that_are_no_numbers(server: Server, dtype: str, bits: int) -> None:
    slice_ = riff(fmt(3, bits=bits), chunk(b"data", _no_numbers(dtype)))
    heard = accepted(server, [slice_, slice_], samples=RATE)
    assert heard.done["silent_samples"] >= RATE


def test_floats_beyond_full_scale(server: Server) -> None:
    loud = np.resize(np.array([1e38, -1e38], "<f4"), RATE // 2).tobytes()
    spoken = sentences()

    heard = stream_talk(
        server.ws("/transcribe"), [*spoken.wavs(), riff(fmt(3, bits=32), chunk(b"data", loud))]
    )

    assert not heard.of("error")
    assert_whole(heard, samples=spoken.samples.shape[0] + RATE // 2)
