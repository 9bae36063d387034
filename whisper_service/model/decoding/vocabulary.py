"""Token ids of a checkpoint, and the tokens that come before the text."""

from __future__ import annotations

import string
from collections.abc import Sequence

from whisper.model import Whisper
from whisper.tokenizer import Tokenizer, get_tokenizer

#: Languages that are written without spaces between words: each character is a word of its own.
_WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
#: Prompt and context together fill at most half of the decoder's context, as in whisper/decoding.py.
_PROMPT_SHARE = 2


class Vocabulary:
    """The special tokens and the tokenizers of one checkpoint.

    :param model: only its dimensions and its language support are read.
    """

    def __init__(self, model: Whisper) -> None:
        self.multilingual: bool = model.is_multilingual
        self._num_languages: int = model.num_languages
        self._n_text_ctx: int = model.dims.n_text_ctx
        tokenizer = self.tokenizer("en", "transcribe")
        self.eot: int = tokenizer.eot
        self.sot: int = tokenizer.sot
        self.no_speech: int = tokenizer.no_speech
        #: The first timestamp token, of 0 s. All ids from here on are timestamps.
        self.timestamps: int = tokenizer.timestamp_begin
        #: Tokens that stand for no speech: brackets, music notes, marks of speakers' names.
        self.non_speech: tuple[int, ...] = tokenizer.non_speech_tokens
        self.blank: tuple[int, ...] = tuple(tokenizer.encode(" "))
        self._spelled: dict[int, bytes] = {}

    def tokenizer(self, language: str, task: str) -> Tokenizer:
        """Return openai-whisper's tokenizer for a language and a task. openai-whisper caches it."""
        return get_tokenizer(
            self.multilingual, num_languages=self._num_languages, language=language, task=task
        )

    def head(
        self, tokenizer: Tokenizer, prompt: str, context: str, *, timestamps: bool = False, prefix: int = 0
    ) -> list[int]:
        """Return the tokens before the text: the prompt, the context, and Whisper's start sequence.

        Prompt and context share a limited room. The context keeps its end, at most half of the room. The
        prompt keeps its end, in the rest of the room.

        :param prefix: the number of tokens of the text that are fixed. If they are many, there is less room.
        """
        start = [*tokenizer.sot_sequence, *([] if timestamps else [tokenizer.no_timestamps])]
        left = self._n_text_ctx - len(start) - prefix - 2  # for <|startofprev|>, and one more token
        room = max(0, min(self._n_text_ctx // _PROMPT_SHARE - 1, left))
        before = _end(self._text(tokenizer, context), room // 2)
        before = [*_end(self._text(tokenizer, prompt), room - len(before)), *before]
        return [tokenizer.sot_prev, *before, *start] if before else start

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of ``tokens``, without timestamps and other special tokens."""
        tokenizer = self.tokenizer("en", "transcribe")
        return str(tokenizer.decode([token for token in tokens if token < self.eot]))

    def says(self, tokens: Sequence[int]) -> bool:
        """Return whether the text of ``tokens`` has a letter or a digit, not only marks."""
        return any(char.isalnum() for char in self.text(tokens))

    def split(self, tokens: Sequence[int], language: str) -> tuple[list[str], list[list[int]]]:
        """Return the words that text tokens spell, and the tokens of each (``split_to_word_tokens``).

        Whisper decodes every token twice. Here the bytes of a token are looked up.

        :param tokens: text tokens, none of them special.
        """
        tokenizer = self.tokenizer(language, "transcribe")
        texts: list[str] = []
        ids: list[list[int]] = []
        spelled, together = b"", []
        for token in tokens:
            spelled += self._bytes(token)
            together.append(token)
            try:
                texts.append(spelled.decode())
            except UnicodeDecodeError:
                continue  # the next token completes the character
            ids.append(together)
            spelled, together = b"", []
        if spelled or language in _WITHOUT_SPACES or any("\ufffd" in text for text in texts):
            # Characters that are never completed, and languages that need no more than this, are rare.
            return tuple(tokenizer.split_to_word_tokens(list(tokens)))
        words: list[str] = []
        parts: list[list[int]] = []
        for text, part in zip(texts, ids, strict=True):
            if not words or text.startswith(" ") or text.strip() in string.punctuation:
                words.append(text)
                parts.append(part)
            else:
                words[-1] += text
                parts[-1] = parts[-1] + part
        return words, parts

    def _bytes(self, token: int) -> bytes:
        known = self._spelled.get(token)
        if known is None:
            encoding = self.tokenizer("en", "transcribe").encoding
            known = self._spelled[token] = encoding.decode_single_token_bytes(token)
        return known

    def _text(self, tokenizer: Tokenizer, text: str) -> list[int]:
        # A client's prompt may contain the name of a special token. It is encoded as ordinary text.
        return tokenizer.encode(" " + text.strip(), disallowed_special=()) if text.strip() else []

    def languages(self) -> dict[int, str]:
        """Return the language codes by token id; empty for an English-only checkpoint."""
        if not self.multilingual:
            return {}
        tokenizer = self.tokenizer("en", "transcribe")
        return dict(zip(tokenizer.all_language_tokens, tokenizer.all_language_codes, strict=True))


def _end(tokens: list[int], count: int) -> list[int]:
    """Return the last ``count`` tokens."""
    return tokens[max(0, len(tokens) - count) :]
