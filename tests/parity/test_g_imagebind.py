"""ImageBind's audio against the official code: clip times, network input, embeddings, resampling, parameters."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loading import build, folders, load, paths
from torch import Tensor

from metrics.encoders.filterbank import SAMPLE_RATE
from metrics.encoders.imagebind import CLIPS, ImageBind, ImageBindConfig, Tower, clip_ranges, resample

UNUSED = Tower(8, 1, 1)
"""Vision and text of the network under test, which the fixtures do not have."""

each_case = pytest.mark.parametrize(
    ("folder", "case"),
    [
        pytest.param(path, case, id=f"{path.name}-{case['name']}")
        for path in paths("g_imagebind")
        for case in load(path)[0]["cases"]
    ],
)
each_folder = pytest.mark.parametrize("folder", folders("g_imagebind"))


@lru_cache(maxsize=1)
def network(folder: Path) -> ImageBind:
    meta, _ = load(folder)
    given = meta["config"]["model"]
    model = ImageBind(
        ImageBindConfig(
            embed_dim=given["out_embed_dim"],
            vision=UNUSED,
            text=UNUSED,
            audio=Tower(given["audio_embed_dim"], given["audio_num_blocks"], given["audio_num_heads"]),
            image_size=14,
            vocabulary=8,
            context=4,
            audio_patch=given["audio_kernel_size"],
            audio_stride=given["audio_stride"],
            mel_bins=given["audio_num_mel_bins"],
            target_frames=given["audio_target_len"],
            mlp_ratio=given["mlp_ratio"],
        )
    )
    weights = build(meta["parameters"], meta["seed"])
    loaded = model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=False)
    assert not loaded.unexpected_keys
    return model.eval().requires_grad_(False)


def audio_parameters(state: dict[str, Tensor]) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in state.items() if name.split(".")[1] == "audio"}


def wave(folder: Path, case: dict[str, Any]) -> Tensor:
    """The case's sound at 16 kHz: (1, samples)."""
    return resample(torch.from_numpy(load(folder)[1][f"wave_{case['name']}"]), case["sample_rate"])[None]


def largest(ours: Tensor, expected: np.ndarray) -> float:
    assert ours.shape == expected.shape
    return float(np.abs(ours.numpy() - expected).max())


@each_case
def test_clip_times(folder: Path, case: dict[str, Any]) -> None:
    samples = wave(folder, case).shape[1]
    assert samples == case["samples_at_16k"]
    assert [list(times) for times in clip_ranges(samples)] == case["clip_sample_ranges"]


@each_case
def test_network_input(folder: Path, case: dict[str, Any]) -> None:
    meta, arrays = load(folder)
    ours = network(folder).preprocess(wave(folder, case))[0, :, 0]
    expected = arrays[f"clips_{case['name']}"]
    assert largest(ours, expected) <= case["tolerance"]["clips_max_abs"]
    assert np.abs(ours.numpy() - expected).mean() <= case["tolerance"]["clips_mean_abs"]
    settings = meta["config"]["preprocessing"]
    padding = ours[..., ours.shape[-1] - case["padding_frames"] :]
    torch.testing.assert_close(padding, torch.full_like(padding, -settings["mean"] / settings["std"]))


@each_case
def test_clip_embeddings_from_the_network_input(folder: Path, case: dict[str, Any]) -> None:
    meta, arrays = load(folder)
    ours = network(folder).encode_clips(torch.from_numpy(arrays[f"clips_{case['name']}"]).unsqueeze(1))
    tolerance = meta["tolerance"]["embedding_given_clips_max_abs"]
    assert largest(ours, arrays[f"clip_embeddings_{case['name']}"]) <= tolerance
    assert largest(ours.mean(0), arrays[f"embedding_{case['name']}"]) <= tolerance


@each_case
def test_embedding(folder: Path, case: dict[str, Any]) -> None:
    ours = network(folder).encode_audio(wave(folder, case))[0]
    assert largest(ours, load(folder)[1][f"embedding_{case['name']}"]) <= case["tolerance"]["embedding_max_abs"]
    assert float(ours.norm()) == pytest.approx(case["embedding_norm"], abs=5e-3)


@each_case
def test_a_later_clip_hears_what_the_earlier_took_away(folder: Path, case: dict[str, Any]) -> None:
    sound, model = wave(folder, case), network(folder)
    ours = model.preprocess(sound)[0]
    untouched = torch.stack([model.preprocess(sound[:, start:end])[0, 0] for start, end in clip_ranges(sound.shape[1])])
    assert len(ours) == CLIPS
    effect, tolerance = float((ours - untouched).abs().max()), case["tolerance"]["clips_max_abs"]
    assert effect == pytest.approx(case["in_place_mean_effect"], abs=tolerance)


@each_case
def test_resampling(folder: Path, case: dict[str, Any]) -> None:
    meta, arrays = load(folder)
    ours = wave(folder, case)[0]
    if case["sample_rate"] == SAMPLE_RATE:
        assert np.array_equal(ours.numpy(), arrays[f"wave_{case['name']}"])
        return
    expected = arrays[f"resampled_{case['name']}"]
    assert largest(ours[: len(expected)], expected) <= meta["tolerance"]["resampled_max_abs"]


@each_folder
def test_parameter_values(folder: Path) -> None:
    rows = [row for row in load(folder)[0]["parameters"] if "sum" in row]
    state = network(folder).state_dict()
    assert rows
    for row in rows:
        value = state[row["name"]].double().flatten()
        assert value.sum().item() == pytest.approx(row["sum"], abs=1e-6), row["name"]
        assert value[:2].tolist() == pytest.approx(row["first"], abs=1e-6 if not row["shape"] else 1e-9), row["name"]


@each_folder
def test_parameter_names(folder: Path) -> None:
    table = {row["name"]: row["shape"] for row in load(folder)[0]["parameters"]}
    assert audio_parameters(network(folder).state_dict()) == table


@each_folder
def test_full_size_parameter_names(folder: Path) -> None:
    with torch.device("meta"):
        state = ImageBind().state_dict()
    assert audio_parameters(state) == load(folder)[0]["full_size_parameters"]
