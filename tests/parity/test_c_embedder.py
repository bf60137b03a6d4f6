"""AudioToken's embedder against the numbers of its released code."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loading import build, folders, load

from audiotoken.embedder import Embedder

each_folder = pytest.mark.parametrize("folder", folders("c_embedder"))


def embedder(meta: dict[str, Any], **options: Any) -> Embedder:
    made = Embedder(meta["config"]["input_size"], meta["config"]["output_size"], **options)
    made.load_state_dict({name: torch.from_numpy(value) for name, value in weights(meta).items()})
    return made.eval()


def weights(meta: dict[str, Any]) -> dict[str, np.ndarray]:
    return build(meta["parameters"], meta["seed"])


@cache
def computed(folder: Path) -> dict[str, np.ndarray]:
    meta, arrays = load(folder)
    model = embedder(meta)
    features = {name: torch.from_numpy(arrays[name]) for name in ("features", "features_long", "features_T1")}
    with torch.no_grad():
        out = dict(model.potentials(features["features"])._asdict())
        out["token"] = model(features["features"])
        out["token_long"] = model(features["features_long"])
        out["token_T1"] = model(features["features_T1"])
        keep = torch.from_numpy(arrays["keep_mask"]).mT
        model.fga.un_models[0].dropout.register_forward_hook(lambda module, inputs, relu: relu * keep * 2)
        out["token_with_mask"] = model(features["features"])
    return {name: value.numpy() for name, value in out.items()}


@each_folder
@pytest.mark.parametrize(
    "quantity",
    ["hidden", "unary", "self_potential", "attention", "token", "token_long", "token_T1", "token_with_mask"],
)
def test_quantity(folder: Path, quantity: str) -> None:
    meta, arrays = load(folder)
    np.testing.assert_allclose(computed(folder)[quantity], arrays[quantity], rtol=0, atol=meta["tolerance"]["max_abs"])


@each_folder
def test_the_dropout_mask_matters(folder: Path) -> None:
    """Guards the test above: the reference with a mask lies outside the tolerance of the one without."""
    meta, arrays = load(folder)
    assert np.abs(arrays["token_with_mask"] - arrays["token"]).max() > 10 * meta["tolerance"]["max_abs"]


@each_folder
def test_official_dropout_has_the_official_distribution(folder: Path) -> None:
    meta, arrays = load(folder)
    model = embedder(meta, official_dropout=True)
    features, draws, chunk = torch.from_numpy(arrays["features"]), meta["draws"], 64
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        tokens = torch.cat(
            [
                model(features.repeat(size, 1, 1), generator).reshape(size, len(features), -1)
                for size in [min(chunk, draws - start) for start in range(0, draws, chunk)]
            ]
        ).double()
    assert len(tokens) == draws
    std = arrays["official_std"]
    assert (np.abs(tokens.mean(0).numpy() - arrays["official_mean"]) <= 6 * std / np.sqrt(draws)).all()
    np.testing.assert_allclose(tokens.std(0).numpy(), std, rtol=0.15)


@each_folder
def test_a_single_frame_is_its_own_token_even_with_official_dropout(folder: Path) -> None:
    meta, arrays = load(folder)
    with torch.no_grad():
        token = embedder(meta, official_dropout=True)(torch.from_numpy(arrays["features_T1"])).numpy()
    np.testing.assert_allclose(token, arrays["token_T1"], rtol=0, atol=meta["tolerance"]["max_abs"])


@each_folder
def test_parameters_have_the_released_names_and_shapes(folder: Path) -> None:
    meta, _ = load(folder)
    ours = {name: list(value.shape) for name, value in embedder(meta).state_dict().items()}
    assert ours == {row["name"]: row["shape"] for row in meta["parameters"]}


@each_folder
def test_full_size_parameters(folder: Path) -> None:
    meta, _ = load(folder)
    for table in meta["full_size_parameters"].values():
        output_size, input_size = table["fc2.weight"]
        with torch.device("meta"):
            ours = Embedder(input_size, output_size).state_dict()
        assert {name: list(value.shape) for name, value in ours.items()} == table
