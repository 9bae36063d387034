"""Makes models of any shape that recite a given text, whatever the audio, to measure the cost of a shape.

Most of OpenAI's weights cannot be fetched where the benchmarks run, and random weights repeat one token for
ever. Here the weights are seeded, random and small, and the decoder's positional embedding holds, for each
position, the embedding of the token that shall come next. So the logit of this token is by far the largest,
in any engine and in any precision. Every engine decodes the same text of the same length, by its own rules,
at its own cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from whisper.model import ModelDimensions, Whisper
from whisper.tokenizer import get_tokenizer

#: n_mels, n_audio_ctx, n_audio_state, n_audio_head, n_audio_layer, n_vocab, n_text_ctx, n_text_state, …
SHAPES = {
    "tiny.en": ModelDimensions(80, 1500, 384, 6, 4, 51864, 448, 384, 6, 4),
    "base.en": ModelDimensions(80, 1500, 512, 8, 6, 51864, 448, 512, 8, 6),
    "small.en": ModelDimensions(80, 1500, 768, 12, 12, 51864, 448, 768, 12, 12),
    "large-v3-turbo": ModelDimensions(128, 1500, 1280, 20, 32, 51866, 448, 1280, 20, 4),
    "large-v3": ModelDimensions(128, 1500, 1280, 20, 32, 51866, 448, 1280, 20, 32),
}
_TEXT = (
    " The committee met on Thursday to discuss the results of the survey, and although most of the members "
    "had read the report beforehand, nobody could explain why the numbers from the northern stations were so "
    "much lower than in the previous year, when the weather had been worse and fewer people had taken part."
)


def recited(dims: ModelDimensions, count: int) -> list[int]:
    """Return the first ``count`` tokens of the text, in the vocabulary of this shape.

    :raises ValueError: if the text is shorter.
    """
    tokenizer = get_tokenizer(dims.n_vocab > 51864, num_languages=dims.n_vocab - 51766)
    tokens: list[int] = tokenizer.encode(_TEXT)
    if len(tokens) < count:
        raise ValueError(f"the text has {len(tokens)} tokens, not {count}")
    return tokens[:count]


def reciting_model(dims: ModelDimensions, tokens: Sequence[int]) -> Whisper:
    """Return a model in float32 that recites ``tokens`` and then ends the text.

    With an English-only vocabulary, two tokens come before them: start of transcript, and either "no
    timestamps" or the first timestamp. With a multilingual one, language and task come before them too.
    """
    model = Whisper(dims).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if "ln" in name and name.endswith("weight"):
            parameter.fill_(1.0)
        elif name.endswith("bias"):
            parameter.zero_()
        else:
            parameter.normal_(std=parameter.shape[-1] ** -0.5 / 4, generator=generator)
    embedding = model.decoder.token_embedding.weight
    embedding.normal_(std=dims.n_text_state**-0.5, generator=generator)
    tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
    first = len(tokenizer.sot_sequence)
    positions = model.decoder.positional_embedding
    positions.normal_(std=dims.n_text_state**-0.5, generator=generator)
    for place, token in enumerate([*tokens, tokenizer.eot]):
        positions[first + place] = embedding[token] * 30
    return model


def save(model: Whisper, path: Path) -> None:
    """Write a checkpoint in OpenAI's format."""
    torch.save({"dims": vars(model.dims), "model_state_dict": model.state_dict()}, path)
