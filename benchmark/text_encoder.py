"""Encoding of prompts by a frozen CLIP text encoder, with vectors in the place of a word.

The functions work with CLIPTokenizer and CLIPTextModel of `transformers` (Stable Diffusion 1 and 2). The encoder's own
`forward` is called, so causal attention, positions, precision and adapters are the library's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

PLACEHOLDER = "<*>"
"""Word of a prompt whose input embedding is replaced, as in "a photo of a <*>"."""


def clip_tokenizer(pad_token: str = "<|endoftext|>", length: int = 77) -> CLIPTokenizer:
    """Build CLIP's own tokenizer (49,408 tokens) from the merges that ship with open_clip, without a download.

    It gives the ids of Stable Diffusion 1, and with `pad_token="!"` (id 0) those of Stable Diffusion 2.

    Args:
        pad_token: Token that pads prompts.
        length: Number of tokens of a padded prompt.
    """
    from open_clip.tokenizer import SimpleTokenizer
    from transformers import CLIPTokenizer

    clip = SimpleTokenizer()
    ours = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {ours.get(token, token): index for token, index in clip.encoder.items()}
    return CLIPTokenizer(vocabulary, list(clip.bpe_ranks), pad_token=pad_token, model_max_length=length)


def placeholder_id(tokenizer: Any, placeholder: str = PLACEHOLDER) -> int:
    """Return the id of `placeholder`, which is added to the tokenizer (but to no text encoder) if it is missing."""
    tokenizer.add_tokens(placeholder)
    return int(tokenizer.convert_tokens_to_ids(placeholder))


def tokenize(tokenizer: Any, prompts: Sequence[str]) -> Tensor:
    """Return the token ids of prompts: start, words, end, then padding up to the tokenizer's `model_max_length`.

    The padding is that of the tokenizer's configuration: the end of text in Stable Diffusion 1, id 0 in Stable
    Diffusion 2. Longer prompts are cut off, as in diffusers' pipelines.

    Args:
        tokenizer: A CLIPTokenizer.
        prompts: B prompts.

    Returns:
        Token ids, (B, L).
    """
    return tokenizer(
        list(prompts),
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids


def spread_placeholder(prompt: str, count: int) -> str:
    """Return `prompt` with `count` placeholders, one after the other, where it has one.

    Example:
        >>> spread_placeholder("a photo of <*>, blurred", 2)
        'a photo of <*> <*>, blurred'
    """
    return prompt.replace(PLACEHOLDER, " ".join([PLACEHOLDER] * count))


def encode_prompts(tokenizer: Any, text_encoder: Any, prompts: Sequence[str]) -> Tensor:
    """Encode prompts to the hidden states (B, L, D) after the final layer norm, which the U-Net attends to."""
    return text_encoder(tokenize(tokenizer, prompts).to(text_encoder.device)).last_hidden_state


def encode_with_token(text_encoder: Any, input_ids: Tensor, token: Tensor, placeholder_id: int) -> Tensor:
    """Encode prompts whose placeholder is embedded as a given vector, or several placeholders each as one of several.

    The vector replaces the word's row of the embedding table; positions are added to it afterwards, as to every row.
    The result is the same as with a table that is grown by a row (as in the released inference), but neither the
    encoder nor `input_ids` is changed, and the gradient flows to `token` whatever is frozen. One encoder must not be
    used by several threads at a time.

    Args:
        text_encoder: A CLIPTextModel.
        input_ids: Token ids, (B, L), each row with `placeholder_id` exactly once, or K times.
        token: One vector per row, (B, D), or one for all rows, (D,); or K vectors per row, (B, K, D), of which the
            first takes the first placeholder's place.
        placeholder_id: Id of the placeholder, which may lie outside the vocabulary.

    Returns:
        Hidden states, (B, L, D).

    Raises:
        ValueError: A row contains the placeholder another number of times than there are vectors for it (the message
            names the first such row), or the shapes do not fit.
    """
    table, count = text_encoder.get_input_embeddings(), token.shape[1] if token.ndim == 3 else 1
    width = table.embedding_dim
    shapes = (len(input_ids), width), (width,), (len(input_ids), count, width)
    if input_ids.ndim == 2 and token.shape not in shapes:
        raise ValueError(
            f"tokens have shape {tuple(token.shape)}; {len(input_ids)} prompts and this text encoder take "
            f"({len(input_ids)}, {width})"
        )
    return encode_at(text_encoder, input_ids, placeholder_places(input_ids, placeholder_id, count), token)


def placeholder_places(input_ids: Tensor, placeholder_id: int, times: int = 1) -> Tensor:
    """Return where the placeholder is in each row, bool (B, L).

    Args:
        input_ids: Token ids, (B, L).
        placeholder_id: Id of the placeholder.
        times: How often each row has to contain it.

    Raises:
        ValueError: A row contains the placeholder another number of times (the message names the first such row), or
            the ids have another shape.
    """
    if input_ids.ndim != 2:
        raise ValueError(f"input ids have shape {tuple(input_ids.shape)}, not (batch, length)")
    found = input_ids == placeholder_id
    for row, count in enumerate(found.sum(dim=1).tolist()):
        if count != times:
            raise ValueError(
                f"row {row} of the prompts holds the placeholder (id {placeholder_id}) {count} times, not {times}"
            )
    return found


def encode_at(text_encoder: Any, input_ids: Tensor, found: Tensor, token: Tensor) -> Tensor:
    """Encode prompts with a vector at given places, as `encode_with_token` does, without a check of the places.

    A check reads values back from the device, which waits until all work that was given to it is done.

    Args:
        text_encoder: A CLIPTextModel.
        input_ids: Token ids, (B, L).
        found: Where the vectors stand, bool (B, L).
        token: One vector per row, (B, D), or one for all rows, (D,), for every place of the row; or K vectors per row,
            (B, K, D), for its K places in their order.

    Returns:
        Hidden states, (B, L, D).
    """

    def put(module: Any, arguments: Any, embedded: Tensor) -> Tensor:
        here = found.to(embedded.device).unsqueeze(-1)
        vector = token.to(embedded)
        if vector.ndim == 3:
            which = (here.long().cumsum(dim=1) - 1).clamp(min=0)
            return torch.where(here, vector.gather(1, which.expand(-1, -1, vector.shape[-1])), embedded)
        return torch.where(here, vector.unsqueeze(-2), embedded)

    hook = text_encoder.get_input_embeddings().register_forward_hook(put)
    try:
        # Any id of the table will do: its embedding is replaced before it is used.
        return text_encoder(input_ids.masked_fill(found, 0)).last_hidden_state
    finally:
        hook.remove()


@torch.no_grad()
def label_embedding(tokenizer: Any, text_encoder: Any, labels: Sequence[str]) -> Tensor:
    """Return the mean input embedding of each label, the target of AudioToken's classification loss.

    The mean is over the embedding table's rows of the label's own tokens: no start, end or padding, no positions, no
    template.

    Args:
        tokenizer: A CLIPTokenizer.
        text_encoder: A CLIPTextModel.
        labels: C labels.

    Returns:
        The embeddings, float32 (C, D).

    Raises:
        ValueError: A label has no token.
    """
    table = text_encoder.get_input_embeddings()
    rows = []
    for label in labels:
        ids = tokenizer(label, add_special_tokens=False).input_ids
        if not ids:
            raise ValueError(f"label {label!r} has no token, so it has no embedding: give it a name")
        rows.append(table(torch.tensor(ids, device=table.weight.device)).float().mean(dim=0))
    return torch.stack(rows)
