"""The same weights give the same model from every format. Errors name the part that is broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import whisper
from whisper.model import ModelDimensions, Whisper

from tests.model.checkpoints.writers import (
    DIMS,
    HEADS,
    ctranslate2_tensors,
    huggingface_tensors,
    in_eight_bits,
    random_model,
    write_ctranslate2,
    write_huggingface,
    write_openai,
)
from whisper_service.errors import ModelUnavailable
from whisper_service.model.checkpoints.checkpoint import Checkpoint
from whisper_service.model.checkpoints.load import has_rough_word_times, load_model

MULTILINGUAL = ModelDimensions(80, 1500, 8, 2, 1, 51_865, 448, 8, 2, 2)
LARGE_V3 = ModelDimensions(128, 1500, 8, 2, 1, 51_866, 448, 8, 2, 2)


@pytest.fixture(scope="module")
def original() -> Whisper:
    return random_model()


def load(path: Path, *, name: str = "some", official: bool = False) -> Whisper:
    return load_model(Checkpoint(path, name, official))


def refusal(path: Path) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        load(path)
    return str(caught.value)


def logits(model: Whisper) -> torch.Tensor:
    mel = torch.randn(1, model.dims.n_mels, 3000, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        return model(mel, torch.tensor([[50_257, 50_362, 400, 500]]))


def heads(model: Whisper) -> list[list[int]]:
    return model.alignment_heads.to_dense().nonzero().tolist()


WRITERS: dict[str, Callable[[Whisper, Path], Path]] = {
    "openai": lambda model, path: write_openai(model, path, alignment_heads=HEADS),
    "huggingface": write_huggingface,
    "huggingface, sharded": lambda model, path: write_huggingface(model, path, shards=3),
    "huggingface, without its beginning": lambda model, path: write_huggingface(
        model, path, {name.removeprefix("model."): item for name, item in huggingface_tensors(model).items()}
    ),
    "huggingface, with the projection": lambda model, path: write_huggingface(
        model,
        path,
        huggingface_tensors(model) | {"proj_out.weight": model.decoder.token_embedding.weight.clone()},
    ),
    "huggingface, bfloat16 where that is exact": lambda model, path: write_huggingface(
        model,
        path,
        {
            name: item.bfloat16() if torch.equal(item.bfloat16().float(), item) else item
            for name, item in huggingface_tensors(model).items()
        },
    ),
    "ctranslate2": write_ctranslate2,
    "ctranslate2, float16": lambda model, path: write_ctranslate2(
        model, path, {name: item.half() for name, item in ctranslate2_tensors(model).items()}
    ),
}


@pytest.mark.parametrize("form", WRITERS)
def test_a_format_gives_equal_logits(form: str, original: Whisper, tmp_path: Path) -> None:
    model = load(WRITERS[form](original, tmp_path / "model"))
    assert torch.equal(logits(model), logits(original))
    assert heads(model) == HEADS
    assert not has_rough_word_times(model)


@pytest.mark.parametrize("writer", [write_openai, write_huggingface, write_ctranslate2])
@pytest.mark.parametrize("dims", [MULTILINGUAL, LARGE_V3])
def test_a_format_keeps_the_shape(
    writer: Callable[[Whisper, Path], Path], dims: ModelDimensions, tmp_path: Path
) -> None:
    model = load(writer(random_model(dims), tmp_path / "model"))
    assert model.dims == dims
    assert model.num_languages == (100 if dims is LARGE_V3 else 99)


def test_ctranslate2_in_eight_bits_is_as_near_as_its_steps(original: Whisper, tmp_path: Path) -> None:
    model = load(
        write_ctranslate2(original, tmp_path / "model", in_eight_bits(ctranslate2_tensors(original)))
    )
    for name, tensor in original.state_dict().items():
        rows = tensor.abs().flatten(1).amax(1) if tensor.dim() > 1 else tensor.abs()
        step = rows.view(-1, *[1] * (tensor.dim() - 1)) / 127
        assert ((model.state_dict()[name] - tensor).abs() <= 0.51 * step + 1e-6).all(), name


def test_heads_of_an_official_model_come_by_its_name(tmp_path: Path) -> None:
    dims = ModelDimensions(80, 1500, 6, 6, 1, 51_864, 448, 6, 6, 4)  # tiny.en has four layers of six heads
    model = load(write_openai(random_model(dims), tmp_path / "tiny.en.pt"), name="tiny.en", official=True)
    expected = random_model(dims)
    expected.set_alignment_heads(whisper._ALIGNMENT_HEADS["tiny.en"])
    assert heads(model) == heads(expected)


def test_without_heads_the_upper_half_is_taken(original: Whisper, tmp_path: Path) -> None:
    model = load(write_openai(original, tmp_path / "model.pt"))
    assert heads(model) == [[1, 0], [1, 1]]
    assert has_rough_word_times(model)


@pytest.mark.parametrize(
    ("dims", "generation", "own"),
    [
        (DIMS, {"no_timestamps_token_id": 50_362}, 51_864),
        (DIMS, {}, 51_864),  # known from the end-of-text token in config.json
        (MULTILINGUAL, {"no_timestamps_token_id": 50_363}, 51_865),
        (LARGE_V3, {}, 51_866),  # known from the number of mel bands
    ],
)
def test_rows_beyond_whispers_own_vocabulary_are_left_out(
    dims: ModelDimensions, generation: dict[str, int], own: int, tmp_path: Path
) -> None:
    longer = ModelDimensions(**{**vars(dims), "n_vocab": own + 7})
    config = {"eos_token_id": 50_256 if own == 51_864 else 50_257}
    path = write_huggingface(random_model(longer), tmp_path / "model", config=config, generation=generation)
    model = load(path)
    assert model.dims.n_vocab == own
    assert torch.equal(
        model.decoder.token_embedding.weight, random_model(longer).decoder.token_embedding.weight[:own]
    )


def test_ctranslate2_tells_its_own_vocabulary_by_its_words(tmp_path: Path) -> None:
    longer = ModelDimensions(**{**vars(DIMS), "n_vocab": 51_865})  # as many as in a multilingual one
    path = write_ctranslate2(random_model(longer), tmp_path / "model")
    words = [f"word{number}" for number in range(51_865)]
    words[50_362] = "<|notimestamps|>"
    (path / "vocabulary.json").write_text(json.dumps(words))
    assert load(path).dims.n_vocab == 51_864


# --- broken files


def _without(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in tensors.items() if key != name}


def test_a_missing_tensor_is_named(original: Whisper, tmp_path: Path) -> None:
    state = _without(original.state_dict(), "decoder.ln.bias")
    torch.save({"dims": vars(DIMS), "model_state_dict": state}, tmp_path / "model.pt")
    assert "it lacks decoder.ln.bias. Set WHISPER_MODEL" in refusal(tmp_path / "model.pt")
    theirs = _without(huggingface_tensors(original), "model.encoder.layers.2.fc1.bias")
    path = write_huggingface(original, tmp_path / "hf", theirs)
    assert "it lacks model.encoder.layers.2.fc1.bias." in refusal(path)
    theirs = _without(ctranslate2_tensors(original), "encoder/layer_1/ffn/linear_0/bias")
    path = write_ctranslate2(original, tmp_path / "ct2", theirs)
    assert "it lacks encoder/layer_1/ffn/linear_0/bias." in refusal(path)


def test_an_extra_tensor_is_named(original: Whisper, tmp_path: Path) -> None:
    more = torch.zeros(3)
    state = original.state_dict() | {"adapter": more}
    torch.save({"dims": vars(DIMS), "model_state_dict": state}, tmp_path / "model.pt")
    assert "it holds adapter, which no Whisper has" in refusal(tmp_path / "model.pt")
    path = write_huggingface(
        original, tmp_path / "hf", huggingface_tensors(original) | {"model.lora.A": more}
    )
    assert "it holds model.lora.A, which no Whisper has" in refusal(path)
    path = write_ctranslate2(
        original, tmp_path / "ct2", ctranslate2_tensors(original) | {"encoder/gate": more}
    )
    assert "it holds encoder/gate, which no Whisper has" in refusal(path)


def test_a_misshapen_tensor_is_named(original: Whisper, tmp_path: Path) -> None:
    wrong = torch.zeros(8, 9)
    state = original.state_dict() | {"encoder.blocks.0.attn.out.weight": wrong}
    torch.save({"dims": vars(DIMS), "model_state_dict": state}, tmp_path / "model.pt")
    assert "encoder.blocks.0.attn.out.weight has the shape 8 × 9, not 8 × 8" in refusal(tmp_path / "model.pt")
    name = "model.encoder.layers.0.self_attn.out_proj.weight"
    path = write_huggingface(original, tmp_path / "hf", huggingface_tensors(original) | {name: wrong})
    assert f"{name} has the shape 8 × 9, not 8 × 8" in refusal(path)
    name = "decoder/layer_0/self_attention/linear_0/weight"
    path = write_ctranslate2(original, tmp_path / "ct2", ctranslate2_tensors(original) | {name: wrong})
    assert f"{name} has the shape 8 × 9, not 24 × 8" in refusal(path)


def test_another_last_matrix_than_the_embedding_is_refused(original: Whisper, tmp_path: Path) -> None:
    tensors = huggingface_tensors(original)
    tensors["proj_out.weight"] = tensors["model.decoder.embed_tokens.weight"] + 1
    path = write_huggingface(original, tmp_path / "model", tensors)
    assert "proj_out.weight is not the token embedding" in refusal(path)


def test_keys_with_a_bias_are_refused(original: Whisper, tmp_path: Path) -> None:
    tensors = ctranslate2_tensors(original)
    tensors["encoder/layer_0/self_attention/linear_0/bias"] = torch.ones(24)
    path = write_ctranslate2(original, tmp_path / "model", tensors)
    assert "encoder/layer_0/self_attention/linear_0/bias has a bias for keys" in refusal(path)


def test_whole_numbers_need_scales(original: Whisper, tmp_path: Path) -> None:
    name = "encoder/layer_0/ffn/linear_0/weight"
    tensors = in_eight_bits(ctranslate2_tensors(original))
    path = write_ctranslate2(original, tmp_path / "model", _without(tensors, f"{name}_scale"))
    assert f"{name} holds integers without a scale for each row" in refusal(path)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "wav2vec2"}, "config.json says that it is a model of type 'wav2vec2'"),
        ({"max_source_positions": 750}, "it hears 750 frames at once, where Whisper hears 1500"),
        ({"encoder_attention_heads": 3}, "its dimensions do not go together"),
        ({"scale_embedding": True}, "config.json has scale_embedding as True"),
        ({"activation_function": "relu"}, "config.json has activation_function as 'relu'"),
        ({"encoder_layers": 4}, "it lacks model.encoder.layers.3.fc1.bias,"),
    ],
)
def test_another_shape_is_refused(
    config: dict[str, object], reason: str, original: Whisper, tmp_path: Path
) -> None:
    assert reason in refusal(write_huggingface(original, tmp_path / "model", config=config))


@pytest.mark.parametrize(
    ("generation", "reason"),
    [
        ({"alignment_heads": [[2, 0]]}, "the alignment head 0 of layer 2 does not exist"),
        ({"alignment_heads": "all"}, "its alignment heads are no pairs of numbers"),
        (
            {"no_timestamps_token_id": 50_363, "lang_to_id": {"<|en|>": 50_260}},
            "generation_config.json has the language <|en|> as token 50260",
        ),
    ],
)
def test_other_ids_are_refused(generation: dict[str, object], reason: str, tmp_path: Path) -> None:
    path = write_huggingface(random_model(MULTILINGUAL), tmp_path / "model", generation=generation)
    assert reason in refusal(path)


def test_a_vocabulary_that_is_too_short_is_refused(tmp_path: Path) -> None:
    short = random_model(ModelDimensions(**{**vars(MULTILINGUAL), "n_vocab": 32_000}))
    assert "its vocabulary has 32000 tokens" in refusal(write_ctranslate2(short, tmp_path / "model"))


def test_a_missing_shard_is_named(original: Whisper, tmp_path: Path) -> None:
    path = write_huggingface(original, tmp_path / "model", shards=2)
    (path / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors is missing" in refusal(path)


@pytest.mark.parametrize("size", [0, 5, 1_000, 100_000])
def test_a_file_that_ends_early_is_refused(size: int, original: Whisper, tmp_path: Path) -> None:
    writers: list[tuple[Callable[[Whisper, Path], Path], str]] = [
        (write_openai, "."),
        (write_huggingface, "model.safetensors"),
        (write_ctranslate2, "model.bin"),
    ]
    for number, (writer, file) in enumerate(writers):
        path = writer(original, tmp_path / str(number))
        (path / file).write_bytes((path / file).read_bytes()[:size])
        assert "damaged" in (text := refusal(path)) or "is empty" in text, text


def test_a_damaged_ctranslate2_file_raises_nothing_else(original: Whisper, tmp_path: Path) -> None:
    path = write_ctranslate2(original, tmp_path / "model")
    whole = bytearray((path / "model.bin").read_bytes())
    head = whole[:2_000]
    generator = torch.Generator().manual_seed(3)
    for _ in range(200):
        place, value = torch.randint(0, 2_000, (2,), generator=generator).tolist()
        broken = bytearray(head)
        broken[place] = value % 256
        (path / "model.bin").write_bytes(broken)
        assert "cannot be loaded" in refusal(path)


def test_another_model_of_ctranslate2_is_refused(original: Whisper, tmp_path: Path) -> None:
    path = write_ctranslate2(original, tmp_path / "model", kind="TransformerSpec")
    assert "model.bin holds a 'TransformerSpec'" in refusal(path)
    path = write_ctranslate2(original, tmp_path / "new", version=7)
    assert "model.bin has version 7 of CTranslate2's layout, not 6" in refusal(path)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").touch()
    assert "the folder holds neither 'config.json' with 'model.safetensors'" in refusal(tmp_path)


@pytest.mark.parametrize("contents", [b"", b"hello", bytes(1000)])
def test_a_file_of_something_else_is_refused(contents: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.pt"
    path.write_bytes(contents)
    assert "broken.pt cannot be loaded: it is damaged" in refusal(path)


def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    assert "no checkpoint in Whisper's own format" in refusal(tmp_path / "other.pt")
    torch.save({"dims": {"width": 3}, "model_state_dict": {}}, tmp_path / "other.pt")
    assert "its 'dims' are not Whisper's" in refusal(tmp_path / "other.pt")


class _Evil:
    """Unpickling such an object creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.path,)


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    torch.save({"dims": _Evil(tmp_path / "was here")}, tmp_path / "evil.pt")
    assert "cannot be loaded" in refusal(tmp_path / "evil.pt")
    assert not (tmp_path / "was here").exists()


def test_the_model_is_frozen_and_in_float32(original: Whisper, tmp_path: Path) -> None:
    model = load(write_openai(original.half(), tmp_path / "model.pt"))
    original.float()
    assert {(item.dtype, item.requires_grad) for item in model.parameters()} == {(torch.float32, False)}
    assert not model.training
