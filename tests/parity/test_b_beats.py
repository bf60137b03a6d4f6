"""BEATs against the official encoder: every layer, the features AudioToken takes, masks, buckets, head, parameters."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loading import build, folders, load, paths

from metrics.encoders.beats import AUDIOTOKEN_LAYERS, BEATs, BEATsConfig, relative_position_bucket


def named(pattern: str) -> list[Any]:
    """`(folder, array name, match)` for every array of the BEATs fixtures whose name fits."""
    return [
        pytest.param(path, name, match, id=f"{path.name}-{name}")
        for path in paths("b_beats")
        for name in load(path)[1]
        if (match := re.fullmatch(pattern, name))
    ]


@lru_cache(maxsize=1)
def network(folder: Path) -> BEATs:
    meta, _ = load(folder)
    model = BEATs(BEATsConfig.from_dict(meta["config"])).eval()
    weights = build(meta["parameters"], meta["seed"])
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return model


def check(folder: Path, ours: torch.Tensor | None, name: str) -> None:
    meta, arrays = load(folder)
    assert ours is not None and ours.shape == arrays[name].shape
    difference = np.abs(ours.detach().numpy() - arrays[name])
    assert difference.max() <= meta["tolerance"]["max_abs"]
    assert difference.mean() <= meta["tolerance"]["mean_abs"]


def wave(folder: Path, name: str) -> torch.Tensor:
    return torch.from_numpy(load(folder)[1][f"wave_{name}"])


def audiotoken_layers(model: BEATs) -> list[int]:
    return [layer for layer in AUDIOTOKEN_LAYERS if layer <= model.config.encoder_layers]


@pytest.mark.parametrize(("folder", "name", "match"), named(r"(\w+)_patch_tokens"))
def test_patch_tokens(folder: Path, name: str, match: re.Match[str]) -> None:
    model = network(folder)
    check(folder, model.patch_tokens(model.preprocess(wave(folder, match[1]))), name)


@pytest.mark.parametrize(("folder", "name", "match"), named(r"(\w+)_encoder_input"))
def test_encoder_input(folder: Path, name: str, match: re.Match[str]) -> None:
    model = network(folder)
    tokens = model.patch_tokens(model.preprocess(wave(folder, match[1])))
    check(folder, model.encoder_input(tokens), name)


@pytest.mark.parametrize(("folder", "name", "match"), named(r"(pair|long)_layer(\d+)"))
def test_layer(folder: Path, name: str, match: re.Match[str]) -> None:
    check(folder, network(folder)(wave(folder, match[1]), layers=[int(match[2])]).layers[0], name)


@pytest.mark.parametrize(("folder", "name", "match"), named(r"(pair|long)_features1"))
def test_features(folder: Path, name: str, match: re.Match[str]) -> None:
    model = network(folder)
    check(folder, model.extract_features(wave(folder, match[1]), audiotoken_layers(model)), name)


@pytest.mark.parametrize(("folder", "name", "match"), named(r"masked_(features1|layer(\d+))"))
def test_masked(folder: Path, name: str, match: re.Match[str]) -> None:
    model, pair = network(folder), wave(folder, "pair")
    mask = torch.zeros(pair.shape, dtype=torch.bool)
    mask[1, load(folder)[0]["behaviour"]["masked"]["first_padded_sample"] :] = True
    layers = [int(match[2])] if match[2] else audiotoken_layers(model)
    check(folder, model.extract_features(pair, layers, padding_mask=mask), name)


@pytest.mark.parametrize(("folder", "name", "match"), named(r"(pair|long)_head_probabilities"))
def test_head_probabilities(folder: Path, name: str, match: re.Match[str]) -> None:
    model, waveform = network(folder), wave(folder, match[1])
    check(folder, model(waveform).probabilities, name)
    check(folder, model.logits(waveform).sigmoid(), name)


@pytest.mark.parametrize(("folder", "name", "match"), named("bucket_index"))
def test_buckets(folder: Path, name: str, match: re.Match[str]) -> None:
    meta, arrays = load(folder)
    relative = torch.from_numpy(arrays["bucket_relative_position"])
    ours = relative_position_bucket(relative, meta["config"]["num_buckets"], meta["config"]["max_distance"])
    np.testing.assert_array_equal(ours.numpy(), arrays[name])


@pytest.mark.parametrize("folder", folders("b_beats"))
def test_tokens_per_item(folder: Path) -> None:
    model = network(folder)
    for name, tokens in load(folder)[0]["derived"]["tokens_per_batch_item"].items():
        assert model(wave(folder, name)).last.shape[1] == tokens


@pytest.mark.parametrize("folder", folders("b_beats"))
def test_too_few_layers_are_refused(folder: Path) -> None:
    model = network(folder)
    beyond = model.config.encoder_layers + 1
    with pytest.raises(ValueError, match=rf"\[{beyond}\]"):
        model.extract_features(wave(folder, "pair"), (1, beyond))


@pytest.mark.parametrize("folder", folders("b_beats"))
def test_parameter_values(folder: Path) -> None:
    rows = [row for row in load(folder)[0]["parameters"] if "sum" in row]
    state = network(folder).state_dict()
    assert rows
    for row in rows:
        value = state[row["name"]].double().flatten()
        assert value.sum().item() == pytest.approx(row["sum"], abs=1e-6), row["name"]
        assert value[:2].tolist() == pytest.approx(row["first"], abs=1e-9), row["name"]


@pytest.mark.parametrize("folder", folders("b_beats"))
def test_parameter_names(folder: Path) -> None:
    table = load(folder)[0]["parameters"]
    state = network(folder).state_dict(keep_vars=True)
    assert {name: list(value.shape) for name, value in state.items()} == {row["name"]: row["shape"] for row in table}
    for row in table:
        assert row["rule"] != "tied" or state[row["name"]] is state[row["tied_to"]]


@pytest.mark.parametrize(
    "folder", [pytest.param(path, id=path.name) for path in paths("b_beats") if "full_size_parameters" in load(path)[0]]
)
def test_full_size_parameter_names(folder: Path) -> None:
    with torch.device("meta"):
        state = BEATs(BEATsConfig()).state_dict()
    assert {name: list(value.shape) for name, value in state.items()} == load(folder)[0]["full_size_parameters"]
