"""Word errors, delays and revisions of streams: ``python -m benchmarks.bench_quality --talks FOLDER``.

FOLDER holds FLAC files, each with a JSON file of the same name: ``text``, ``words`` (``word``, ``start``,
``end``) and ``segments`` (``end`` of each utterance). Every talk is played into a session in slices, on a
simulated clock: the requests of a slice are answered before the next slice. So a delay contains the audio
that the policy waited for and no computation, and two runs print the same table. With ``--server URL`` the
talks are played in real time to a running server instead, one after the other, and the delays are those that
a client sees.

Word error rates are those of the whole corpus, after Whisper's ``EnglishTextNormalizer`` on both texts.
*Offline* is the same engine on whole utterances. *Sentences*, *commas* and *capitals* are F1 scores against
the offline text of the same run (``benchmarks/readability.py``). ``--noise FILE`` adds rows for a sound,
mixed with the talks ``--snr`` decibels below them. ``--set NAME=VALUE`` changes a setting of every
stream. ``--shown`` changes the probabilities of ``session/display.py``. Rows are added to the file of
``--json``.

``--encoder full`` computes the whole encoder at each update, and ``--encoder 150:25`` lets the incremental
encoder compute 150 positions before the new ones and 25 after them (``Margins``).

``--only``, ``--slices``, ``--grid``, ``--policy``, ``--set``, ``--noise`` and ``--encoder`` are repeated for
several values: ``--slices 500 --slices 250``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import jiwer
import numpy as np
from numpy.typing import NDArray
from whisper.normalizers import EnglishTextNormalizer

from benchmarks.machine import describe
from benchmarks.player import MODEL, RATE, Player, Talk, load_talk, mixed
from benchmarks.policies import TRIED
from benchmarks.readability import readability
from benchmarks.scoring import Message, Score, score
from whisper_service.audio.pcm import Recording
from whisper_service.client.play import play
from whisper_service.config import POLICIES, Config, StreamSettings
from whisper_service.events import Final, Partial
from whisper_service.files import read
from whisper_service.model.network.incremental import MARGINS, Margins
from whisper_service.session import commit, display

#: A grid so coarse that an utterance is decoded as a whole. An utterance that contains a multiple of 24 s is
#: decoded there too, but the default policy makes no word final after a single hypothesis.
_NO_GRID_MS = 24_000
#: The grid of the service.
_GRID_MS = Config().grid_ms


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    :param stream: the settings that a client would choose.
    :param noise: name of the sound that is mixed with the talks; "" for none.
    """

    name: str
    stream: StreamSettings
    noise: str = ""
    slice_ms: int = 500
    grid_ms: int = 500


@dataclass(frozen=True, slots=True)
class Played:
    """The result of one talk with one setting.

    :param told: the newest final of each number, joined, or the ``full_transcript`` of a server's ``done``.
        It differs from ``transcript`` if a final was changed.
    :param windows: number of windows that were decoded; 0 with a server.
    :param seconds: length of the talk.
    :param took_s: seconds of computation; 0.0 with a server.
    """

    messages: list[Message]
    told: str
    windows: int
    seconds: float
    took_s: float

    @property
    def transcript(self) -> str:
        return "".join(message.text for message in self.messages if message.final)


def play_on_simulated_clock(player: Player, pcm: NDArray[np.float32], setting: Setting) -> Played:
    """Return the messages that a client would have received, and the cost of computing them. Blocks."""
    begin, windows = time.perf_counter(), player.windows
    messages: list[Message] = []
    finals: dict[int, str] = {}
    clock = player.play(pcm, setting.stream, slice_ms=setting.slice_ms, grid_ms=setting.grid_ms)
    for at, event in clock:
        if isinstance(event, Partial | Final):
            messages.append(Message(at, isinstance(event, Final), event.text))
        if isinstance(event, Final):
            finals[event.number] = event.text
    took_s = time.perf_counter() - begin
    return Played(messages, "".join(finals.values()), player.windows - windows, pcm.shape[0] / RATE, took_s)


def play_to_server(talk: Talk, url: str, *, slice_ms: int) -> Played:
    """Play in real time to the WebSocket at ``url``; return the messages and when each came. Blocks."""
    messages: list[Message] = []
    began: list[float] = []

    def receive(message: dict[str, Any]) -> None:
        if message["type"] in ("partial", "final") and began:
            at = time.monotonic() - began[0]
            messages.append(Message(at, message["type"] == "final", message["text"]))

    def played(played_s: float) -> None:
        if not began:
            began.append(time.monotonic() - played_s)

    done = play(
        Recording(talk.pcm, RATE), url, speed=1.0, slice_ms=slice_ms, on_message=receive, on_played=played
    )
    seconds = talk.pcm.shape[0] / RATE
    return Played(messages, done["full_transcript"], 0, seconds, 0.0)


def summary(talks: list[Talk], played: list[Played], offline: str = "") -> dict[str, Any]:
    """Return one row of the table: the figures of the whole corpus.

    :param offline: the reference text for marks and capitals; "" if there is none.
    """
    normalise = EnglishTextNormalizer()
    total = Score()
    for talk, one in zip(talks, played, strict=True):
        total.add(score(one.messages, talk.words, talk.ends))
    seconds = sum(one.seconds for one in played)
    truths = [normalise(talk.text) for talk in talks]
    words = jiwer.process_words(truths, [normalise(one.transcript) for one in played])
    written = readability(offline, _text(played))
    return {
        "wer": round(100 * words.wer, 2),
        "sentences_f1": round(written.sentences.f1, 3) if offline else None,
        "commas_f1": round(written.commas.f1, 3) if offline else None,
        "capitals_f1": round(written.capitals.f1, 3) if offline else None,
        "deletions": words.deletions,
        "insertions": words.insertions,
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


def _text(played: list[Played]) -> str:
    return " ".join(one.transcript for one in played)


def _percentiles(values: list[float]) -> list[float]:
    return [round(float(value), 2) for value in np.percentile(values or [0.0], [50, 95, 99])]


_HEAD = (
    "| setting | word error rate | first display | commit | last final | revised | sentences | commas "
    "| capitals | changed finals | windows a second |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def _line(name: str, row: dict[str, Any]) -> str:
    delays = [
        " / ".join(f"{value:.2f}" for value in row[key])
        for key in ("first_display_s", "commit_s", "last_final_s")
    ]
    cells = [name, f"{row['wer']:.2f} %", *delays, f"{row['revised']:.1f} %"]
    written = [row[key] for key in ("sentences_f1", "commas_f1", "capitals_f1")]
    cells += ["" if value is None else f"{value:.3f}" for value in written]
    return "| " + " | ".join([*cells, str(row["changed_finals"]), f"{row['windows_per_s']:.2f}"]) + " |"


def _settings(
    slices: Sequence[int],
    grids: Sequence[int],
    policies: Sequence[str],
    shown: Sequence[float] | None,
    changes: Sequence[str],
    noises: Sequence[str],
    *,
    offline: bool,
) -> list[Setting]:
    plain = StreamSettings().merged(dict(item.split("=", 1) for item in changes))
    settings = [Setting("offline", replace(plain, interim=False), grid_ms=_NO_GRID_MS)] if offline else []
    settings += [
        Setting(
            f"{policy}, {ms} ms slices" + (f", {grid_ms} ms grid" if grid_ms != _GRID_MS else ""),
            replace(plain, policy=policy),
            slice_ms=ms,
            grid_ms=grid_ms,
        )
        for grid_ms in grids
        for ms in slices
        for policy in policies
    ]
    suffix = "".join(f", {item}" for item in changes)
    if shown:
        suffix += f", shown {' '.join(f'{value:g}' for value in shown)}"
    return [
        replace(setting, name=f"{setting.name}{suffix}{noise and f', {noise}'}", noise=noise)
        for noise in noises or [""]
        for setting in settings
    ]


@click.command(help=__doc__)
@click.option("--talks", "folder", type=Path, required=True)
@click.option("--only", multiple=True, help="names of the talks to play; all talks if left out")
@click.option("--model", default=MODEL)
@click.option("--dtype", default="float32", help="see WHISPER_DTYPE")
@click.option("--slices", type=int, multiple=True, default=[500, 250])
@click.option("--grid", "grids", type=int, multiple=True, default=[_GRID_MS], help="WHISPER_GRID_MS")
@click.option(
    "--policy", "policies", type=click.Choice([*POLICIES, *TRIED]), multiple=True, default=list(POLICIES)
)
@click.option("--shown", type=float, nargs=3, metavar="FIRST LAST AGAIN")
@click.option("--encoder", "encoders", multiple=True, default=[""], metavar="full | RECENT:MARGIN")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE")
@click.option("--no-offline", is_flag=True)
@click.option("--server", help="address of a WebSocket, such as ws://127.0.0.1:5003/transcribe")
@click.option("--noise", "noises", type=Path, multiple=True)
@click.option("--snr", default=10.0, help="level of the talk above --noise, in decibels")
@click.option("--json", "json_path", type=Path)
def main(
    folder: Path,
    only: tuple[str, ...],
    model: str,
    dtype: str,
    slices: tuple[int, ...],
    grids: tuple[int, ...],
    policies: tuple[str, ...],
    shown: tuple[float, float, float] | None,
    encoders: tuple[str, ...],
    changes: tuple[str, ...],
    no_offline: bool,
    server: str | None,
    noises: tuple[Path, ...],
    snr: float,
    json_path: Path | None,
) -> None:
    """Run the benchmark and print the table."""
    commit.POLICIES.update(TRIED)
    if shown:
        display.FIRST, display.LAST, display.AGAIN = shown
    paths = sorted(folder.glob("*.flac"))
    talks = [load_talk(path) for path in paths if not only or path.stem in only]
    sounds = {path.stem: read(path) for path in noises}
    settings = _settings(
        slices, grids, policies, shown, changes, list(sounds), offline=not (server or no_offline)
    )
    rows: dict[str, dict[str, Any]] = {}
    offline: dict[str, str] = {}  # the text of each noise's offline row
    print(_HEAD)
    for encoder in encoders:
        player = None if server else Player(model, dtype, _margins(encoder))
        for setting in settings:
            noise = sounds.get(setting.noise)
            heard = talks if noise is None else [mixed(talk, noise, snr_db=snr) for talk in talks]
            if player is None:
                url = f"{server}?policy={setting.stream.policy}"
                played = [play_to_server(talk, url, slice_ms=setting.slice_ms) for talk in heard]
            else:
                played = [play_on_simulated_clock(player, talk.pcm, setting) for talk in heard]
            if setting.grid_ms == _NO_GRID_MS:
                offline[setting.noise] = _text(played)
            name = setting.name + (encoder and f", encoder {encoder}")
            rows[name] = summary(talks, played, offline.get(setting.noise, ""))
            print(_line(name, rows[name]), flush=True)
            if json_path:
                _save(json_path, {name: asdict(setting)}, {name: rows[name]})


def _margins(encoder: str) -> Margins | None:
    """Return what ``--encoder`` stands for; "" is the default of the service."""
    return None if encoder == "full" else Margins(*map(int, encoder.split(":"))) if encoder else MARGINS


def _save(path: Path, settings: dict[str, Any], rows: dict[str, Any]) -> None:
    """Add rows to a file. They replace rows of the same names."""
    report = json.loads(path.read_text()) if path.exists() else {"settings": {}, "rows": {}}
    report["machine"] = describe()
    report["settings"] |= settings
    report["rows"] |= rows
    path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
