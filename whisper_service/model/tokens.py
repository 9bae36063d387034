"""Token ids and the rules that say which of them may come next."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer, get_tokenizer

#: Words of a prompt are cut to the last half of the decoder's context, as in whisper/decoding.py.
_PROMPT_SHARE = 2


class Vocabulary:
    """The tokenizers of one checkpoint, with its suppression rules as tensors.

    Source: ``SuppressBlank`` and ``SuppressTokens`` in whisper/decoding.py of openai-whisper 20250625.
    """

    def __init__(self, model: Whisper) -> None:
        self.multilingual: bool = model.is_multilingual
        self._num_languages: int = model.num_languages
        self._n_text_ctx: int = model.dims.n_text_ctx
        tokenizer = self.tokenizer("en", "transcribe")
        self.eot: int = tokenizer.eot
        self.sot: int = tokenizer.sot
        self.no_speech: int = tokenizer.no_speech
        self._suppressed = torch.zeros(model.dims.n_vocab, dtype=torch.bool, device=model.device)
        self._suppressed[list(tokenizer.non_speech_tokens)] = True
        # Without timestamps only text and the end of the text may follow.
        self._suppressed[self.eot + 1 :] = True
        self._blank = torch.zeros_like(self._suppressed)
        self._blank[[*tokenizer.encode(" "), self.eot]] = True

    def tokenizer(self, language: str, task: str) -> Tokenizer:
        """Return openai-whisper's tokenizer (cached by it) for a language and a task."""
        return get_tokenizer(
            self.multilingual, num_languages=self._num_languages, language=language, task=task
        )

    def head(self, tokenizer: Tokenizer, prompt: str, context: str) -> list[int]:
        """Return the tokens before the text: the prompt's, the context's, Whisper's start sequence.

        Where they are too long, the prompt loses its beginning, and the context at most half of its room.
        """
        start = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        room = self._n_text_ctx // _PROMPT_SHARE - 1
        before = self._text(tokenizer, context)[-(room // 2) :]
        before = [*self._text(tokenizer, prompt)[-(room - len(before)) :], *before]
        return [tokenizer.sot_prev, *before, *start] if before else start

    def _text(self, tokenizer: Tokenizer, text: str) -> list[int]:
        # What looks like a special token in a client's prompt is text like any other.
        return tokenizer.encode(" " + text.strip(), disallowed_special=()) if text.strip() else []

    def restrict(self, logits: Tensor, first: Sequence[bool] = ()) -> Tensor:
        """Return ``logits`` ``(N, n_vocab)`` with what may not follow at minus infinity, in place.

        :param first: for each row whether it chooses the first token of an empty text, which may be neither a
            blank nor the end; none does if left out.
        """
        logits.masked_fill_(self._suppressed, -torch.inf)
        if any(first):
            rows = torch.tensor(first, device=logits.device)[:, None]
            logits.masked_fill_(rows & self._blank, -torch.inf)
        return logits

    def languages(self) -> dict[int, str]:
        """Return the code of each language by its token; empty for an English-only checkpoint."""
        if not self.multilingual:
            return {}
        tokenizer = self.tokenizer("en", "transcribe")
        return dict(zip(tokenizer.all_language_tokens, tokenizer.all_language_codes, strict=True))
