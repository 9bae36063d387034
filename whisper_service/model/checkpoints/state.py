"""The weights of a Whisper by the names of OpenAI's own checkpoints, for every file format."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from whisper.model import AudioEncoder, ModelDimensions, TextDecoder, Whisper

#: Rows of the token embedding: English-only checkpoints, multilingual ones, large-v3 and its variants.
VOCABULARIES = (51_864, 51_865, 51_866)
#: The token that comes before text without timestamps.
NO_TIMESTAMPS = "<|notimestamps|>"
#: The size of the vocabulary by the id of this token in it.
OWN_BY_NO_TIMESTAMPS = dict(zip((50_362, 50_363, 50_364), VOCABULARIES, strict=True))
#: The number of frames of 20 ms that the encoder outputs for 30 s of audio.
_AUDIO_CONTEXT = 1_500
#: How many names an error lists. The other names are only counted.
_LISTED = 3

#: Alignment heads: the layer of each head, and its number in that layer.
Heads = tuple[tuple[int, int], ...]


class NotWhisper(Exception):
    """The files hold no Whisper, or an incomplete one. The text says what is wrong with them."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the files of a checkpoint say about a model.

    :param dims: the dimensions. After ``with_own_vocabulary``, ``n_vocab`` counts only Whisper's own tokens.
    :param tensors: the tensors by OpenAI's names (``whisper.Whisper.state_dict``), of any floating dtype.
    :param heads: the alignment heads, whose attention shows when a word was said; None if no file lists them.
    """

    dims: ModelDimensions
    tensors: Mapping[str, Tensor]
    heads: Heads | None = None


class _WithoutMemory(TorchFunctionMode):
    """Builds modules whose weights have no memory and no values.

    ``torch.device("meta")`` does that as well, but it needs torch's compiler to initialise the weights, whose
    import takes 1.5 s.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.empty:
            return func(*args, **{**kwargs, "device": "meta"})
        tensor = next(iter((*args, *kwargs.values())), None)
        name = func.__name__
        if isinstance(tensor, Tensor) and tensor.is_meta and name.endswith("_") and not name.endswith("__"):
            return tensor  # the operation would only write values
        return func(*args, **kwargs)


class _Empty(Whisper):  # type: ignore[misc]
    """A Whisper that takes no memory for its weights until they are assigned.

    Whisper's own constructor initialises all weights at random, which takes seconds.
    """

    def __init__(self, dims: ModelDimensions) -> None:
        nn.Module.__init__(self)
        self.dims = dims
        with _WithoutMemory():
            self.encoder = AudioEncoder(
                dims.n_mels, dims.n_audio_ctx, dims.n_audio_state, dims.n_audio_head, dims.n_audio_layer
            )
            self.decoder = TextDecoder(
                dims.n_vocab, dims.n_text_ctx, dims.n_text_state, dims.n_text_head, dims.n_text_layer
            )


def model_of(state: State) -> Whisper:
    """Return the model of ``state``, in float32 on the CPU, in evaluation mode and without gradients.

    :raises NotWhisper: if an alignment head does not exist.
    """
    model = _Empty(state.dims)
    tensors = {name: tensor.float() for name, tensor in state.tensors.items()}
    model.load_state_dict(tensors, assign=True)
    marked = torch.zeros(state.dims.n_text_layer, state.dims.n_text_head, dtype=torch.bool)
    if state.heads is None:
        marked[state.dims.n_text_layer // 2 :] = True
    for layer, head in state.heads or ():
        if not (0 <= layer < marked.shape[0] and 0 <= head < marked.shape[1]):
            raise NotWhisper(f"the alignment head {head} of layer {layer} does not exist")
        marked[layer, head] = True
    model.register_buffer("alignment_heads", marked.to_sparse(), persistent=False)
    # The causal mask is not a weight, so no file holds it.
    context = state.dims.n_text_ctx
    mask = torch.full((context, context), -torch.inf).triu_(1)
    model.decoder.register_buffer("mask", mask, persistent=False)
    return model.eval().requires_grad_(False)


def shapes(dims: ModelDimensions) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a model with these dimensions, by name.

    :raises NotWhisper: if no Whisper can have these dimensions.
    """
    if dims.n_audio_ctx != _AUDIO_CONTEXT:
        raise NotWhisper(f"it hears {dims.n_audio_ctx} frames at once, where Whisper hears {_AUDIO_CONTEXT}")
    width, heads = dims.n_audio_state, (dims.n_audio_head, dims.n_text_head)
    if dims.n_text_state != width or any(count < 1 or width % count for count in heads):
        raise NotWhisper(f"its dimensions do not go together ({dims})")
    try:
        return {name: tuple(tensor.shape) for name, tensor in _Empty(dims).state_dict().items()}
    except (ArithmeticError, AssertionError, RuntimeError, TypeError) as error:
        raise NotWhisper(f"its dimensions do not go together ({dims})") from error


def heads_of(pairs: Any) -> Heads | None:
    """Return the alignment heads from a file's pairs of layer and head; None if it lists none.

    :raises NotWhisper: if ``pairs`` are not pairs of whole numbers.
    """
    if not pairs:
        return None
    try:
        return tuple((operator.index(layer), operator.index(head)) for layer, head in pairs)
    except (TypeError, ValueError) as error:
        raise NotWhisper(f"its alignment heads are no pairs of numbers ({pairs!r:.80})") from error


def read_json(path: Path) -> Any:
    """Return the contents of a JSON file.

    :raises NotWhisper: if the file holds no valid JSON, or is missing.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise NotWhisper(f"{path.name} is missing") from error
    except ValueError as error:
        raise NotWhisper(f"{path.name} is damaged ({error})") from error


def check_names(found: Iterable[str], expected: Iterable[str]) -> None:
    """Check that the files hold all expected tensors and no others.

    :raises NotWhisper: with the names of the tensors that are missing, or that Whisper does not have.
    """
    found, expected = set(found), set(expected)
    if missing := sorted(expected - found):
        raise NotWhisper(f"it lacks {_listed(missing)}")
    if extra := sorted(found - expected):
        raise NotWhisper(f"it holds {_listed(extra)}, which no Whisper has")


def check_shape(name: str, found: Iterable[int], expected: Iterable[int]) -> None:
    """Check the shape of the tensor ``name``.

    :raises NotWhisper: with both shapes, if they differ.
    """
    if tuple(found) != tuple(expected):
        raise NotWhisper(f"{name} has the shape {_shape(found)}, not {_shape(expected)}")


def with_own_vocabulary(state: State, n_vocab: int | None = None) -> State:
    """Return ``state`` without the rows of its token embedding that are not Whisper's own.

    A fine-tuned model may have extra tokens, or padding in the matrix. Tokens without rows are never chosen.

    :param n_vocab: the number of Whisper's own rows. If it is None, all rows are kept if their number is that
        of a Whisper vocabulary; otherwise the number of mel bands decides.
    :raises NotWhisper: if the embedding has fewer rows than that.
    """
    name = "decoder.token_embedding.weight"
    rows = state.dims.n_vocab
    own = n_vocab or (rows if rows in VOCABULARIES else VOCABULARIES[2 if state.dims.n_mels == 128 else 1])
    if rows < own:
        raise NotWhisper(f"its vocabulary has {rows} tokens; Whisper's has {VOCABULARIES[0]} or more")
    dims = ModelDimensions(**{**vars(state.dims), "n_vocab": own})
    return replace(state, dims=dims, tensors={**state.tensors, name: state.tensors[name][:own]})


def _listed(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more tensors" if more > 0 else "")


def _shape(sizes: Iterable[int]) -> str:
    return " × ".join(map(str, sizes)) or "of one number"
