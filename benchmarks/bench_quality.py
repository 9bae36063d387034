"""Words right, early and never taken back: ``python -m benchmarks.bench_quality --talks FOLDER``.

FOLDER holds FLAC files, each with a JSON of the same name: ``text``, ``words`` (``word``, ``start``, ``end``)
and ``segments`` (``end`` of each utterance). Every talk is played into a session in slices, on a simulated
clock: what is asked at a slice is answered at that slice. So a delay counts the audio that the policy waited
for and no computation, and two runs print the same. With ``--server URL`` the talks are played in real time
to a running server instead, one after the other, and delays are what a client saw.

Word error rates are of the corpus, both sides normalised with Whisper's ``EnglishTextNormalizer``. *Offline*
is the same engine on whole utterances. ``--noise FILE …`` mixes each sound under the talks,
``--snr`` decibels below the speech, for rows of their own.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import torch
from numpy.typing import NDArray
from whisper.normalizers import EnglishTextNormalizer

from benchmarks.machine import describe
from benchmarks.scoring import Message, Score, Spoken, score
from whisper_service.audio.decode import decode
from whisper_service.audio.pcm import Pcm
from whisper_service.audio.resample import Resampler
from whisper_service.client import play
from whisper_service.config import POLICIES, StreamSettings
from whisper_service.engine.request import Hypothesis, Request
from whisper_service.engine.runner import Runner
from whisper_service.events import Done, Event, Final, Partial
from whisper_service.model.checkpoint import find_checkpoint
from whisper_service.model.loading import load_model
from whisper_service.model.speech import SpeechDetector, SpeechState
from whisper_service.offline import settle
from whisper_service.session.session import Session

ROOT = Path(__file__).resolve().parents[1]
RATE = 16_000
#: No position of the grid falls into an utterance: each is decoded once, as a whole.
_NO_GRID_MS = 24_000


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of the table.

    :param stream: what the client would choose.
    :param noise: name of the sound under the talks, "" for none.
    """

    name: str
    stream: StreamSettings
    noise: str = ""
    slice_ms: int = 500
    grid_ms: int = 500


@dataclass(frozen=True, slots=True)
class Played:
    """One talk through one setting.

    :param told: the transcript as ``done`` tells it at the end.
    """

    messages: list[Message]
    told: str
    windows: int
    seconds: float
    took_s: float

    @property
    def transcript(self) -> str:
        return "".join(message.text for message in self.messages if message.final)


class _Counting:
    """A runner that counts."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.windows = 0

    def run(self, request: Request) -> Hypothesis:
        self.windows += 1
        return self._runner.run(request)


class Player:
    """Plays audio into sessions on a simulated clock."""

    def __init__(self, model: str) -> None:
        checkpoint = find_checkpoint(model, deadline_s=600)
        self._runner = Runner(load_model(checkpoint, torch.device("cpu")).model)
        self._detector = SpeechDetector()

    def play(self, pcm: NDArray[np.float32], setting: Setting) -> Played:
        """Return what a client would have seen. Blocks."""
        begin = time.perf_counter()
        runner = _Counting(self._runner)
        session = Session(
            "talk",
            setting.stream,
            grid_samples=setting.grid_ms * RATE // 1000,
            languages=self._runner.languages,
        )
        messages: list[Message] = []
        told = ""
        for at, event in self._events(session, pcm, setting.slice_ms * RATE // 1000, runner):
            if isinstance(event, Partial | Final):
                messages.append(Message(at, isinstance(event, Final), event.text))
            elif isinstance(event, Done):
                told = event.transcript
        return Played(messages, told, runner.windows, pcm.shape[0] / RATE, time.perf_counter() - begin)

    def _events(
        self, session: Session, pcm: NDArray[np.float32], size: int, runner: _Counting
    ) -> Iterator[tuple[float, Event]]:
        state = SpeechState()
        for start in range(0, pcm.shape[0], size):
            piece = pcm[start : start + size]
            speech = self._detector.probabilities([(state, piece)])[0]
            for event in settle(session, session.feed(piece, speech), runner):
                yield session.received / RATE, event
        for event in settle(session, session.finish(), runner):
            yield session.received / RATE, event


@dataclass(frozen=True, slots=True)
class Talk:
    """Audio with its truth."""

    name: str
    pcm: NDArray[np.float32]
    text: str
    words: list[Spoken]
    ends: list[float]


def load_talk(path: Path) -> Talk:
    """Read a FLAC file and the JSON beside it."""
    truth = json.loads(path.with_suffix(".json").read_text())
    words = [Spoken(word["word"], word["start"], word["end"]) for word in truth["words"]]
    ends = [segment["end"] for segment in truth["segments"]]
    return Talk(path.stem, decode(path.read_bytes()).samples, truth["text"], words, ends)


def load_sound(path: Path) -> NDArray[np.float32]:
    """Read any audio file as mono float32 at 16 kHz, ``(n_samples,)``."""
    decoded = decode(path.read_bytes())
    resampler = Resampler(decoded.rate)
    return np.concatenate([resampler.resample(decoded.samples), resampler.flush()])


def mixed(talk: Talk, noise: NDArray[np.float32], *, snr_db: float) -> Talk:
    """Return the talk with ``noise``, repeated, under all of it; the power of both is that of the whole."""
    under = np.resize(noise, talk.pcm.shape)
    power = float(np.mean(talk.pcm**2)) / max(float(np.mean(under**2)), 1e-12)
    return replace(talk, pcm=talk.pcm + under * np.float32((power / 10 ** (snr_db / 10)) ** 0.5))


def play_to_server(talk: Talk, url: str, *, slice_ms: int) -> Played:
    """Play in real time to the socket at ``url``; return what came back, by when it came. Blocks."""
    messages: list[Message] = []
    began: list[float] = []

    def receive(message: dict[str, Any]) -> None:
        if message["type"] in ("partial", "final") and began:
            at = time.monotonic() - began[0]
            messages.append(Message(at, message["type"] == "final", message["text"]))

    def played(played_s: float) -> None:
        if not began:
            began.append(time.monotonic() - played_s)

    done = play(Pcm(talk.pcm, RATE), url, speed=1.0, slice_ms=slice_ms, on_message=receive, on_played=played)
    seconds = talk.pcm.shape[0] / RATE
    return Played(messages, done["full_transcript"], 0, seconds, 0.0)


def summary(talks: list[Talk], played: list[Played]) -> dict[str, Any]:
    """Return one row of the table: figures of the corpus."""
    normalise = EnglishTextNormalizer()
    total = Score()
    for talk, one in zip(talks, played, strict=True):
        total.add(score(one.messages, talk.words, talk.ends))
    seconds = sum(one.seconds for one in played)
    truths = [normalise(talk.text) for talk in talks]
    return {
        "wer": round(100 * jiwer.wer(truths, [normalise(one.transcript) for one in played]), 2),
        "first_display_s": _percentiles(total.first_display),
        "commit_s": _percentiles(total.commit),
        "last_final_s": _percentiles(total.last_final),
        "revised": round(100 * total.revised / max(1, total.shown), 1),
        "changed_finals": sum(one.told != one.transcript for one in played),
        "repeated": total.repeated,
        "lost": total.lost,
        "right_words": len(total.commit),
        "windows_per_s": round(sum(one.windows for one in played) / seconds, 2),
        "compute_per_s": round(sum(one.took_s for one in played) / seconds, 2),
    }


def _percentiles(values: list[float]) -> list[float]:
    return [round(float(value), 2) for value in np.percentile(values or [0.0], [50, 95, 99])]


_HEAD = (
    "| setting | word error rate | first display | commit | last final | revised | changed finals "
    "| windows a second |\n"
    "|---|---|---|---|---|---|---|---|"
)


def _line(name: str, row: dict[str, Any]) -> str:
    delays = [
        " / ".join(f"{value:.2f}" for value in row[key])
        for key in ("first_display_s", "commit_s", "last_final_s")
    ]
    cells = [name, f"{row['wer']:.2f} %", *delays, f"{row['revised']:.1f} %"]
    return "| " + " | ".join([*cells, str(row["changed_finals"]), f"{row['windows_per_s']:.2f}"]) + " |"


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--talks", type=Path, required=True)
    parser.add_argument("--model", default=str(ROOT / "models" / "micro.en.pt"))
    parser.add_argument("--slices", type=int, nargs="*", default=[500, 250])
    parser.add_argument("--policy", nargs="*", default=list(POLICIES), choices=POLICIES)
    parser.add_argument("--server", help="address of a socket, such as ws://127.0.0.1:5003/transcribe")
    parser.add_argument("--noise", type=Path, nargs="*", default=[])
    parser.add_argument("--snr", type=float, default=10.0, help="decibels of the speech over --noise")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    paths = sorted(options.talks.glob("*.flac"))
    talks = [load_talk(path) for path in paths]
    plain = StreamSettings()
    settings = (
        [] if options.server else [Setting("offline", replace(plain, interim=False), grid_ms=_NO_GRID_MS)]
    )
    settings += [
        Setting(f"{policy}, {ms} ms slices", replace(plain, policy=policy), slice_ms=ms)
        for ms in options.slices
        for policy in options.policy
    ]
    settings = [
        replace(setting, name=f"{setting.name}{noise and f', {noise}'}", noise=noise)
        for noise in ("", *(path.stem for path in options.noise))
        for setting in settings
    ]
    sounds = {path.stem: load_sound(path) for path in options.noise}
    rows: dict[str, dict[str, Any]] = {}
    player = None if options.server else Player(options.model)
    print(_HEAD)
    for setting in settings:
        noise = sounds.get(setting.noise)
        heard = talks if noise is None else [mixed(talk, noise, snr_db=options.snr) for talk in talks]
        if player is None:
            url = f"{options.server}?policy={setting.stream.policy}"
            played = [play_to_server(talk, url, slice_ms=setting.slice_ms) for talk in heard]
        else:
            played = [player.play(talk.pcm, setting) for talk in heard]
        rows[setting.name] = summary(talks, played)
        print(_line(setting.name, rows[setting.name]), flush=True)
    if options.json:
        settings_by_name = {setting.name: asdict(setting) for setting in settings}
        report = {"machine": describe(), "settings": settings_by_name, "rows": rows}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
