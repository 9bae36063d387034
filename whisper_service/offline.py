"""Transcribes files: packs their speech into windows, and puts windows of all files into shared batches.

A live stream is decoded again and again while it grows. A file is decoded once, in windows as long as the
model takes. Its words are not exactly those of a stream, and cost a tenth of the computation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from whisper_service.audio.pcm import SAMPLE_RATE, Samples
from whisper_service.config import StreamSettings
from whisper_service.engine.request import BatchRunner, Hypothesis, Kind, OutOfMemory, Request, Word
from whisper_service.events import Final
from whisper_service.model.speech.detector import SpeechDetector
from whisper_service.session.cut import cut_point
from whisper_service.session.guard import believe
from whisper_service.session.timeline import Timeline

#: The longest window, in samples. The model takes 30 s.
_LONGEST = 28 * SAMPLE_RATE
_NO_GRID = 1 << 62


@dataclass(frozen=True, slots=True)
class PackedWindow:
    """Utterances that are decoded together.

    :param utterances: the samples ``[start, end)`` of each utterance, in order.
    """

    utterances: tuple[tuple[int, int], ...]

    @property
    def start(self) -> int:
        """The first sample."""
        return self.utterances[0][0]

    @property
    def end(self) -> int:
        """The sample after the last one."""
        return self.utterances[-1][1]


def transcribe(
    files: Sequence[Samples],
    *,
    runner: BatchRunner,
    batch: int,
    detector: SpeechDetector,
    settings: StreamSettings,
    timestamps: bool = False,
    progress: Callable[[float], None] = lambda seconds: None,
) -> list[list[Final]]:
    """Return the transcript of each file, one ``Final`` for each utterance. Blocks while the model runs.

    :param files: mono float32 at 16 kHz, each ``(n_samples,)``.
    :param batch: how many windows are decoded together, if they fit onto the device; else fewer.
    :param settings: the commit policy and the setting of partials have no effect.
    :param timestamps: whether Whisper writes timestamps. They lead some checkpoints through long windows.
    :param progress: called after each batch with the seconds of audio in its windows.
    :raises OutOfMemory: if a single window does not fit onto the device.
    """
    probabilities = detector.of_recordings(files)
    windows = [
        (index, window)
        for index, (pcm, speech) in enumerate(zip(files, probabilities, strict=True))
        for window in pack(utterances(pcm, speech, settings))
    ]
    languages = runner.info().languages
    only = settings.language or (next(iter(languages)) if len(languages) == 1 else None)
    spoken = [only] * len(files)
    answers: dict[int, Hypothesis] = {}

    def decode(waiting: list[int]) -> None:
        together = batch
        while waiting:
            some = waiting[:together]
            requests = [
                _request(index, window, files[index], settings, spoken[index], timestamps)
                for index, window in (windows[at] for at in some)
            ]
            try:
                answers.update(zip(some, runner.run_batch(requests), strict=True))
            except OutOfMemory:
                if len(some) == 1:
                    raise
                together = len(some) // 2
                continue
            waiting = waiting[len(some) :]
            progress(sum(windows[at][1].end - windows[at][1].start for at in some) / SAMPLE_RATE)

    if only is None:
        # The first window of a file decides the language of all its windows.
        decode([at for at, (index, _) in enumerate(windows) if at == 0 or windows[at - 1][0] != index])
        for at, answer in answers.items():
            spoken[windows[at][0]] = answer.language
    decode([at for at in range(len(windows)) if at not in answers])
    transcripts: list[list[Final]] = [[] for _ in files]
    for at, (index, window) in enumerate(windows):
        transcripts[index] += _finals(len(transcripts[index]), window, answers[at])
    return transcripts


def utterances(pcm: Samples, speech: Iterable[float], settings: StreamSettings) -> Iterator[tuple[int, int]]:
    """Yield the samples ``[start, end)`` of each utterance. No utterance is longer than a window.

    :param speech: speech probability of each frame of 512 samples.
    """
    timeline = Timeline.of(settings, grid=_NO_GRID)
    for _, jobs in (timeline.advance(pcm.shape[0], speech), timeline.close(pcm.shape[0])):
        for job in jobs:
            if job.kind is not Kind.FINAL:
                continue
            start = job.start
            while job.position - start > _LONGEST:
                cut = cut_point(pcm[start : start + _LONGEST], start, (), committed=0)
                yield start, cut.at
                start = cut.at
            yield start, job.position


def pack(spoken: Iterable[tuple[int, int]]) -> Iterator[PackedWindow]:
    """Yield windows, each with as many of the next utterances as fit."""
    together: list[tuple[int, int]] = []
    for start, end in spoken:
        if together and end - together[0][0] > _LONGEST:
            yield PackedWindow(tuple(together))
            together = []
        together.append((start, end))
    if together:
        yield PackedWindow(tuple(together))


def _request(
    index: int,
    window: PackedWindow,
    pcm: Samples,
    settings: StreamSettings,
    language: str | None,
    timestamps: bool,
) -> Request:
    return Request(
        stream=f"file {index}",
        number=0,
        kind=Kind.FINAL,
        start=window.start,
        pcm=pcm[window.start : window.end],
        prompt=settings.prompt,
        language=language,
        task=settings.task,
        timestamps=timestamps,
        beam_size=settings.beam_size,
    )


def _finals(number: int, window: PackedWindow, answer: Hypothesis) -> Iterator[Final]:
    """Yield the words of an answer, one final for each utterance."""
    words = list(believe(answer).words)
    ends = [*(start for start, _ in window.utterances[1:]), _NO_GRID]
    for end in ends:
        own: list[Word] = []
        while words and (words[0].start + words[0].end) / 2 < end:
            own.append(words.pop(0))
        if own:
            text = "".join(word.text for word in own)
            yield Final(number, text, own[0].start, own[-1].end, tuple(own), answer.language, window.end)
            number += 1
