"""Languages other than English, with base."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import whisper

from benchmarks.slices import wav_slices
from tests.servers import Server
from tests.talks import Heard, letter_error_rate, stream_talk
from tests.weights.talks import RATE, Samples, reference
from whisper_service.audio.pcm import Recording
from whisper_service.files import read
from whisper_service.session.commit import normalise

pytestmark = [pytest.mark.weights, pytest.mark.timeout(900)]

LANGUAGES = Path(__file__).resolve().parents[1] / "data" / "languages"
SAID = json.loads((LANGUAGES / "said.json").read_text())
#: Seconds that are played from the start of the speech. With pauses they hold the 2 s of speech that lock the
#: language. Before the lock an utterance is final only if the model is sure of its language.
_TOLD_S = 4.0
#: Seconds of silence that are played before the speech. A clip begins with up to 4 s.
_SILENCE_S = 1.0


@cache
def _samples(name: str) -> Samples:
    return read(LANGUAGES / name)


def _hear(server: Server, samples: Samples, query: str = "") -> Heard:
    audio = np.concatenate([samples, np.zeros(RATE, dtype=np.float32)])
    return stream_talk(server.ws(f"/transcribe?{query}"), wav_slices(Recording(audio, RATE), slice_ms=500))


def _beginning(samples: Samples) -> Samples:
    """Return the first ``_TOLD_S`` from the start of the speech, and a little silence before."""
    spoken = int(np.argmax(np.abs(samples) > 0.1 * np.abs(samples).max()))
    return samples[max(0, spoken - round(_SILENCE_S * RATE)) :][: round((_SILENCE_S + _TOLD_S) * RATE)]


def _detected(samples: Samples) -> str:
    """Return the language that base itself detects in the whole clip."""
    model = reference("base")
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(samples), model.dims.n_mels)
    _, probabilities = model.detect_language(mel)
    return max(probabilities, key=probabilities.__getitem__)


def test_the_language_of_a_stream_is_that_of_the_whole_clip(base: Server) -> None:
    right, clips = 0, 0
    for name in SAID:
        samples = _samples(name)
        language = _detected(samples)
        if language != SAID[name]["language"]:
            continue
        clips += 1
        finals = _hear(base, _beginning(samples)).of("final")
        right += bool(finals) and {final["language"] for final in finals} == {language}
    assert clips >= 15
    assert right >= 0.95 * clips, f"{right} of {clips}"


@pytest.mark.brief
@pytest.mark.parametrize("name", ["fleurs_de_005.ogg", "fleurs_ja_1837_clip4.wav"])
def test_a_sentence_is_understood(name: str, base: Server) -> None:
    said = SAID[name]
    heard = _hear(base, _samples(name))
    assert {final["language"] for final in heard.of("final")} == {said["language"]}
    assert letter_error_rate(normalise(said["text"]), normalise(heard.transcript)) < 0.35, heard.transcript


def test_words_of_a_language_without_spaces_have_times_and_are_shown_early(base: Server) -> None:
    heard = _hear(base, _samples("fleurs_ja_1837_clip4.wav"), "language=ja&words=1")
    words = [word for final in heard.of("final") for word in final["words"]]
    assert len(words) > 20 and all(left["end"] <= right["start"] + 1e-6 for left, right in pairwise(words))
    assert len(heard.of("final")) > 3  # during the speech, not only at its end
    assert any(partial["text"] for partial in heard.of("partial"))


def test_translate_gives_english(base: Server) -> None:
    heard = _hear(base, _samples("fleurs_de_005.ogg"), "task=translate&language=de")
    words = set(re.findall(r"[a-z]+", heard.transcript.lower()))
    assert {"sediment", "necessary", "wild", "animals"} <= words, heard.transcript


def test_a_talk_changes_its_language_at_a_pause(base: Server) -> None:
    pause = np.zeros(2 * RATE, dtype=np.float32)
    german, spanish = _samples("fleurs_de_005.ogg"), _samples("fleurs_es_005.ogg")
    heard = _hear(base, np.concatenate([german, pause, spanish]))
    order = [final["language"] for final in heard.of("final")]
    change = order.index("es")
    assert set(order[:change]) == {"de"} and set(order[change:]) == {"es"}
