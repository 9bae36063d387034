"""Containers that are cut off, that hold noise, or hours of silence in kilobytes."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from tests.audio.test_decode import encoded
from tests.bad_input.cases import MAX_AUDIO_S, assert_helps, assert_right, bounded_memory
from tests.servers import Server
from tests.talks import RATE, assert_whole, sentences, stream_talk, word_error_rate

BOMB_S = 5 * 3600

CONTAINERS = {
    "mp3": ("libmp3lame", 44_100),
    "webm": ("libopus", 48_000),
    "ogg": ("libopus", 48_000),
    "flac": ("flac", 16_000),
    "ipod": ("aac", 44_100),
}


def _container(form: str) -> bytes:
    """Return the sentences as a whole file."""
    codec, rate = CONTAINERS[form]
    samples = sentences().samples
    count = samples.shape[0]
    at_rate = np.interp(np.arange(round(count * rate / RATE)) / rate, np.arange(count) / RATE, samples)
    return encoded(codec, form, at_rate.astype(np.float32)[None], rate)


@pytest.mark.parametrize("form", CONTAINERS)
def test_container_cut_off_in_the_middle(server: Server, form: str) -> None:
    spoken = sentences()
    whole = spoken.samples.shape[0]
    data = _container(form)
    for part in (0.01, 0.5, 0.98):
        heard = stream_talk(server.ws("/transcribe"), [data[: round(part * len(data))], *spoken.wavs()])

        taken = heard.done["received_samples"] - whole
        assert_whole(heard, samples=whole + taken)
        if errors := heard.of("error"):
            assert len(errors) == 1
            assert_helps(errors[0], errors[0]["code"])
            assert errors[0]["code"] in ("bad_audio", "unsupported_audio")
        else:
            assert taken or form == "mp3"  # its first frame is shorter than the delay that is cut off
        if part > 0.1 and form != "ipod":  # its index comes last
            assert abs(taken - part * whole) < RATE
        words = heard.transcript.split()[-len(spoken.words) :]
        assert word_error_rate(spoken.text, " ".join(words)) <= 0.5


@pytest.mark.parametrize(
    "magic",
    [
        b"RIFF\xff\xff\xff\xffWAVE",
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0",
        b"fLaC",
        b"OggS",
        b"\x1a\x45\xdf\xa3",
        b"ID3\x04\0\0\0\0\0\0",
        b"\0\0\0\x20ftypM4A ",
    ],
)
def test_noise_behind_the_signature_of_a_file(server: Server, magic: bytes) -> None:
    spoken = sentences()
    noise = magic + np.random.default_rng(3).bytes(20_000)

    heard = stream_talk(server.ws("/transcribe"), [noise, *spoken.wavs()])

    [error] = heard.of("error")
    assert_helps(error, error["code"])
    assert error["code"] in ("bad_audio", "unsupported_audio")
    assert_whole(heard, samples=spoken.samples.shape[0] + heard.done["lost_samples"])
    assert heard.done["lost_samples"] < 2 * RATE
    assert_right(spoken, heard)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_container_bomb(server: Server, rate: int) -> None:
    bomb = _flac_of_silence(BOMB_S, rate)
    assert len(bomb) < 200_000
    spoken = sentences()

    with bounded_memory(server):
        heard = stream_talk(server.ws("/transcribe"), [*spoken.wavs(), bomb])

    assert heard.code == 4408
    assert_helps(heard.messages[-1], "session_too_long", fatal=True)
    assert not heard.of("done")
    assert f"{MAX_AUDIO_S} seconds" in heard.messages[-1]["message"]
    assert_right(spoken, heard)


def _flac_of_silence(seconds: int, rate: int) -> bytes:
    """Return a FLAC file with frames of one constant each: 14 bytes for 65,535 samples."""
    block = 65_535
    head = b"\xff\xf8\x70\x08"  # 16-bit block size after the number; rate as in STREAMINFO; mono, 16 bits
    info = struct.pack(">HH", block, block) + bytes(6)
    info += (rate << 44 | 15 << 36).to_bytes(8, "big") + bytes(16)
    data = bytearray(b"fLaC\x80\x00\x00\x22" + info)
    for number in range(seconds * rate // block + 1):
        frame = head + chr(number).encode() + struct.pack(">H", block - 1)
        frame += bytes([_crc(frame, 8, 0x07)]) + b"\0\0\0"
        data += frame + struct.pack(">H", _crc(frame, 16, 0x8005))
    return bytes(data)


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    value = 0
    for byte in data:
        value ^= byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value >> bits - 1 else 0)) & (1 << bits) - 1
    return value
