"""SonicDiffusion's gated cross-attention: layers of a U-Net's middle and upper blocks that read audio tokens.

Followed: BurakCanBiner/SonicDiffusion@36be618, `use_adapter` of `BasicTransformerBlock` in `attention_custom.py`, which
`app.py` sets to `[False, True, True]` (down, middle, up). After a block's text attention its state h becomes

    h + tanh(gate) * attention(norm(h), audio tokens),   gate = 0.1 at the start,

an attention of the block's own number and width of heads. Parameters have the names of the released files
(`landscape.pt`, `greatest_hits.pt`): `<block>.attn_adapter.*`, `<block>.norm_adapter.*`, `<block>.gate_adapter`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from baselines.files import load_exactly

PARTS = ("mid_block", "up_blocks")
START = 0.1


def add_gated_attention(unet: Any, text_length: int) -> None:
    """Add the layers to a U-Net, in place; only they require gradients.

    From then on the U-Net's conditioning is a prompt's hidden states with any number of audio tokens behind them, (B,
    text_length + N, D). Text attention reads the first `text_length` rows, the added attention the others.

    Args:
        unet: U-Net of diffusers to change; `audiotoken.lora.with_own_unet` gives one that nobody else uses.
        text_length: Length of an encoded prompt, L.
    """
    unet.requires_grad_(False)
    for name, block in unet.named_modules():
        if not isinstance(block, BasicTransformerBlock):
            continue
        _Reader(block, text_length, gated=name.startswith(PARTS))
    for parameter in gated_parameters(unet).values():
        parameter.requires_grad_()
    unet.train(unet.training)


def gated_parameters(unet: Any) -> dict[str, nn.Parameter]:
    """Return the parameters of the added layers by their released names."""
    return {name: parameter for name, parameter in unet.named_parameters() if "_adapter" in name}


def load_gated_attention(path: Path, unet: Any) -> None:
    """Load parameters of the added layers, frozen, from safetensors, or from a released `landscape.pt`.

    Raises:
        UserError: The file cannot be read, or parameters are missing, unexpected, wrongly shaped or not finite.
    """
    wanted = gated_parameters(unet)
    load_exactly(path, wanted)
    for parameter in wanted.values():
        parameter.requires_grad_(False)


class _Reader:
    """Splits the conditioning of a block's text attention, and adds the gated attention to its output.

    It works by hooks on the layers that exist, so that the block's forward pass stays diffusers' own. The output of the
    text attention is where h is not yet added: h is noted as the input of the norm before.
    """

    def __init__(self, block: Any, text_length: int, gated: bool) -> None:
        self.block, self.text_length = block, text_length
        self.before: Tensor | None = None
        self.audio: Tensor | None = None
        block.attn2.register_forward_pre_hook(self.split, with_kwargs=True)
        if gated:
            text = block.attn2
            weight = text.to_q.weight
            width, heads = weight.shape[1], text.heads
            block.attn_adapter = Attention(
                query_dim=width,
                cross_attention_dim=text.to_k.weight.shape[1],
                heads=heads,
                dim_head=text.inner_dim // heads,
            )
            block.norm_adapter = nn.LayerNorm(width)
            block.gate_adapter = nn.Parameter(torch.tensor([START]))
            for added in (block.attn_adapter, block.norm_adapter):
                added.to(weight.device)
            block.gate_adapter.data = block.gate_adapter.data.to(weight.device)
            block.norm2.register_forward_pre_hook(self.note)
            block.attn2.register_forward_hook(self.add)

    def note(self, norm: Any, given: tuple[Tensor, ...]) -> None:
        """Note h, the input of the norm before the text attention."""
        self.before = given[0]

    def split(self, attention: Any, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
        """Give the text attention its rows of the conditioning, and keep the others."""
        both = named["encoder_hidden_states"]
        self.audio = both[:, self.text_length :]
        return given, named | {"encoder_hidden_states": both[:, : self.text_length]}

    def add(self, attention: Any, given: tuple[Any, ...], text: Tensor) -> Tensor:
        """Add the gated attention to the output of the text attention."""
        block, before, audio = self.block, self.before, self.audio
        assert before is not None
        assert audio is not None
        # Nothing is kept beyond the pass that it belongs to.
        self.before = self.audio = None
        # In training the added layers are in single precision and the others may not be.
        precision = block.gate_adapter.dtype
        state = block.norm_adapter((before + text).to(precision))
        heard = block.attn_adapter(state, encoder_hidden_states=audio.to(precision))
        return text + (heard * block.gate_adapter.tanh()).to(text.dtype)
