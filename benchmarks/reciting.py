"""Models of any shape that say a given text, whatever they hear: for what a shape costs, not what it hears.

OpenAI's weights cannot be had where benchmarks run, and random ones repeat one token for ever. Here the
weights are seeded and small, and the decoder's table of positions holds, for each position, the embedding of
the token that is to come next: its logit is the largest by far, in any engine and in any precision. So every
engine decodes the same text of the same length, by its own rules, at its own cost.
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
    """Return the first ``count`` tokens of the text that a model of this shape would say."""
    tokenizer = get_tokenizer(dims.n_vocab > 51864, num_languages=dims.n_vocab - 51766)
    tokens: list[int] = tokenizer.encode(_TEXT)
    if len(tokens) < count:
        raise ValueError(f"the text has {len(tokens)} tokens, not {count}")
    return tokens[:count]


def reciting_model(dims: ModelDimensions, tokens: Sequence[int]) -> Whisper:
    """Return a model in float32 that says ``tokens`` and ends.

    In an English-only vocabulary they come behind the start of the transcript and one token more (no
    timestamps, or the first of them); in a multilingual one behind two more (language and task).
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
