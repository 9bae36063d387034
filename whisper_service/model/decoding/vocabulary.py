"""Token ids of a checkpoint, and what stands before the text."""

from __future__ import annotations

from collections.abc import Sequence

from whisper.model import Whisper
from whisper.tokenizer import Tokenizer, get_tokenizer

#: Words of a prompt are cut to the last half of the decoder's context, as in whisper/decoding.py.
_PROMPT_SHARE = 2


class Vocabulary:
    """The tokenizers of one checkpoint.

    :param model: only asked for what it is.
    """

    def __init__(self, model: Whisper) -> None:
        self.multilingual: bool = model.is_multilingual
        self._num_languages: int = model.num_languages
        self._n_text_ctx: int = model.dims.n_text_ctx
        tokenizer = self.tokenizer("en", "transcribe")
        self.eot: int = tokenizer.eot
        self.sot: int = tokenizer.sot
        self.no_speech: int = tokenizer.no_speech
        #: The first timestamp, of 0 s; all ids from here on are timestamps.
        self.timestamps: int = tokenizer.timestamp_begin
        #: Marks that are no speech: brackets, notes, speakers' names.
        self.non_speech: tuple[int, ...] = tokenizer.non_speech_tokens
        self.blank: tuple[int, ...] = tuple(tokenizer.encode(" "))

    def tokenizer(self, language: str, task: str) -> Tokenizer:
        """Return openai-whisper's tokenizer (cached by it) for a language and a task."""
        return get_tokenizer(
            self.multilingual, num_languages=self._num_languages, language=language, task=task
        )

    def head(self, tokenizer: Tokenizer, prompt: str, context: str, *, timestamps: bool = False) -> list[int]:
        """Return the tokens before the text: the prompt's, the context's, Whisper's start sequence.

        Where they are too long, the prompt loses its beginning, and the context at most half of its room.
        """
        start = [*tokenizer.sot_sequence, *([] if timestamps else [tokenizer.no_timestamps])]
        room = self._n_text_ctx // _PROMPT_SHARE - 1
        before = self._text(tokenizer, context)[-(room // 2) :]
        before = [*self._text(tokenizer, prompt)[-(room - len(before)) :], *before]
        return [tokenizer.sot_prev, *before, *start] if before else start

    def text(self, tokens: Sequence[int]) -> str:
        """Return the words that ``tokens`` spell; timestamps spell none."""
        tokenizer = self.tokenizer("en", "transcribe")
        return str(tokenizer.decode([token for token in tokens if token < self.eot]))

    def _text(self, tokenizer: Tokenizer, text: str) -> list[int]:
        # What looks like a special token in a client's prompt is text like any other.
        return tokenizer.encode(" " + text.strip(), disallowed_special=()) if text.strip() else []

    def languages(self) -> dict[int, str]:
        """Return the code of each language by its token; empty for an English-only checkpoint."""
        if not self.multilingual:
            return {}
        tokenizer = self.tokenizer("en", "transcribe")
        return dict(zip(tokenizer.all_language_tokens, tokenizer.all_language_codes, strict=True))
