"""The filterbank against the one of the official BEATs front end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loading import folders, load, paths

from metrics.encoders.beats import BEATs, BEATsConfig
from metrics.encoders.filterbank import analysis_window, frame_count, log_mel_filterbank, mel_banks

CASES = [
    pytest.param(path, case, id=f"{path.name}-{case['name']}")
    for path in paths("a_fbank")
    for case in load(path)[0]["cases"]
]


def normalised(wave: np.ndarray) -> np.ndarray:
    config = BEATsConfig(encoder_layers=1, encoder_embed_dim=16, encoder_attention_heads=1, embed_dim=8)
    return BEATs(config).preprocess(torch.from_numpy(wave)[None])[0].numpy()


@pytest.mark.parametrize(("folder", "case"), CASES)
def test_filterbank(folder: Path, case: dict[str, Any]) -> None:
    _, arrays = load(folder)
    ours = normalised(arrays[f"wave_{case['name']}"])
    difference = np.abs(ours - arrays[f"fbank_{case['name']}"])
    assert ours.shape == (case["frames"], 128)
    assert frame_count(case["samples"]) == case["frames"]
    assert difference.max() <= case["tolerance_max_abs"]
    assert difference.mean() <= case["tolerance_mean_abs"]


@pytest.mark.parametrize(("folder", "case"), CASES)
def test_float64_filterbank(folder: Path, case: dict[str, Any]) -> None:
    _, arrays = load(folder)
    ours = normalised(arrays[f"wave_{case['name']}"].astype(np.float64))
    difference = np.abs(ours - arrays[f"fbank_{case['name']}"])
    assert ours.dtype == np.float64
    assert difference.max() <= case["tolerance_max_abs"]
    assert difference.mean() <= case["tolerance_mean_abs"]


@pytest.mark.parametrize("folder", folders("a_fbank"))
def test_mel_banks(folder: Path) -> None:
    meta, arrays = load(folder)
    ours = mel_banks().numpy()
    np.testing.assert_allclose(ours[:, :-1], arrays["mel_banks"], rtol=0, atol=meta["tolerance"]["mel_banks_abs"])
    assert not ours[:, -1].any()


@pytest.mark.parametrize("folder", folders("a_fbank"))
def test_empty_filters(folder: Path) -> None:
    meta, _ = load(folder)
    assert np.flatnonzero(~mel_banks().numpy().any(axis=1)).tolist() == meta["empty_mel_filters"]


@pytest.mark.parametrize("folder", folders("a_fbank"))
def test_window(folder: Path) -> None:
    meta, arrays = load(folder)
    ours = analysis_window("povey").numpy()
    np.testing.assert_allclose(ours, arrays["window"], rtol=0, atol=meta["tolerance"]["window_abs"])


@pytest.mark.parametrize("folder", folders("a_fbank"))
def test_raw_log_mel(folder: Path) -> None:
    meta, arrays = load(folder)
    checked = [name for name in arrays if name.startswith("raw_logmel_first5_")]
    assert checked
    for name in checked:
        wave = torch.from_numpy(arrays[f"wave_{name.removeprefix('raw_logmel_first5_')}"])
        ours = log_mel_filterbank(wave * 2**15)[:5].numpy()
        np.testing.assert_allclose(ours, arrays[name], rtol=0, atol=meta["tolerance"]["raw_logmel_abs"])


@pytest.mark.parametrize("folder", folders("a_fbank"))
def test_too_short_is_refused(folder: Path) -> None:
    meta, _ = load(folder)
    samples = meta["too_short"]["samples"]
    with pytest.raises(ValueError, match=f"{samples} samples"):
        normalised(np.zeros(samples, dtype=np.float32))
