"""GlueGen's translator, discriminator and losses against the numbers of its released code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loading import build, folders, load
from torch import nn

from baselines.alignment import Networks, new_translator, position_weights
from baselines.files import load_exactly
from baselines.translator import Discriminator, Translator

each_folder = pytest.mark.parametrize("folder", folders("l_gluegen"))


def filled(module: nn.Module, table: list[dict[str, Any]], seed: int) -> None:
    stored = {name: torch.from_numpy(value) for name, value in build(table, seed).items()}
    as_built = {row["name"] for row in table if row["rule"] == "as_built"}
    report = module.load_state_dict(stored, strict=False)
    assert not report.unexpected_keys and set(report.missing_keys) <= as_built


def translator(meta: dict[str, Any]) -> Translator:
    config = meta["config"]
    return Translator((config["num_tok"], config["num_tok_out"]), (config["dim"], config["dim_out"]))


@each_folder
def test_a_file_of_the_official_names_gives_the_official_translation(folder: Path, tmp_path: Path) -> None:
    meta, arrays = load(folder)
    made, file = translator(meta), tmp_path / "gluenet_sound2img_audioclip_us8k.ckpt"
    stored = build(meta["parameters"], meta["seed"])
    torch.save({name: torch.from_numpy(value) for name, value in stored.items()}, file)
    load_exactly(file, made.state_dict())
    with torch.no_grad():
        translated = made(torch.from_numpy(arrays["features"])).numpy()
    np.testing.assert_allclose(translated, arrays["translated"], rtol=0, atol=meta["tolerance"]["max_abs"])


@each_folder
def test_discriminator_and_its_reversed_gradient(folder: Path) -> None:
    meta, arrays = load(folder)
    made, tolerance = Discriminator(meta["config"]["dim_out"]), meta["tolerance"]["max_abs"]
    filled(made, meta["discriminator_parameters"], meta["seed"])
    given = torch.from_numpy(arrays["discriminator_input"]).requires_grad_()
    judged = made.train()(given)
    np.testing.assert_allclose(judged.detach().numpy(), arrays["discriminator_output"], rtol=0, atol=tolerance)
    nn.functional.nll_loss(judged, torch.ones(len(given), dtype=torch.long)).backward()
    assert given.grad is not None
    np.testing.assert_allclose(given.grad.numpy(), arrays["discriminator_input_gradient"], rtol=0, atol=tolerance)


@each_folder
def test_losses_and_gradients_of_a_step(folder: Path) -> None:
    meta, arrays = load(folder)
    config, tolerance = meta["config"], meta["tolerance"]
    networks = Networks(16 * config["dim"], (config["num_tok_out"], config["dim_out"]))
    # the method cuts an embedding into 16 tokens, the fixture into fewer
    networks.translator = translator(meta)
    networks.back = Translator((config["num_tok_out"], config["num_tok"]), (config["dim_out"], config["dim"]))
    filled(networks.translator, meta["parameters"], meta["seed"])
    filled(networks.back, meta["reconstruction_parameters"], meta["seed"])
    filled(networks.discriminator, meta["discriminator_parameters"], meta["seed"])
    text = torch.from_numpy(arrays["text"])
    np.testing.assert_allclose(position_weights(text).numpy(), arrays["weights"], rtol=1e-5)
    losses = networks.train().losses(torch.from_numpy(arrays["step_features"]), text, torch.from_numpy(arrays["norm"]))
    names = {"adversarial": "adversarial", "distilled": "distill", "reconstructed": "reconstruction"}
    for name, value in losses._asdict().items():
        np.testing.assert_allclose(
            value.item(), arrays[f"loss_{names[name]}"], rtol=tolerance["losses_relative"], err_msg=name
        )
    torch.stack(losses).sum().backward()
    made = networks.translator.state_dict(keep_vars=True)
    for name, key in (("in_blocks.0.net_sen.0.weight", "gradient_first"), ("tail_2.net_tok.4.weight", "gradient_last")):
        official, gradient = arrays[key], made[name].grad
        assert np.abs(gradient.numpy() - official).max() < tolerance["gradient_relative"] * np.abs(official).max(), name


@each_folder
def test_full_size_parameters(folder: Path) -> None:
    meta, _ = load(folder)
    with torch.device("meta"):
        ours = new_translator(1024, (77, 768)).state_dict(), Discriminator(768).state_dict()
    for made, table in zip(ours, meta["full_size_parameters"].values(), strict=True):
        assert {name: list(value.shape) for name, value in made.items()} == table
