"""Answers requests: builds the tensors of a batch, runs the model, extracts words from the result.

On a GPU all windows of a batch are encoded together, on a CPU one after the other. Their drafts are verified
in one forward pass, and the text after them is decoded token by token. Word times come from the attention of
the same passes. This code must only run in the thread that loaded the model.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from whisper.audio import N_SAMPLES
from whisper.model import ModelDimensions, Whisper

from whisper_service.audio.pcm import Samples
from whisper_service.engine.memory import bound_compiled_shapes
from whisper_service.engine.request import EngineInfo, Hypothesis, Kind, OutOfMemory, Request, Word
from whisper_service.engine.words import words_of
from whisper_service.model.checkpoints.checkpoint import Checkpoint
from whisper_service.model.checkpoints.load import has_rough_word_times, load_model
from whisper_service.model.decoding.alignment import on_host, token_frames
from whisper_service.model.decoding.decode import decode
from whisper_service.model.decoding.rules import Rules
from whisper_service.model.decoding.sampler import Sampler
from whisper_service.model.decoding.sequence import Decoded, TokenSequence, capacity_for
from whisper_service.model.decoding.spoken import spoken
from whisper_service.model.decoding.vocabulary import Vocabulary
from whisper_service.model.network.cache import DecoderCache
from whisper_service.model.network.decoder import Decoder
from whisper_service.model.network.device import does_not_fit, free_memory, prepare, resolve_device
from whisper_service.model.network.encoder import positions_of
from whisper_service.model.network.features import LogMel, WindowAudio
from whisper_service.model.network.graphs import recorder
from whisper_service.model.network.incremental import MARGINS, Margins, state_bytes
from whisper_service.model.network.precision import Precision, resolve_precision
from whisper_service.model.network.weights import decoder_weights, encoder_weights
from whisper_service.model.network.windows import GrowingWindow, WindowEncoder

#: Limit on the tokens of a window, prefix included: so many per second of audio and some more, so that a
#: repetition loop ends before the context is full. No speech has more (fast speech: about 6).
_TOKENS_PER_SECOND = 12
_MORE_TOKENS = 16
#: Number of tokens in the draft of the windows that warm the model up: half a window of speech.
_WARM_TOKENS = 12
#: Largest batch by device type. On a CPU in float32 the encoder takes most of the time, and the windows of a
#: batch share none of its work.
_MAX_BATCH = {"cpu": 2, "cuda": 64}
_MAX_BATCH_OFFLINE = {"cpu": 8, "cuda": 64}

#: By default the states of growing windows take at most this share of the memory that is free after loading.
_STATES_SHARE = {"cpu": 0.25, "cuda": 0.5}
#: The largest number of states by default: more streams than one engine can serve.
_MOST_STATES = 1024

_CPU = torch.device("cpu")


class Runner:
    """Runs ``model`` on requests.

    :param model: a loaded checkpoint in evaluation mode. The caller may drop it afterwards.
    :param device: device that runs the model.
    :param precision: number format of the weights on that device.
    :param margins: which positions are computed when a window has grown. None: all of them.
    :param state_memory: bytes for the states of growing windows. None takes a quarter of the free memory of
        the machine, or half of that of a GPU. There is room for one state at least.
    :param name: name of the checkpoint.
    :param warnings: sentences that every user of the model should see.
    """

    def __init__(
        self,
        model: Whisper,
        device: torch.device = _CPU,
        precision: Precision = Precision.FLOAT32,
        *,
        margins: Margins | None = MARGINS,
        state_memory: int | None = None,
        name: str = "",
        warnings: tuple[str, ...] = (),
    ) -> None:
        prepare(device)
        self.device = device
        self.precision = precision
        self._n_text_ctx: int = model.dims.n_text_ctx
        self._decoder = Decoder(
            decoder_weights(model, precision, device),
            recorder(device),
            audio_positions=model.dims.n_audio_ctx,
        )
        slots, self._max_batch = 0, _MAX_BATCH[device.type]
        if margins is not None:
            slots = _slots(model.dims, precision, device, state_memory)
            self._max_batch = min(self._max_batch, slots)
        self._windows = WindowEncoder(
            encoder_weights(model, precision, device),
            self._decoder,
            LogMel(n_mels=model.dims.n_mels, device=device),
            model.dims,
            margins=margins,
            slots=slots,
        )
        self._vocabulary = Vocabulary(model)
        rules = Rules(self._vocabulary, n_vocab=model.dims.n_vocab, device=device)
        self._sampler = Sampler(self._decoder, self._vocabulary, rules)
        self._languages = self._vocabulary.languages()
        known = frozenset(self._languages.values()) or frozenset({"en"})
        self._info = EngineInfo(
            name, known, str(device), precision.value, has_rough_word_times(model), warnings
        )

    @classmethod
    def load(
        cls,
        checkpoint: Checkpoint,
        *,
        device: str = "auto",
        dtype: str = "auto",
        margins: Margins | None = MARGINS,
        state_memory: int | None = None,
    ) -> Runner:
        """Return a runner with ``checkpoint`` on a device. Blocks, but uses no network and no locks.

        The class describes the other parameters.

        :param device: see ``resolve_device``.
        :param dtype: see ``resolve_precision``.
        :raises ConfigError: if there is no such device or precision.
        :raises ModelUnavailable: if the files are not a checkpoint, it does not fit onto the device, or CUDA
            is asked for and missing.
        """
        bound_compiled_shapes()
        where = resolve_device(device)
        model = load_model(checkpoint)
        precision = resolve_precision(dtype, where, width=model.dims.n_audio_state)
        try:
            return cls(
                model,
                where,
                precision,
                margins=margins,
                state_memory=state_memory,
                name=checkpoint.name,
                warnings=checkpoint.warnings,
            )
        except torch.OutOfMemoryError as error:
            raise does_not_fit(checkpoint.name, where) from error

    def info(self) -> EngineInfo:
        """Return the description of this engine."""
        return self._info

    def warm_up(self) -> None:
        """Answer growing windows of noise and compile the alignment: no request shall be slow for that.

        This also measures the ``timings`` of ``info``: the noise takes as long as speech, roughly.
        """
        noise = np.random.default_rng(0).standard_normal(N_SAMPLES // 5).astype(np.float32) * 0.01
        self.run(Request(stream="", number=0, kind=Kind.DISPLAY, start=0, pcm=noise, rough=True))
        # The noise may give no words, and without words the alignment is not compiled (numba, takes seconds).
        token_frames(np.zeros((8, 50), dtype=np.float32))
        timings = []
        for size in sorted({1, self._max_batch}):
            heard: tuple[int, ...] = ()
            seconds = []
            for end in (12_000, 80_000, 88_000, 96_000):
                began = time.perf_counter()
                self.run_batch([_of_noise(f"noise {row}", noise[:end], heard) for row in range(size)])
                seconds.append(time.perf_counter() - began)
                heard = (*heard, end)
            timings.append((size, min(seconds[2:])))
            for row in range(size):
                self.forget(f"noise {row}")
        self._info = replace(self._info, timings=tuple(timings))

    @property
    def max_batch(self) -> int:
        """The largest number of requests in a batch. All answers come when the last one is complete."""
        return self._max_batch

    @property
    def max_batch_offline(self) -> int:
        """The largest number of file windows in a batch: nobody waits for the first window."""
        return _MAX_BATCH_OFFLINE[self.device.type]

    def run(self, request: Request) -> Hypothesis:
        """Answer one request; see ``run_batch``."""
        return self.run_batch([request])[0]

    def run_batch(self, requests: Sequence[Request]) -> list[Hypothesis]:
        """Return the answers to ``requests``, in the same order, computed in one batch. Blocks until done.

        :raises ValueError: if a window is longer than 30 s.
        :raises OutOfMemory: if the batch does not fit onto the device.
        """
        try:
            return self._run(requests)
        except torch.OutOfMemoryError as error:
            raise OutOfMemory(str(error)) from error

    def forget(self, stream: str) -> None:
        """See ``BatchRunner``. What is kept for a stream only saves time."""
        self._windows.forget(stream)

    @torch.inference_mode()
    def _run(self, requests: Sequence[Request]) -> list[Hypothesis]:
        for request in requests:
            if request.pcm.shape[0] > N_SAMPLES:
                raise ValueError(f"a window of {request.pcm.shape[0]} samples; the model takes {N_SAMPLES}")
        rows = [self._row(request, request.language or "en") for request in requests]
        cache = self._decoder.open(len(rows), capacity=capacity_for(rows))
        self._windows.encode([_window(request) for request in requests], cache)
        detected = self._detect_languages(requests, cache)
        languages = [request.language or code for request, (code, _) in zip(requests, detected, strict=True)]
        # The start sequence has the same length in every language, so the cache's capacity stays right.
        rows = [
            row if request.language else self._row(request, language)
            for row, request, language in zip(rows, requests, languages, strict=True)
        ]
        decoded = decode(self._sampler, cache, rows)
        words = self._words(requests, languages, decoded)
        return [
            Hypothesis(
                stream=request.stream,
                number=request.number,
                words=said,
                language=language,
                no_speech_probability=result.no_speech_probability,
                average_logprob=result.average_logprob,
                detected=code,
                language_probability=probability,
            )
            for request, language, result, said, (code, probability) in zip(
                requests, languages, decoded, words, detected, strict=True
            )
        ]

    def _row(self, request: Request, language: str) -> TokenSequence:
        tokenizer = self._vocabulary.tokenizer(language, request.task)
        head = self._vocabulary.head(
            tokenizer,
            request.prompt,
            request.context,
            timestamps=request.timestamps,
            prefix=len(request.prefix),
        )
        seconds = request.pcm.shape[0] / 16_000
        budget = min(
            self._n_text_ctx - len(head) - 1, _MORE_TOKENS + int(seconds * _TOKENS_PER_SECOND)
        ) - len(request.prefix)
        return TokenSequence(
            head=head,
            sot_index=head.index(self._vocabulary.sot),
            prefix=list(request.prefix),
            draft=list(request.draft[: max(0, budget)]),
            budget=max(0, budget),
            must_speak=request.must_speak,
            timestamps=request.timestamps,
            beam_size=request.beam_size,
        )

    def _detect_languages(self, requests: Sequence[Request], cache: DecoderCache) -> list[tuple[str, float]]:
        """Return the language of each window and its probability (as in ``whisper.detect_language``).

        Where nothing is detected, it is the request's language, or English, with probability 1.
        """
        known = [(request.language or "en", 1.0) for request in requests]
        wanted = [request.detect or request.language is None for request in requests]
        if not self._languages or not any(wanted):
            return known
        tokens = torch.full((len(requests), 1), self._vocabulary.sot, device=self.device)
        hidden, _ = self._decoder.forward(tokens, [0] * len(requests), cache)
        codes = list(self._languages)
        probabilities, best = self._decoder.logits.full(hidden[:, 0])[:, codes].softmax(-1).max(-1)
        detected = [
            (self._languages[codes[index]], probability)
            for index, probability in zip(best.tolist(), probabilities.tolist(), strict=True)
        ]
        return [detected[at] if asks else known[at] for at, asks in enumerate(wanted)]

    def _words(
        self, requests: Sequence[Request], languages: Sequence[str], decoded: Sequence[Decoded]
    ) -> list[tuple[Word, ...]]:
        said = [
            spoken(
                result,
                prefix=len(request.prefix),
                frames=max(1, positions_of(request.pcm.shape[0])),
                eot=self._vocabulary.eot,
            )
            for request, result in zip(requests, decoded, strict=True)
        ]
        scores = iter(on_host([one.scores for one in said if one.scores is not None]))
        return [
            () if one.scores is None else words_of(request, one, next(scores), self._vocabulary, language)
            for request, one, language in zip(requests, said, languages, strict=True)
        ]


def _slots(
    dims: ModelDimensions, precision: Precision, device: torch.device, state_memory: int | None
) -> int:
    """Return for how many growing windows there is memory."""
    size = state_bytes(dims, precision)
    if state_memory is not None:
        return max(1, state_memory // size)
    return max(1, min(_MOST_STATES, int(free_memory(device) * _STATES_SHARE[device.type]) // size))


def _of_noise(stream: str, noise: Samples, heard: tuple[int, ...]) -> Request:
    """Return a request of a stream that says nothing, with the few tokens that speech would bring."""
    draft = tuple(range(1_000, 1_000 + _WARM_TOKENS))
    return Request(stream, 0, Kind.COMMIT, 0, noise, heard=heard, draft=draft, language="en", must_speak=True)


def _window(request: Request) -> GrowingWindow:
    heard = request.heard and tuple(position - request.start for position in request.heard)
    audio = WindowAudio(request.stream, request.start, request.pcm)
    return GrowingWindow(audio, heard, kept=request.kind is Kind.COMMIT, rough=request.rough)
