"""Inputs on which the service has failed (tests/data/cases), on real servers with OpenAI's weights.

Most tests have the name of their folder there, which names the failure.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from benchmarks.slices import wav_slices
from tests.servers import Server
from tests.talks import RATE, Heard, stream_talk
from whisper_service.audio.pcm import Recording
from whisper_service.files import read

pytestmark = [pytest.mark.weights, pytest.mark.timeout(600)]

CASES = Path(__file__).resolve().parents[1] / "data" / "cases"
KEYWORDS = "exam,deadline,homework,final project"


def _hear(server: Server, path: str, query: str = "") -> Heard:
    """Stream a file of the cases in slices of 500 ms, followed by a second of silence."""
    samples = np.concatenate([read(CASES / path), np.zeros(RATE, dtype=np.float32)])
    return stream_talk(server.ws(f"/transcribe?{query}"), wav_slices(Recording(samples, RATE), slice_ms=500))


def _cut(path: str, size: int) -> list[bytes]:
    data = (CASES / path).read_bytes()
    return [data[start : start + size] for start in range(0, len(data), size)]


def _words(heard: Heard) -> list[str]:
    return re.findall(r"[a-z0-9']+", heard.transcript.lower())


@pytest.mark.parametrize(
    ("name", "size"),
    [("webm_without_second_2500_bytes.webm", 2_500), ("fmp4_without_third_3000_bytes.mp4", 3_000)],
)
def test_container_lost_chunk(server: Server, name: str, size: int) -> None:
    heard = stream_talk(server.ws("/transcribe"), _cut(f"container-lost-chunk/{name}", size))
    assert "what you can do for your country" in " ".join(_words(heard))
    assert heard.of("error") and heard.done["lost_samples"] > 0
    assert heard.done["received_samples"] == pytest.approx(11 * RATE, abs=RATE // 2)


@pytest.mark.parametrize("path", ["/transcribe", "/ws/transcribe"])
def test_streaming_wav_open_length(server: Server, path: str) -> None:
    heard = stream_talk(server.ws(path), _cut("streaming-wav-open-length/pipe_16k_mono.wav", 16_000))
    assert not heard.of("error") and len(_words(heard)) > 10
    assert heard.done["received_samples"] == pytest.approx(128_000, abs=100)


def test_finals_overlap(server: Server) -> None:
    heard = _hear(server, "finals-overlap/test-other_3005-163389-0007.flac", "words=1")
    end = 0.0
    for final in heard.of("final"):
        assert final["start"] >= end
        for word in final["words"]:
            assert word["start"] >= end and word["end"] > word["start"]
            end = word["end"]
    assert heard.of("final")


@pytest.mark.brief
def test_short_words_dropped(server: Server) -> None:
    heard = _hear(server, "short-words-dropped/eight_nine_seven_two_two.flac")
    assert len(heard.of("speech_started")) == 5
    assert len(heard.of("final")) == 5, heard.transcript


@pytest.mark.parametrize("query", [pytest.param("language=en", marks=pytest.mark.brief), ""])
def test_repeated_words_cut(base: Server, query: str) -> None:
    heard = _hear(base, "repeated-words-cut/five_seven_six_times.flac", query)
    assert len(_words(heard)) == 12, heard.transcript


@pytest.mark.parametrize(
    "name", ["babble_8talkers.flac", "test-other_1688-142285-0005.flac", "test-other_2414-128291-0001.flac"]
)
def test_keyword_false_rings(base: Server, name: str) -> None:
    heard = _hear(base, f"keyword-false-rings/{name}", f"keywords={quote(KEYWORDS)}")
    assert heard.of("keyword") == []


def test_keyword_false_rings_of_words_that_the_prompt_holds(base: Server) -> None:
    query = f"prompt={quote('exam, deadline, homework')}&keywords={quote('exam,deadline')}"
    heard = _hear(base, "keyword-false-rings/babble_8talkers.flac", query)
    assert heard.of("keyword") == [], heard.transcript


@pytest.mark.parametrize("keyword", ["广州", "廣州"])
@pytest.mark.parametrize("language", ["zh", "auto"])
def test_keyword_chinese_script(base: Server, keyword: str, language: str) -> None:
    query = f"language={language}&keywords={quote(keyword)}"
    heard = _hear(base, "keyword-chinese-script/aishell_BAC009S0724W0121.wav", query)
    assert heard.of("keyword")[-1]["final"], heard.transcript


@pytest.mark.parametrize("name", ["2414-128291-0001_0.8s.flac", "2414-128291-0002_1.1s.flac"])
def test_short_first_utterance_language(base: Server, name: str) -> None:
    heard = _hear(base, f"short-first-utterance-language/{name}")
    assert {final["language"] for final in heard.of("final")} <= {"en"}, heard.transcript


def test_page_behind_path_prefix(server: Server) -> None:
    """The page's addresses are relative. tests/browser/test_prefix.py opens the page through such a proxy."""
    assert 'data-socket="transcribe"' in server.get("/").decode()


def test_noise_rings_nothing(base: Server) -> None:
    dice = np.random.default_rng(random.Random(0).getrandbits(32))
    noise = (0.05 * dice.standard_normal(10 * RATE)).astype(np.float32)
    heard = stream_talk(
        base.ws(f"/transcribe?keywords={quote(KEYWORDS)}"), wav_slices(Recording(noise, RATE), slice_ms=500)
    )
    assert heard.of("keyword") == [] and heard.transcript == ""
