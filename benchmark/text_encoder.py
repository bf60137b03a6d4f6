"""Prompts through a frozen CLIP text encoder, with a vector in the place of a word.

Works with `transformers`' CLIPTokenizer and CLIPTextModel (Stable Diffusion 1 and 2). The encoder's own `forward` does
all the work, so causal attention, positions, precision and adapters are the library's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

PLACEHOLDER = "<*>"
"""The word of a prompt whose input embedding is replaced, e.g. in "a photo of a <*>"."""


def clip_tokenizer(pad_token: str = "<|endoftext|>", length: int = 77) -> CLIPTokenizer:
    """CLIP's own tokenizer (49,408 tokens), made from the merges that ship inside open_clip, so without a download.

    Gives the ids of Stable Diffusion 1, and with `pad_token="!"` (id 0) of Stable Diffusion 2.
    """
    from open_clip.tokenizer import SimpleTokenizer
    from transformers import CLIPTokenizer

    clip = SimpleTokenizer()
    ours = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {ours.get(token, token): index for token, index in clip.encoder.items()}
    return CLIPTokenizer(vocabulary, list(clip.bpe_ranks), pad_token=pad_token, model_max_length=length)


def placeholder_id(tokenizer: Any, placeholder: str = PLACEHOLDER) -> int:
    """The id of `placeholder`, added to the tokenizer (not to any text encoder) if it is not there yet."""
    tokenizer.add_tokens(placeholder)
    return int(tokenizer.convert_tokens_to_ids(placeholder))


def tokenize(tokenizer: Any, prompts: Sequence[str]) -> Tensor:
    """Ids (B, L) of `prompts`: start, words, end, then the tokenizer's own padding up to its `model_max_length`.

    Stable Diffusion 1 pads with the end of text, 2 with id 0: both stand in their tokenizer's configuration. What does
    not fit is cut off, as the diffusers pipelines do.
    """
    return tokenizer(
        list(prompts),
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids


def encode_prompts(tokenizer: Any, text_encoder: Any, prompts: Sequence[str]) -> Tensor:
    """Hidden states (B, L, D) after the final layer norm: what the U-Net's cross-attention sees for `prompts`."""
    return text_encoder(tokenize(tokenizer, prompts).to(text_encoder.device)).last_hidden_state


def encode_with_token(text_encoder: Any, input_ids: Tensor, token: Tensor, placeholder_id: int) -> Tensor:
    """Hidden states (B, L, D) of prompts whose placeholder is embedded as `token`.

    `input_ids` (B, L) hold `placeholder_id` exactly once a row; `token` is (B, D), one vector a row, or (D,) for all.
    It stands where the word's row of the embedding table would: positions are added afterwards, to it as well. The
    result equals growing the table by a row (what the released inference does), but neither the encoder nor `input_ids`
    changes, and the gradient flows to `token`, whatever is frozen.

    `placeholder_id` may lie outside the vocabulary. Not for several threads on one encoder at a time.
    Raises ValueError naming the first row without a placeholder or with several, and for shapes that do not fit.
    """
    if input_ids.ndim != 2:
        raise ValueError(f"input ids have shape {tuple(input_ids.shape)}, not (batch, length)")
    table = text_encoder.get_input_embeddings()
    if token.shape not in ((len(input_ids), table.embedding_dim), (table.embedding_dim,)):
        raise ValueError(
            f"tokens have shape {tuple(token.shape)}; {len(input_ids)} prompts and this text encoder take "
            f"({len(input_ids)}, {table.embedding_dim})"
        )
    found = input_ids == placeholder_id
    for row, count in enumerate(found.sum(dim=1).tolist()):
        if count != 1:
            raise ValueError(
                f"row {row} of the prompts holds the placeholder (id {placeholder_id}) {count} times, not 1"
            )

    def put(module: Any, arguments: Any, embedded: Tensor) -> Tensor:
        here = found.to(embedded.device).unsqueeze(-1)
        vector = token.to(embedded).unsqueeze(-2)
        return torch.where(here, vector, embedded)

    hook = table.register_forward_hook(put)
    try:
        # Any id of the table would do: its embedding is replaced before anything else reads it.
        return text_encoder(input_ids.masked_fill(found, 0)).last_hidden_state
    finally:
        hook.remove()


@torch.no_grad()
def label_embedding(tokenizer: Any, text_encoder: Any, labels: Sequence[str]) -> Tensor:
    """(C, D) float32: each label's mean input embedding, towards which AudioToken's classification loss pulls a token.

    Rows of the embedding table for the label's own tokens: no start, end or padding, no positions, no template.
    Raises ValueError for a label without any token.
    """
    table = text_encoder.get_input_embeddings()
    rows = []
    for label in labels:
        ids = tokenizer(label, add_special_tokens=False).input_ids
        if not ids:
            raise ValueError(f"label {label!r} has no token, so it has no embedding: give it a name")
        rows.append(table(torch.tensor(ids, device=table.weight.device)).float().mean(dim=0))
    return torch.stack(rows)
