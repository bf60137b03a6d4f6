"""SonicDiffusion's projector against the numbers of its released code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loading import build, folders, load
from safetensors.torch import save_file

from baselines.audio_projector import AudioProjector, load_projector
from benchmark.utils.errors import UserError

each_folder = pytest.mark.parametrize("folder", folders("j_sonicdiffusion_projector"))


def weights(meta: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in build(meta["parameters"], meta["seed"]).items()}


def made(meta: dict[str, Any]) -> AudioProjector:
    config = meta["config"]
    return AudioProjector(config["audio_dim"], config["context_dim"], config["audio_token_count"])


@each_folder
@pytest.mark.parametrize("form", ["safetensors", "pth"])
def test_a_file_of_the_official_names_gives_the_official_tokens(folder: Path, form: str, tmp_path: Path) -> None:
    meta, arrays = load(folder)
    file, projector = tmp_path / f"audio_projector_landscape.{form}", made(meta)
    (save_file if form == "safetensors" else torch.save)(weights(meta), file)  # type: ignore[operator]
    load_projector(file, projector)
    with torch.no_grad():
        tokens = projector(torch.from_numpy(arrays["embedding"])).numpy()
    official = arrays["tokens"]
    np.testing.assert_allclose(tokens.reshape(official.shape), official, rtol=0, atol=meta["tolerance"]["max_abs"])
    assert np.abs(official[0] - official[2]).max() > 100 * meta["tolerance"]["max_abs"], "silence differs from a sound"


@each_folder
def test_only_the_last_layer_of_attention_has_an_effect(folder: Path) -> None:
    meta, arrays = load(folder)
    projector = made(meta)
    projector(torch.from_numpy(arrays["embedding"])).sum().backward()
    idle = {name for name, parameter in projector.named_parameters() if parameter.grad is None}
    assert idle == {name for name, parameter in projector.named_parameters() if not parameter.requires_grad}
    assert {name.split(".")[1] for name in idle} == {"0", "1", "2"}


@each_folder
def test_full_size_parameters(folder: Path) -> None:
    meta, _ = load(folder)
    (table,) = meta["full_size_parameters"].values()
    with torch.device("meta"):
        ours = AudioProjector(1024, 768).state_dict()
    assert {name: list(value.shape) for name, value in ours.items()} == table


@each_folder
def test_a_file_that_does_not_fit_is_refused_with_every_reason(folder: Path, tmp_path: Path) -> None:
    meta, _ = load(folder)
    stored = weights(meta)
    stored["more"] = stored.pop("to_out_adapter.0.bias")
    stored["audio_emb_projection.0.bias"] = stored["audio_emb_projection.0.bias"][:-1].clone()
    stored["audio_emb_projection.2.bias"][0] = torch.nan
    save_file(stored, tmp_path / "bad.safetensors")
    with pytest.raises(UserError) as caught:
        load_projector(tmp_path / "bad.safetensors", made(meta))
    whole = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    for part in (
        "more is unexpected",
        "to_out_adapter.0.bias is missing",
        "has shape (12,), expected (13,)",
        "2.bias holds values",
    ):
        assert part in whole


@pytest.mark.parametrize(("audio_width", "width"), [(128, 128), (1024, 768), (512, 768), (96, 128), (128, 64)])
def test_other_widths_are_resampled(audio_width: int, width: int) -> None:
    with torch.no_grad():
        assert AudioProjector(audio_width, width, tokens=3)(torch.zeros(2, 1, audio_width)).shape == (2, 3 * width)


def test_widths_without_a_simple_ratio_are_refused() -> None:
    with pytest.raises(UserError, match="width 100 cannot become tokens of width 77"):
        AudioProjector(100, 77)
