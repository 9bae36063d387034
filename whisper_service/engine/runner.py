"""Answers requests: builds the tensors, runs the model, reads words off the result.

One window at a time: encode, verify the draft in one forward, decode what is new, take the word times from
the attention of the same pass. Must only run in the thread that loaded the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from whisper.audio import N_SAMPLES
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer

from whisper_service.engine.request import Hypothesis, Kind, Request, Word
from whisper_service.model.alignment import token_frames
from whisper_service.model.cache import DecoderCache
from whisper_service.model.decoder import Decoder
from whisper_service.model.features import window_features
from whisper_service.model.tokens import Vocabulary

#: Samples of one frame of the encoder's output: 20 ms at 16 kHz.
_SAMPLES_PER_FRAME = 320
#: A loop must not run to the end of the context: no speech has more tokens a second (fast speech: about 6).
_TOKENS_PER_SECOND = 12
_TOKENS_AT_LEAST = 16


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Text tokens behind the prefix, with what the pass left behind about all text tokens."""

    tokens: list[int]
    logprobs: list[float]
    end_logprob: float
    attention: Tensor  # (A, n_positions, n_audio_ctx)
    first: int  # the position that chose the first text token (the prefix's first, if there is a prefix)
    no_speech_probability: float


class Runner:
    """Runs ``model`` on requests.

    :param model: a loaded checkpoint in evaluation mode.
    """

    def __init__(self, model: Whisper) -> None:
        self._model = model
        self._decoder = Decoder(model)
        self._vocabulary = Vocabulary(model)
        self._languages = self._vocabulary.languages()

    @property
    def languages(self) -> frozenset[str]:
        """Codes of the languages that the checkpoint knows."""
        return frozenset(self._languages.values()) or frozenset({"en"})

    def warm_up(self) -> None:
        """Run once through everything, so that the first request does not pay for compilation."""
        noise = np.random.default_rng(0).standard_normal(N_SAMPLES // 10).astype(np.float32) * 0.01
        self.run(Request(stream="", number=0, kind=Kind.DISPLAY, start=0, pcm=noise))
        # Noise may give no words, and it is words that compile the alignment (numba, seconds).
        token_frames(torch.rand(2, 8, 64), first=1, frames=50)

    @torch.inference_mode()
    def run(self, request: Request) -> Hypothesis:
        """Answer one request. Blocks for the length of the computation.

        :raises ValueError: if the window is longer than 30 s.
        """
        if request.pcm.shape[0] > N_SAMPLES:
            raise ValueError(f"a window of {request.pcm.shape[0]} samples; the model takes {N_SAMPLES}")
        features = window_features(request.pcm, n_mels=self._model.dims.n_mels, device=self._model.device).to(
            self._model.encoder.conv1.weight.dtype
        )
        cache = self._decoder.open(self._model.encoder(features[None]))
        detected, probability = self._detect_language(request, cache)
        language = request.language or detected
        tokenizer = self._vocabulary.tokenizer(language, request.task)
        decoded = self._decode(request, tokenizer, cache)
        return Hypothesis(
            stream=request.stream,
            number=request.number,
            words=self._words(request, tokenizer, decoded),
            language=language,
            no_speech_probability=decoded.no_speech_probability,
            average_logprob=(sum(decoded.logprobs) + decoded.end_logprob) / (len(decoded.tokens) + 1),
            detected=detected,
            language_probability=probability,
        )

    def _detect_language(self, request: Request, cache: DecoderCache) -> tuple[str, float]:
        """Return the most probable language and its probability (``whisper.detect_language``)."""
        if not self._languages:
            return "en", 1.0
        if request.language and not request.detect:
            return request.language, 1.0
        hidden, _ = self._decoder.forward(self._tensor([self._vocabulary.sot]), cache)
        cache.truncate(0)
        codes = list(self._languages)
        probability, best = self._decoder.logits(hidden)[0, 0, codes].softmax(-1).max(-1)
        return self._languages[codes[int(best)]], float(probability)

    def _decode(self, request: Request, tokenizer: Tokenizer, cache: DecoderCache) -> _Decoded:
        """Verify the draft in one forward, then decode greedily, token by token."""
        head = self._vocabulary.head(tokenizer, request.prompt, request.context)
        room = self._decoder.n_text_ctx - len(head)
        prefix = list(request.prefix)
        budget = min(
            room - len(prefix) - 1,
            _TOKENS_AT_LEAST + int(request.pcm.shape[0] / 16_000 * _TOKENS_PER_SECOND) - len(prefix),
        )
        draft = list(request.draft[: max(0, budget)])
        start = len(head) + len(prefix) - 1  # the position that chooses the first new token
        hidden, attention = self._decoder.forward(self._tensor([*head, *prefix, *draft]), cache)
        sot = head.index(self._vocabulary.sot)
        no_speech = self._decoder.logits(hidden[:, sot : sot + 1])[0, 0].softmax(-1)[
            self._vocabulary.no_speech
        ]
        logprobs = self._next_logprobs(hidden[:, start:], first=not prefix)  # (len(draft) + 1, n_vocab)
        best = logprobs.argmax(dim=-1).tolist()
        accepted = next((i for i, token in enumerate(draft) if token != best[i]), len(draft))
        tokens = draft[:accepted]
        chosen = [float(logprobs[i, token]) for i, token in enumerate(tokens)]
        cache.truncate(start + 1 + accepted)
        rows = [attention[0, :, : cache.length]]
        token, logprob = best[accepted], float(logprobs[accepted, best[accepted]])
        while token != self._vocabulary.eot and len(tokens) < budget:
            tokens.append(token)
            chosen.append(logprob)
            hidden, attention = self._decoder.forward(self._tensor([token]), cache)
            rows.append(attention[0])
            row = self._next_logprobs(hidden, first=False)[0]
            token = int(row.argmax())
            logprob = float(row[token])
        return _Decoded(
            tokens=tokens,
            logprobs=chosen,
            end_logprob=logprob,
            attention=torch.cat(rows, dim=1),
            first=len(head) - 1,
            no_speech_probability=float(no_speech),
        )

    def _next_logprobs(self, hidden: Tensor, *, first: bool) -> Tensor:
        logits = self._vocabulary.restrict(self._decoder.logits(hidden)[0], first=first)
        return logits.log_softmax(dim=-1)  # (T, n_vocab)

    def _words(self, request: Request, tokenizer: Tokenizer, decoded: _Decoded) -> tuple[Word, ...]:
        if not decoded.tokens:
            return ()
        prefix = len(request.prefix)
        frames = max(1, -(-request.pcm.shape[0] // _SAMPLES_PER_FRAME))
        begins, attended = token_frames(decoded.attention, first=decoded.first, frames=frames)
        heard = _Heard(
            begins=request.start + np.minimum(begins[prefix:] * _SAMPLES_PER_FRAME, request.pcm.shape[0]),
            attended=request.start + attended[prefix:] * _SAMPLES_PER_FRAME,
        )
        texts, ids = tokenizer.split_to_word_tokens(decoded.tokens)
        return _merge_punctuation(_read_words(texts, ids, heard, decoded.logprobs))

    def _tensor(self, tokens: list[int]) -> Tensor:
        return torch.tensor([tokens], device=self._model.device)


@dataclass(frozen=True, slots=True)
class _Heard:
    """Where each token was heard, on the stream's clock; one more entry for the end of the text."""

    begins: NDArray[np.int64]
    attended: NDArray[np.int64]


def _read_words(texts: list[str], ids: list[list[int]], heard: _Heard, logprobs: list[float]) -> list[Word]:
    edges = np.cumsum([0, *(len(word) for word in ids)]).tolist()
    return [
        Word(
            text=text,
            start=int(heard.begins[begin]),
            end=int(heard.begins[end]),
            attended=int(heard.attended[begin:end].max()),
            probability=float(np.exp(logprobs[begin:end]).mean()),
            tokens=tuple(word),
        )
        for text, word, (begin, end) in zip(texts, ids, pairwise(edges), strict=True)
    ]


_OPENING = "\"'“¿([{-"
_CLOSING = "\"'.。,，!！?？:：”)]}、"


def _merge_punctuation(words: list[Word]) -> tuple[Word, ...]:
    """Join marks with the word that they belong to (whisper/timing.py, ``merge_punctuations``)."""
    merged: list[Word] = []
    for word in words:
        mark = word.text.strip()
        last = merged[-1] if merged else None
        closes = bool(mark) and mark in _CLOSING and not word.text.startswith(" ")
        opens = last is not None and last.text.startswith(" ") and last.text.strip() in _OPENING
        if last is not None and (closes or opens):
            merged[-1] = Word(
                text=last.text + word.text,
                start=last.start if closes else word.start,
                end=last.end if closes else word.end,
                attended=last.attended if closes else word.attended,
                probability=last.probability if closes else word.probability,
                tokens=last.tokens + word.tokens,
            )
        else:
            merged.append(word)
    return tuple(merged)
