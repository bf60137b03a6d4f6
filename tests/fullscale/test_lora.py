"""AudioToken's released LoRA is read by the names of the U-Net's layers, or refused with the list."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from audiotoken.checkpoint import load_lora
from benchmark.utils.errors import UserError


@pytest.fixture(scope="module")
def unet() -> nn.Module:
    from diffusers import UNet2DConditionModel

    made: nn.Module = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 8),
        layers_per_block=1,
        cross_attention_dim=6,
        norm_num_groups=4,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    return made


def state_of(unet: nn.Module) -> dict[str, Tensor]:
    """Names and shapes as diffusers 0.14 stored them (`AttnProcsLayers` over `LoRAAttnProcessor`, rank 4)."""
    state = {}
    for name in unet.attn_processors:  # type: ignore[union-attr]
        context = 8 if name.endswith("attn1.processor") else 6
        for part, inputs in (("q", 8), ("k", context), ("v", context), ("out", 8)):
            state[f"{name}.to_{part}_lora.down.weight"] = torch.randn(4, inputs)
            state[f"{name}.to_{part}_lora.up.weight"] = torch.randn(8, 4)
    return state


def saved(path: Path, state: dict[str, Tensor]) -> Path:
    torch.save(state, path)
    return path


def test_every_attention_has_its_layers(unet: nn.Module, tmp_path: Path) -> None:
    state = state_of(unet)
    layers = load_lora(saved(tmp_path / "lora.bin", state), unet)
    assert len(layers) == len(state) // 2 > 0
    for name, (down, up) in layers.items():
        assert (up @ down).shape == unet.get_submodule(name).weight.shape
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn2"
    torch.testing.assert_close(layers[f"{name}.to_out.0"][0], state[f"{name}.processor.to_out_lora.down.weight"])


def test_what_does_not_fit_is_listed(unet: nn.Module, tmp_path: Path) -> None:
    state = state_of(unet)
    missing, wrong, infinite, *_ = [name for name in state if name.endswith("down.weight")]
    del state[missing]
    state[wrong] = torch.zeros(4, 7)
    state[infinite][0, 0] = torch.inf
    state["something.else"] = torch.zeros(1)
    with pytest.raises(UserError) as caught:
        load_lora(saved(tmp_path / "lora.bin", state), unet)
    text = str(caught.value)
    for part in (
        f"{missing} is missing",
        f"{wrong} and its up have shapes (4, 7)",
        "not finite",
        "something.else is un",
    ):
        assert part in text
    assert len(caught.value.problems) == 4
