"""Prompts and the audio token in the text encoder against the released training and inference paths."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loading import build, cases, folders, load
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from benchmark.text_encoder import clip_tokenizer, encode_prompts, encode_with_token, placeholder_id, tokenize

each_folder = pytest.mark.parametrize("folder", folders("d_clip_text"))
each_model = pytest.mark.parametrize(("folder", "model"), cases("d_clip_text", "models"))


@cache
def tokenizer(kind: str) -> CLIPTokenizer:
    """The tokenizer of Stable Diffusion 1 or 2: they differ in padding only."""
    return clip_tokenizer("!" if kind.startswith("sd2") else "<|endoftext|>")


def kind_of(model: str) -> str:
    return "sd1" if model == "quick_gelu" else "sd2"


@cache
def text_encoder(folder: Path, model: str) -> CLIPTextModel:
    meta, _ = load(folder)
    entry = meta["models"][model]
    encoder = CLIPTextModel(CLIPTextConfig(**entry["config"])).eval()
    weights = build(entry["parameters"], meta["seed"])
    encoder.load_state_dict({name.removeprefix("text_model."): torch.from_numpy(w) for name, w in weights.items()})
    return encoder.requires_grad_(False)


def arrays_of(folder: Path, model: str) -> dict[str, Tensor]:
    prefix = f"{model}/"
    return {
        name.removeprefix(prefix): torch.from_numpy(array)
        for name, array in load(folder)[1].items()
        if name.startswith(prefix)
    }


def hidden_states(folder: Path, model: str, path: str) -> tuple[Tensor, Tensor]:
    """`(ids, hidden states)` of the "training" or the "inference" path."""
    meta, _ = load(folder)
    arrays = arrays_of(folder, model)
    ids = arrays["input_ids"] if path == "training" else arrays["inference_input_ids"].expand(len(arrays["token"]), -1)
    placeholder = meta["config"]["placeholder_id"]
    return ids, encode_with_token(text_encoder(folder, model), ids.long(), arrays["token"], placeholder)


def assert_close(folder: Path, ours: Tensor, expected: Tensor) -> None:
    np.testing.assert_allclose(ours.numpy(), expected.numpy(), rtol=0, atol=load(folder)[0]["tolerance"]["max_abs"])


@each_folder
@pytest.mark.parametrize("kind", ["sd1_pad_is_endoftext", "sd2_pad_is_0"])
def test_tokenized_prompts(folder: Path, kind: str) -> None:
    meta, _ = load(folder)
    expected: dict[str, Any] = dict(meta["tokenized"][kind])
    pad = expected.pop("pad_id_to_length_77")
    assert placeholder_id(tokenizer(kind), meta["config"]["placeholder_token"]) == meta["config"]["placeholder_id"]
    ours = tokenize(tokenizer(kind), list(expected))
    for row, ids in zip(ours.tolist(), expected.values(), strict=True):
        assert row == ids + [pad] * (meta["config"]["length"] - len(ids))


@each_model
def test_prompt_ids(folder: Path, model: str) -> None:
    meta, _ = load(folder)
    entry, arrays = meta["models"][model], arrays_of(folder, model)
    chosen = tokenizer(kind_of(model))
    placeholder_id(chosen, meta["config"]["placeholder_token"])
    assert tokenize(chosen, entry["prompts"]).tolist() == arrays["input_ids"].tolist()
    prompt = entry["behaviour"]["inference"]["prompt"]
    assert tokenize(chosen, [prompt]).tolist() == arrays["inference_input_ids"].tolist()


@each_model
def test_training_hidden_states(folder: Path, model: str) -> None:
    _, ours = hidden_states(folder, model, "training")
    assert_close(folder, ours, arrays_of(folder, model)["last_hidden_state"])


@each_model
def test_inference_hidden_states(folder: Path, model: str) -> None:
    _, ours = hidden_states(folder, model, "inference")
    assert_close(folder, ours, arrays_of(folder, model)["inference_last_hidden_state"])


@each_model
def test_empty_prompt(folder: Path, model: str) -> None:
    ours = encode_prompts(tokenizer(kind_of(model)), text_encoder(folder, model), [""])
    assert_close(folder, ours, arrays_of(folder, model)["empty_prompt_last_hidden_state"])


@each_model
@pytest.mark.parametrize(
    ("path", "array", "end"),
    [
        ("training", "pooled", 49407),
        ("inference", "inference_pooled_eos2", 2),
        ("inference", "inference_pooled_eos49407", 49407),
    ],
)
def test_pooled(folder: Path, model: str, path: str, array: str, end: int) -> None:
    """Stable Diffusion reads no pooled output; ours is a row of the hidden states, at the place the library names."""
    ids, hidden = hidden_states(folder, model, path)
    place = ids.argmax(dim=1) if end == 2 else (ids == end).int().argmax(dim=1)
    assert_close(folder, hidden[torch.arange(len(hidden)), place], arrays_of(folder, model)[array])


@each_model
def test_ids_stay_and_a_second_call_gives_the_same(folder: Path, model: str) -> None:
    """The released code overwrites the caller's ids, so its second call silently encodes another prompt."""
    meta, _ = load(folder)
    arrays = arrays_of(folder, model)
    ids, placeholder = arrays["input_ids"].long(), meta["config"]["placeholder_id"]
    before = ids.clone()
    first = encode_with_token(text_encoder(folder, model), ids, arrays["token"], placeholder)
    assert torch.equal(ids, before)
    assert torch.equal(encode_with_token(text_encoder(folder, model), ids, arrays["token"], placeholder), first)
    assert not torch.allclose(first[:1], arrays["last_hidden_state_second_call_item0"], atol=1e-2)


@each_model
def test_the_released_second_call_is_the_plain_prompt_with_the_stand_in(folder: Path, model: str) -> None:
    arrays = arrays_of(folder, model)
    ours = text_encoder(folder, model)(arrays["input_ids_after"][:1].long()).last_hidden_state
    assert_close(folder, ours, arrays["last_hidden_state_second_call_item0"])


@each_model
@pytest.mark.parametrize(("counts", "row"), [((2,), 0), ((2, 2), 0), ((0,), 0), ((1, 0), 1), ((2, 1), 0), ((1, 2), 1)])
def test_every_row_needs_exactly_one_placeholder(folder: Path, model: str, counts: tuple[int, ...], row: int) -> None:
    """All of the fixture's edge cases are errors here, also those that the released code lets pass."""
    meta, _ = load(folder)
    placeholder = meta["config"]["placeholder_id"]
    ids = arrays_of(folder, model)["input_ids"][:1].long().repeat(len(counts), 1)
    ids[ids == placeholder] = 320
    for index, count in enumerate(counts):
        ids[index, 2 : 2 + count] = placeholder
    token = arrays_of(folder, model)["token"][:1].repeat(len(counts), 1)
    with pytest.raises(ValueError, match=rf"row {row} .* {counts[row]} times"):
        encode_with_token(text_encoder(folder, model), ids, token, placeholder)
