"""SonicDiffusion's gated cross-attention against the numbers of its released code, in a block and in a U-Net."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from loading import build, folders, load
from torch import nn

from baselines.gated_attention import add_gated_attention, gated_parameters, load_gated_attention

each_folder = pytest.mark.parametrize("folder", folders("k_sonicdiffusion_block"))


def filled(module: nn.Module, table: list[dict[str, Any]], seed: int) -> None:
    """Give `module` the fixture's weights; what the official code builds, such as the gates, stays as it is built."""
    stored = {name: torch.from_numpy(value) for name, value in build(table, seed).items()}
    report = module.load_state_dict(stored, strict=False)
    assert not report.unexpected_keys
    assert sorted(report.missing_keys) == sorted(row["name"] for row in table if row["rule"] == "as_built")
    module.eval()


@each_folder
@torch.no_grad()
def test_block(folder: Path) -> None:
    meta, arrays = load(folder)
    given = {name: torch.from_numpy(arrays[name]) for name in ("hidden", "text", "audio")}
    model = nn.Module()
    model.mid_block = block = BasicTransformerBlock(**meta["config"])
    add_gated_attention(model, given["text"].shape[1])
    filled(block, meta["parameters"], meta["seed"])
    both = torch.cat([given["text"], given["audio"]], 1)
    output = block(given["hidden"], encoder_hidden_states=both).numpy()
    tolerance = meta["tolerance"]["max_abs"]
    np.testing.assert_allclose(output, arrays["output"], rtol=0, atol=tolerance)
    assert np.abs(arrays["output"] - arrays["without_audio"]).max() > 100 * tolerance
    block.gate_adapter.zero_()
    np.testing.assert_allclose(
        block(given["hidden"], encoder_hidden_states=both).numpy(), arrays["without_audio"], rtol=0, atol=tolerance
    )


@each_folder
@torch.no_grad()
def test_unet(folder: Path, tmp_path: Path) -> None:
    meta, arrays = load(folder)
    text, audio = (torch.from_numpy(arrays[name]) for name in ("text", "audio"))
    unet = UNet2DConditionModel(**meta["unet"]["config"])
    add_gated_attention(unet, text.shape[1])
    filled(unet, meta["unet"]["parameters"], meta["seed"])
    # as released: one file of the added layers alone
    torch.save(dict(gated_parameters(unet)), tmp_path / "landscape.pt")
    for parameter in gated_parameters(unet).values():
        parameter.fill_(torch.nan)
    load_gated_attention(tmp_path / "landscape.pt", unet)
    noise, times = torch.from_numpy(arrays["noise"]), torch.from_numpy(arrays["times"])
    output = unet(noise, times, torch.cat([text, audio], 1)).sample.numpy()
    np.testing.assert_allclose(output, arrays["unet_output"], rtol=0, atol=meta["tolerance"]["max_abs"])
    assert not any(parameter.requires_grad for parameter in unet.parameters())


@each_folder
def test_names_in_stable_diffusion_are_the_released_ones(folder: Path) -> None:
    meta, _ = load(folder)
    (table,) = meta["full_size_parameters"].values()
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            sample_size=64,
            block_out_channels=(320, 640, 1280, 1280),
            cross_attention_dim=768,
            attention_head_dim=8,
        )
        add_gated_attention(unet, 77)
    assert {name: list(value.shape) for name, value in gated_parameters(unet).items()} == table
