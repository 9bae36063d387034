"""Files are packed into windows, decoded in batches, and transcribed as accurately as by Whisper itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from click.testing import CliRunner
from whisper.normalizers import EnglishTextNormalizer

from benchmarks.slices import wav_slices
from tests.conftest import CHECKPOINT, Talk
from tests.fakes import INFO
from whisper_service.audio.pcm import Recording
from whisper_service.cli import main
from whisper_service.config import StreamSettings
from whisper_service.engine.request import BatchRunner, EngineInfo, Hypothesis, OutOfMemory, Request
from whisper_service.engine.runner import Runner
from whisper_service.events import Final
from whisper_service.model.speech.detector import SpeechDetector
from whisper_service.offline import PackedWindow, pack, transcribe, utterances

RATE = 16_000
FRAMES_PER_S = RATE / 512
_normalise = EnglishTextNormalizer()


def _speech(*parts: tuple[float, float]) -> list[float]:
    """Return the probabilities of speech in the frames. A part is seconds of speech, then of silence."""
    return [
        probability
        for spoken_s, silent_s in parts
        for probability in [1.0] * round(spoken_s * FRAMES_PER_S) + [0.0] * round(silent_s * FRAMES_PER_S)
    ]


def _transcribe(
    files: list[np.ndarray], runner: BatchRunner, *, timestamps: bool = False, **settings: object
) -> list[list[Final]]:
    return transcribe(
        files,
        runner=runner,
        batch=4,
        detector=SpeechDetector(),
        settings=StreamSettings().merged(settings),
        timestamps=timestamps,
    )


def _text(finals: list[Final]) -> str:
    return "".join(final.text for final in finals)


def test_utterances_are_those_of_a_stream() -> None:
    speech = _speech((0, 1), (2, 1), (3, 2))
    pcm = np.zeros(round(len(speech) * 512), dtype=np.float32)
    found = list(utterances(pcm, speech, StreamSettings(pre_roll_ms=200)))
    assert [(round(start / RATE, 1), round(end / RATE, 1)) for start, end in found] == [
        (0.8, 3.3),
        (3.8, 7.3),
    ]


def test_endless_speech_is_cut_at_its_quietest_place() -> None:
    pcm = np.random.default_rng(0).standard_normal(70 * RATE).astype(np.float32)
    pcm[20 * RATE : 20 * RATE + 2_000] = 0
    found = list(utterances(pcm, [1.0] * (pcm.shape[0] // 512), StreamSettings()))
    assert found[0][0] == 0 and found[-1][1] == pcm.shape[0]
    assert all(one[1] == other[0] for one, other in zip(found, found[1:], strict=False))
    assert all(end - start <= 28 * RATE for start, end in found)
    assert 20 * RATE <= found[0][1] <= 20 * RATE + 2_000


def test_windows_hold_as_many_utterances_as_fit() -> None:
    spoken = [(0, 10 * RATE), (11 * RATE, 20 * RATE), (21 * RATE, 29 * RATE), (40 * RATE, 45 * RATE)]
    assert list(pack(spoken)) == [PackedWindow(tuple(spoken[:2])), PackedWindow(tuple(spoken[2:]))]
    assert list(pack([])) == []


def test_a_file_is_transcribed_as_accurately_as_by_whisper_itself(runner: Runner, talk: Talk) -> None:
    (finals,) = _transcribe([talk.pcm], runner)
    # whisper.transcribe of the whole file has a word error rate of 1.25 %.
    assert jiwer.wer(_normalise(talk.text), _normalise(_text(finals))) <= 0.0275
    assert [final.number for final in finals] == list(range(len(finals)))
    assert all(one.end <= other.start for one, other in zip(finals, finals[1:], strict=False))


def test_files_that_share_batches_say_what_each_says_alone(runner: Runner, talk: Talk) -> None:
    silence = np.zeros(3 * RATE, dtype=np.float32)
    files = [talk.pcm, silence, talk.pcm[: 9 * RATE], talk.pcm[9 * RATE :], np.zeros(0, dtype=np.float32)]
    together = _transcribe(files, runner)
    assert [_text(finals) for finals in together] == [_text(_transcribe([pcm], runner)[0]) for pcm in files]
    assert together[1] == together[4] == []


@pytest.mark.parametrize("settings", [{"beam_size": 5}, {"timestamps": True}])
def test_beams_and_timestamps_lose_nothing(runner: Runner, talk: Talk, settings: dict[str, Any]) -> None:
    (finals,) = _transcribe([talk.pcm], runner, **settings)
    assert jiwer.wer(_normalise(talk.text), _normalise(_text(finals))) <= 0.0275


def test_the_language_of_the_first_window_is_that_of_the_file() -> None:
    class Bilingual:
        """Detects French in every window, unless the request names the language."""

        max_batch = 2

        def __init__(self) -> None:
            self.asked: list[str | None] = []

        def info(self) -> EngineInfo:
            return replace(INFO, languages=frozenset({"fr", "de"}))

        def forget(self, stream: str) -> None:
            pass

        def run_batch(self, requests):  # type: ignore[no-untyped-def]
            from tests.fakes import FakeEngine

            self.asked += [request.language for request in requests]
            return [
                replace(FakeEngine().run(request), language=request.language or "fr") for request in requests
            ]

    class Speech:
        def of_recordings(self, recordings):  # type: ignore[no-untyped-def]
            return [[1.0] * (pcm.shape[0] // 512) for pcm in recordings]

    runner = Bilingual()
    pcm = np.ones(40 * RATE, dtype=np.float32)
    transcribe(
        [pcm, pcm],
        runner=runner,
        batch=4,
        detector=Speech(),  # type: ignore[arg-type]
        settings=StreamSettings(),
    )
    assert runner.asked == [None, None, "fr", "fr"]


def test_windows_that_do_not_fit_together_are_decoded_in_parts(runner: Runner, talk: Talk) -> None:
    class Small:
        """Has memory for two windows."""

        max_batch = 8

        def __init__(self) -> None:
            self.tried: list[int] = []

        def info(self) -> EngineInfo:
            return runner.info()

        def forget(self, stream: str) -> None:
            pass

        def run_batch(self, requests: Sequence[Request]) -> list[Hypothesis]:
            self.tried.append(len(requests))
            if len(requests) > 2:
                raise OutOfMemory("three are too many")
            return runner.run_batch(requests)

    pieces = [talk.pcm[at * RATE : (at + 3) * RATE] for at in (0, 4, 8, 12, 16)]
    small = Small()
    assert list(map(_text, _transcribe(pieces, small))) == list(map(_text, _transcribe(pieces, runner)))
    assert small.tried == [4, 2, 2, 1]


def test_the_command_line_transcribes_a_file(talk: Talk) -> None:
    result = CliRunner().invoke(
        main, ["transcribe", str(talk.path), "--model", str(CHECKPOINT), "--format", "json"]
    )
    assert result.exit_code == 0, result.output
    transcript = json.loads(result.stdout)
    assert jiwer.wer(_normalise(talk.text), _normalise(transcript["text"])) <= 0.0275
    assert [final["id"] for final in transcript["finals"]] == list(range(len(transcript["finals"])))


def test_the_command_line_writes_the_transcripts_of_several_files(talk: Talk, tmp_path: Path) -> None:
    paths = [tmp_path / "one.flac", tmp_path / "two.flac"]
    for path in paths:
        path.write_bytes(talk.path.read_bytes())
    options = ["--model", str(CHECKPOINT), "--format", "srt"]
    several = ["transcribe", *map(str, paths), *options]
    refused = CliRunner().invoke(main, several)
    assert refused.exit_code == 2 and "--output" in refused.stderr
    folder = tmp_path / "out"
    assert CliRunner().invoke(main, [*several, "--output", str(folder)]).exit_code == 0
    one, two = ((folder / f"{name}.srt").read_text() for name in ("one", "two"))
    assert one == two and "-->" in one


def test_the_command_line_says_in_one_line_what_is_wrong(talk: Talk) -> None:
    result = CliRunner().invoke(main, ["transcribe", str(talk.path), "--model", "nowhere/model.pt"])
    assert result.exit_code == 1
    assert (
        result.stderr
        == "Error: There is no checkpoint nowhere/model.pt: correct the path in WHISPER_MODEL.\n"
    )
    model = ["--model", str(CHECKPOINT)]
    foreign = CliRunner().invoke(main, ["transcribe", str(talk.path), *model, "--language", "de"])
    assert foreign.exit_code == 1 and "The model does not know language 'de'; it knows: en." in foreign.stderr


def test_a_file_that_is_none_is_named_and_the_others_go_on(talk: Talk, tmp_path: Path) -> None:
    """A file that is not audio is named, and the other files are still transcribed."""
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no audio at all")
    folder = tmp_path / "out"
    options = ["--model", str(CHECKPOINT), "--output", str(folder)]
    result = CliRunner().invoke(main, ["transcribe", str(bad), str(talk.path), *options])
    assert result.exit_code == 1
    assert (
        f"{bad}: The format of this audio is unknown" in result.stderr
        and "1 of 2 files could not be transcribed" in result.stderr
    )
    assert (folder / f"{talk.path.stem}.txt").read_text().strip()


def test_files_of_one_name_do_not_overwrite_each_other(talk: Talk, tmp_path: Path) -> None:
    paths = [tmp_path / folder / "talk.flac" for folder in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(talk.path.read_bytes())
    options = ["--model", str(CHECKPOINT), "--output", str(tmp_path / "out")]
    assert CliRunner().invoke(main, ["transcribe", *map(str, paths), *options]).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["talk-2.txt", "talk.txt"]


def test_the_demonstration_model_is_not_taken_for_files_unless_it_is_named(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WHISPER_DOWNLOAD_TIMEOUT_S", "0")
    monkeypatch.setenv("WHISPER_CACHE_DIR", str(tmp_path))
    result = CliRunner().invoke(main, ["transcribe", str(talk.path)])
    assert result.exit_code == 1 and "tiny.en is not available" in result.stderr and not result.stdout


def test_transcribing_files_loads_neither_gevent_nor_websockets(tmp_path: Path, talk: Talk) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(next(wav_slices(Recording(talk.pcm[: 2 * RATE], RATE), slice_ms=2_000)))
    program = (
        "import sys; from whisper_service.cli import main; "
        f"main(['transcribe', {str(path)!r}, '--model', {str(CHECKPOINT)!r}], standalone_mode=False); "
        "print({'gevent', 'websockets', 'flask'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
