"""Wav2CLIP against the official encoder: network input, features, embeddings alone, in a batch, padded, by frames."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loading import build, folders, load, paths
from torch.nn import functional as F

from metrics.encoders.wav2clip import Wav2CLIP


def named(pattern: str) -> list[Any]:
    """`(folder, array name, match)` for every array of the Wav2CLIP fixtures whose name fits."""
    return [
        pytest.param(path, name, match, id=f"{path.name}-{name}")
        for path in paths("f_wav2clip")
        for name in load(path)[1]
        if (match := re.fullmatch(pattern, name))
    ]


@lru_cache(maxsize=1)
def published(folder: Path) -> Wav2CLIP:
    meta, _ = load(folder)
    shape = {row["name"]: row["shape"] for row in meta["parameters"]}
    model = Wav2CLIP(shape["audio_encoder.conv1.weight"][0], shape["audio_transform.sequential.3.weight"][0]).eval()
    state = model.state_dict()
    assert {name: list(value.shape) for name, value in state.items()} == shape
    weights = build(meta["parameters"], meta["seed"])
    state.update({name: torch.from_numpy(value) for name, value in weights.items()})
    model.load_state_dict(state)
    return model.requires_grad_(False)


def network(folder: Path, standardise: str = "clip") -> Wav2CLIP:
    model = published(folder)
    model.standardise = standardise  # type: ignore[assignment]
    return model


def waves(folder: Path, letters: str) -> torch.Tensor:
    return torch.stack([torch.from_numpy(load(folder)[1][f"wave_{letter}"]) for letter in letters])


def check_embedding(folder: Path, ours: torch.Tensor, name: str) -> None:
    meta, arrays = load(folder)
    assert ours.shape == arrays[name].shape
    np.testing.assert_allclose(ours.numpy(), arrays[name], rtol=0, atol=meta["tolerance"]["embedding_max_abs"])


@pytest.mark.parametrize(("folder", "name", "match"), named(r"network_input_([a-z])"))
def test_network_input(folder: Path, name: str, match: re.Match[str]) -> None:
    meta, arrays = load(folder)
    ours = network(folder).network_input(waves(folder, match[1]))[0, 0].numpy()
    assert ours.shape == arrays[name].shape
    difference = np.abs(ours - arrays[name])
    assert difference.max() <= meta["tolerance"]["network_input_max_abs"]
    assert difference.mean() <= meta["tolerance"]["network_input_mean_abs"]


@pytest.mark.parametrize(("folder", "name", "match"), named(r"layer1_([a-z])_first2channels"))
def test_layer1(folder: Path, name: str, match: re.Match[str]) -> None:
    meta, arrays = load(folder)
    model, seen = network(folder), []
    hook = model.audio_encoder.layer1.register_forward_hook(lambda module, args, output: seen.append(output))
    model(waves(folder, match[1]))
    hook.remove()
    ours = seen[0][0, :2].numpy()
    np.testing.assert_allclose(ours, arrays[name], rtol=0, atol=meta["tolerance"]["layer1_max_abs"])


@pytest.mark.parametrize(("folder", "name", "match"), named(r"pooled_([a-z])"))
def test_pooled(folder: Path, name: str, match: re.Match[str]) -> None:
    meta, arrays = load(folder)
    ours = network(folder).pooled(waves(folder, match[1])).numpy()
    assert ours.shape == arrays[name].shape
    assert np.abs(ours - arrays[name]).max() <= meta["tolerance"]["pooled_relative"] * np.abs(arrays[name]).max()


@pytest.mark.parametrize("standardise", ["clip", "batch"])
@pytest.mark.parametrize(("folder", "name", "match"), named(r"embedding_([a-z])"))
def test_embedding(folder: Path, name: str, match: re.Match[str], standardise: str) -> None:
    check_embedding(folder, network(folder, standardise)(waves(folder, match[1])), name)


@pytest.mark.parametrize(("folder", "name", "match"), named(r"embedding_batch_([a-z]+)"))
def test_embedding_of_a_batch(folder: Path, name: str, match: re.Match[str]) -> None:
    check_embedding(folder, network(folder, "batch")(waves(folder, match[1])), name)


@pytest.mark.parametrize(("folder", "name", "match"), named(r"embedding_(\w+)_padded_(\d+)"))
def test_embedding_padded(folder: Path, name: str, match: re.Match[str]) -> None:
    wave = torch.from_numpy(load(folder)[1][f"wave_{match[1]}"])[None]
    check_embedding(folder, network(folder)(F.pad(wave, (0, int(match[2]) - wave.shape[1]))), name)


@pytest.mark.parametrize(("folder", "name", "match"), named(r"frame_embedding_(batch_)?([a-z]+)"))
def test_frame_embedding(folder: Path, name: str, match: re.Match[str]) -> None:
    frames = load(folder)[0]["behaviour"]["frame_mode"]
    wave = waves(folder, match[2]).repeat(1, 2 if match[1] else 1)
    check_embedding(
        folder, network(folder, "batch").embed_frames(wave, frames["frame_length"], frames["hop_length"]), name
    )


@pytest.mark.parametrize("folder", folders("f_wav2clip"))
def test_parameter_values(folder: Path) -> None:
    rows = [row for row in load(folder)[0]["parameters"] if "sum" in row]
    state = network(folder).state_dict()
    assert rows
    for row in rows:
        value = state[row["name"]].double().flatten()
        assert value.sum().item() == pytest.approx(row["sum"], abs=1e-6), row["name"]
        assert value[:2].tolist() == pytest.approx(row["first"], abs=1e-9), row["name"]
