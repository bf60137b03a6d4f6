from __future__ import annotations

import copy

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from benchmark.text_encoder import (
    PLACEHOLDER,
    clip_tokenizer,
    encode_prompts,
    encode_with_token,
    label_embedding,
    placeholder_id,
    spread_placeholder,
    tokenize,
)

VOCABULARY, WIDTH = 49408, 8
PROMPTS = ["a photo of a <*>", "<*>", "in the <*>, rain"]


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    made = clip_tokenizer()
    placeholder_id(made)
    return made


@pytest.fixture(scope="module")
def text_encoder() -> CLIPTextModel:
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2
    )
    model = CLIPTextModel(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        # Large enough that every position's word matters.
        parameter.normal_(std=0.5, generator=torch.Generator().manual_seed(parameter.numel()))
    return model


def tokens(rows: int = 3) -> torch.Tensor:
    return torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(1))


def library(text_encoder: CLIPTextModel, ids: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """The library's own way: one more row in the table."""
    grown = copy.deepcopy(text_encoder)
    grown.resize_token_embeddings(VOCABULARY + 1, mean_resizing=False)
    with torch.no_grad():
        grown.get_input_embeddings().weight[VOCABULARY] = token
        return grown(ids).last_hidden_state


def test_placeholder_is_one_new_id_however_often_asked() -> None:
    tokenizer = clip_tokenizer()
    assert len(tokenizer) == VOCABULARY
    assert placeholder_id(tokenizer) == placeholder_id(tokenizer) == VOCABULARY
    assert tokenize(tokenizer, [f"the{PLACEHOLDER}sea"])[0, :5].tolist() == [49406, 518, VOCABULARY, 2102, 49407]


def test_tokenize_pads_and_cuts(tokenizer: CLIPTokenizer) -> None:
    ids = tokenize(tokenizer, ["", "sea " * 100])
    assert ids.shape == (2, 77)
    assert ids[0].tolist() == [49406] + [49407] * 76
    assert ids[1].tolist() == [49406] + [2102] * 75 + [49407]


def test_equals_the_grown_table(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> None:
    ids, token = tokenize(tokenizer, PROMPTS), tokens()
    ours = encode_with_token(text_encoder, ids, token, VOCABULARY)
    assert ours.shape == (3, 77, WIDTH)
    for row in range(3):
        expected = library(text_encoder, ids[row : row + 1], token[row])
        torch.testing.assert_close(ours[row : row + 1], expected, atol=1e-6, rtol=0)


def test_one_vector_serves_all_rows(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> None:
    ids, token = tokenize(tokenizer, PROMPTS), tokens(1)[0]
    ours = encode_with_token(text_encoder, ids, token, VOCABULARY)
    assert torch.equal(ours, encode_with_token(text_encoder, ids, token.repeat(3, 1), VOCABULARY))


def test_a_word_s_own_embedding_gives_the_word(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> None:
    ids = tokenize(tokenizer, ["a photo of a <*>"])
    ours = encode_with_token(text_encoder, ids, label_embedding(tokenizer, text_encoder, ["dog"]), VOCABULARY)
    expected = encode_prompts(tokenizer, text_encoder, ["a photo of a dog"])
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=0)


def test_attention_is_causal(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> None:
    ids = tokenize(tokenizer, PROMPTS[:1])
    one, other = (encode_with_token(text_encoder, ids, token[None], VOCABULARY) for token in tokens(2))
    place = int((ids[0] == VOCABULARY).nonzero())
    assert torch.equal(one[:, :place], other[:, :place])
    assert (one[:, place:] != other[:, place:]).any(dim=-1).all()


def test_nothing_is_changed(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> None:
    ids, token = tokenize(tokenizer, PROMPTS), tokens()
    before, weights = ids.clone(), copy.deepcopy(text_encoder.state_dict())
    first = encode_with_token(text_encoder, ids, token, VOCABULARY)
    assert torch.equal(encode_with_token(text_encoder, ids, token, VOCABULARY), first)
    assert torch.equal(ids, before)
    after = text_encoder.state_dict()
    assert list(after) == list(weights) and all(torch.equal(after[name], weights[name]) for name in weights)
    assert text_encoder.get_input_embeddings().num_embeddings == text_encoder.config.vocab_size == VOCABULARY


def test_no_hook_is_left_after_an_error(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> None:
    ids = tokenize(tokenizer, PROMPTS)
    plain = encode_prompts(tokenizer, text_encoder, ["sea"])
    ids[0, 3] = VOCABULARY + 7
    with pytest.raises(IndexError):
        encode_with_token(text_encoder, ids, tokens(), VOCABULARY)
    assert torch.equal(encode_prompts(tokenizer, text_encoder, ["sea"]), plain)


def test_gradient_reaches_the_token_only(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> None:
    model = copy.deepcopy(text_encoder).double()
    ids, token = tokenize(tokenizer, PROMPTS[:2])[:, :8], tokens(2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda t: encode_with_token(model, ids, t, VOCABULARY), token)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_half_precision_and_autocast(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> None:
    ids, token = tokenize(tokenizer, PROMPTS), tokens().requires_grad_()
    full = encode_with_token(text_encoder, ids, token, VOCABULARY)
    half = encode_with_token(copy.deepcopy(text_encoder).bfloat16(), ids, token, VOCABULARY)
    assert half.dtype == torch.bfloat16
    half.float().sum().backward()
    assert token.grad is not None and token.grad.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        mixed = encode_with_token(text_encoder, ids, token, VOCABULARY)
        low = encode_with_token(text_encoder, ids, token.bfloat16(), VOCABULARY)
    for other in (half, mixed, low):
        assert (other.float() - full).abs().mean() < 0.05 * full.abs().mean()


@pytest.mark.parametrize(("words", "message"), [("a dog", "row 1 .* 0 times"), ("<*> and <*>", "row 1 .* 2 times")])
def test_each_row_needs_one_placeholder(
    tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, words: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        encode_with_token(text_encoder, tokenize(tokenizer, ["<*>", words]), tokens(2), VOCABULARY)


def test_shapes_are_checked(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> None:
    ids = tokenize(tokenizer, PROMPTS)
    with pytest.raises(ValueError, match=r"\(2, 8\); 3 prompts"):
        encode_with_token(text_encoder, ids, tokens(2), VOCABULARY)
    with pytest.raises(ValueError, match="not \\(batch, length\\)"):
        encode_with_token(text_encoder, ids[0], tokens(1), VOCABULARY)


def test_label_embedding(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> None:
    table = text_encoder.get_input_embeddings().weight
    ours = label_embedding(tokenizer, text_encoder, ["dog barking", "sea"])
    torch.testing.assert_close(ours, torch.stack([table[[1929, 32676]].mean(dim=0), table[2102]]))
    assert not ours.requires_grad
    with pytest.raises(ValueError, match="'  ' has no token"):
        label_embedding(tokenizer, text_encoder, ["dog", "  "])


def test_label_embedding_is_float32_of_a_half_precision_encoder(
    tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel
) -> None:
    half = label_embedding(tokenizer, copy.deepcopy(text_encoder).bfloat16(), ["dog barking"])
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, label_embedding(tokenizer, text_encoder, ["dog barking"]), atol=0.01, rtol=0.01)


def test_several_vectors_take_consecutive_places_in_their_order(
    tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel
) -> None:
    words, spread = "a photo of big red dog", spread_placeholder("a photo of <*>", 3)
    table = text_encoder.get_input_embeddings().weight
    own = table[tokenizer("big red dog", add_special_tokens=False).input_ids][None]
    placeholder, ids = placeholder_id(tokenizer), tokenize(tokenizer, [spread])
    found = encode_with_token(text_encoder, ids, own, placeholder)
    assert torch.equal(found, encode_prompts(tokenizer, text_encoder, [words]))
    assert not torch.equal(found, encode_with_token(text_encoder, ids, own.flip(1), placeholder))
    with pytest.raises(ValueError, match="3 times, not 2"):
        encode_with_token(text_encoder, ids, own[:, :2], placeholder)
    leaf = own.clone().requires_grad_()
    encode_with_token(text_encoder, ids, leaf, placeholder).square().sum().backward()
    assert leaf.grad is not None and bool((leaf.grad.abs().sum(-1) > 0).all()), "each of them learns"
