"""The full-scale suites are run end to end, with tiny networks in the released formats."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import worlds
from PIL import Image

from benchmark.registries import BACKBONES, ENCODERS, SCORERS
from benchmark.suite import load_suite
from benchmark.utils.errors import RunError
from benchmark.utils.files import sha256_of
from benchmark.weights import catalog, locate
from benchmark.weights.locate import resolve


def clips(folder: Path) -> Path:
    rows = [worlds.row(folder, "test", k) for k in (0, 1)]
    return worlds.write_manifest(folder / "two.csv", rows)


@pytest.mark.parametrize("name", ["vggsound", "vggsound-paper"])
def test_a_run_from_released_files_to_the_record(tiny: Path, tmp_path: Path, name: str) -> None:
    result = worlds.bench(
        "run", "--suite", name, "--method", "sd-text", "--data", clips(tmp_path), "--json", runs=tmp_path / "runs"
    )
    assert result.code == 0, result.err
    record = result.json
    assert record["status"] == "complete" and record["suite"]["name"] == f"{name}+two"
    assert all(record["metrics"][metric]["n"] == 2 for metric in ("ais", "iis", "aic"))
    # found where `bench fetch` puts it: without it there would be no headline
    inception = sha256_of(tiny / "inception" / catalog.network("inception").files[0].name)
    assert record["metrics"]["fid"]["scorers"] == {"features.inception": inception}
    assert "not on this machine" not in (record["metrics"]["fid"]["reason"] or "")
    # What nobody published a hash of stands in the record with the hash of what was used.
    used = sha256_of(tiny / "wav2clip" / "Wav2CLIP.pt")
    assert record["weights"]["wav2clip"] == record["metrics"]["ais"]["scorers"]["audio"] == used
    assert len(record["weights"]["stable-diffusion-v1-4"]) == 64
    pictures = list((tmp_path / "runs").rglob("images/*.png"))
    assert len(pictures) == 2


def test_published_weights_in_the_place_of_a_training(tiny: Path, tmp_path: Path) -> None:
    from diffusers import UNet2DConditionModel

    from audiotoken.embedder import Embedder

    torch.manual_seed(0)
    embedder, lora = tmp_path / "embedder_learned_embeds.bin", tmp_path / "lora_layers_learned_embeds.bin"
    torch.save(Embedder(96, 16).state_dict(), embedder)
    unet = UNet2DConditionModel.from_pretrained(tiny / "stable-diffusion-v1-4" / "unet")
    state = {}
    for name in unet.attn_processors:
        context = 8 if name.endswith("attn1.processor") else 16
        for part, inputs in (("q", 8), ("k", context), ("v", context), ("out", 8)):
            state[f"{name}.to_{part}_lora.down.weight"] = torch.randn(4, inputs)
            state[f"{name}.to_{part}_lora.up.weight"] = torch.randn(8, 4)
    torch.save(state, lora)
    pictures = []
    for method, more in (("audiotoken", ()), ("audiotoken-lora", ("--set", f"lora={lora}"))):
        asked = ("run", "--suite", "vggsound", "--method", method, "--set", f"embedder={embedder}", *more)
        result = worlds.bench(*asked, "--data", clips(tmp_path), "--json", runs=tmp_path / "runs")
        assert result.code == 0, result.err
        record = result.json
        assert record["status"] == "complete" and record["cost"]["fit_steps"] == 0
        used = {name: value for name, value in record["weights"].items() if name.endswith(".bin)")}
        files = {"embedder": embedder} | ({"lora": lora} if more else {})
        assert used == {f"{part} ({file.name})": sha256_of(file) for part, file in files.items()}
        (folder,) = (tmp_path / "runs").glob(f"vggsound+two-*/{method}/*")
        pictures.append(worlds.pictures(folder))
    assert len(pictures[0]) == 2 and pictures[0] != pictures[1]


def test_the_fingerprint_is_that_of_the_protocol_and_not_of_this_machine(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = resolve(load_suite("vggsound"))
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "none"))
    elsewhere = resolve(load_suite("vggsound"))
    assert here.weights != elsewhere.weights and "://" in elsewhere.weights["wav2clip"]
    assert here.fingerprint() == elsewhere.fingerprint()


def test_what_is_missing_is_named_with_the_way_out(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "none"))
    data, runs = clips(tmp_path), tmp_path / "runs"
    result = worlds.bench("run", "--suite", "vggsound", "--method", "sd-text", "--data", data, runs=runs)
    assert result.code == 1
    lines = [line for line in result.err.splitlines() if line.startswith("bench: ")]
    assert len(lines) == 6 and not list(runs.rglob("*.png")), "everything at once, before any work"
    assert "BENCH_WEIGHTS names" in lines[5] and "does not exist" in lines[5]
    assert "Stable Diffusion 1.4" in lines[0] and "bench fetch --suite vggsound stable-diffusion-v1-4" in lines[0]
    assert any("Inception-v3" in line and "vggsound inception" in line for line in lines)


def test_other_bytes_than_were_published_are_refused(tiny: Path, tmp_path: Path, monkeypatch: Any) -> None:
    manifest = tmp_path / "other.toml"
    text = catalog.MANIFEST.read_text(encoding="utf-8")
    manifest.write_text(text.replace('"Wav2CLIP.pt"', f'"Wav2CLIP.pt", sha256 = "{"0" * 64}"'), encoding="utf-8")
    monkeypatch.setattr(catalog, "MANIFEST", manifest)
    with pytest.raises(RunError, match=r"Wav2CLIP.pt has sha256 .* 000000000000.* was published"):
        SCORERS.get("vggsound/wav2clip")(resolve(load_suite("vggsound")), "cpu")


def test_the_two_suites_differ_only_in_labels() -> None:
    one, other = (resolve(load_suite(name)) for name in ("vggsound", "vggsound-paper"))
    assert one.data.labels == "vggsounder" and other.data.labels == "vggsound"
    alike = {"labels": None}
    assert one.data.model_copy(update=alike) == other.data.model_copy(update=alike)
    for part in ("backbone", "generation", "scorers", "weights", "encoders", "budget", "metrics", "published"):
        assert getattr(one, part) == getattr(other, part), part
    assert "aic.visible" in one.metrics and one.fingerprint() != other.fingerprint()
    for registry, names in ((SCORERS, ("clip-vit-b-32", "clip-vit-l-14", "wav2clip")), (ENCODERS, one.encoders)):
        for name in names:
            assert registry.get(f"vggsound/{name}") is registry.get(f"vggsound-paper/{name}")


def test_the_suite_names_the_weights_as_the_manifest_does() -> None:
    suite = resolve(load_suite("vggsound"))
    assert suite.published is not None
    for name, value in suite.published.items():
        assert value == catalog.network(name).identity
    for name, value in suite.encoders.items():
        one = catalog.network(name)
        root = locate.located(one)
        assert value == (one.identity if root is None or "://" not in one.identity else locate.hash_at(one, root))
    assert suite.backbone.source in BACKBONES and suite.backbone.source in suite.weights
    assert catalog.network(suite.backbone.source).pinned


def test_scorers_give_one_row_a_clip(tiny: Path) -> None:
    suite = resolve(load_suite("vggsound"))
    pictures = [Image.new("RGB", (70, 50), colour) for colour in ("red", "green", "blue")]
    for name, width in (("clip-vit-b-32", 512), ("clip-vit-l-14", 768)):
        scorer: Any = SCORERS.get(f"vggsound/{name}")(suite, "cpu")
        rows = scorer.embed_images(pictures)
        assert rows.shape == (3, width) and scorer.embed_texts(["a dog"]).shape == (1, width)
        np.testing.assert_allclose(scorer.embed_images(pictures[1:2]), rows[1:2], rtol=1e-5, atol=1e-5)
        assert scorer.sha256 == suite.weights[name] == locate.hash_of(tiny / name / "open_clip_model.safetensors")
    wav2clip: Any = SCORERS.get("vggsound/wav2clip")(suite, "cpu")
    assert wav2clip.embed_audio([np.ones(16_000, np.float32)]).shape == (1, 512)


def test_encoders_listen(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.mini import networks
    from metrics.encoders import imagebind

    suite, sounds = resolve(load_suite("vggsound")), torch.randn(2, 16_000)
    features = ENCODERS.get("vggsound/beats")(suite, "cpu").extract_features(sounds)
    assert features.shape[-1] == 3 * 32 and not features.requires_grad
    joint = ENCODERS.get("vggsound/wav2clip-encoder")(suite, "cpu")
    heard, read = joint.embed_audio(sounds), joint.embed_texts(["a dog"])
    assert heard.shape == (2, 512) and read.shape == (1, 512)
    # the file that AIS is measured with
    row = SCORERS.get("vggsound/wav2clip")(suite, "cpu").embed_audio([sounds[0].numpy()])  # type: ignore[attr-defined]
    torch.testing.assert_close(torch.nn.functional.normalize(torch.from_numpy(row)), heard[:1])
    # there is no small ImageBind in the released format, whose sizes are fixed: its own tests load the true ones
    file = tmp_path / "imagebind_huge.pth"
    file.write_bytes(b"")
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    loaded = []
    monkeypatch.setattr(imagebind, "load_imagebind", lambda path: loaded.append(path) or networks.imagebind(4054))
    assert ENCODERS.get("vggsound/imagebind")(suite, "cpu").embed_audio(sounds).shape[0] == 2 and loaded == [file]


def changed(source: Path, folder: Path, part: str, change: Any) -> Path:
    """A copy of a Stable Diffusion in which `change` was made to the parameters of one part."""
    copy = folder / "stable-diffusion-v1-4"
    shutil.copytree(source / "stable-diffusion-v1-4", copy)
    path = next((copy / part).glob("*.safetensors"))
    state = safetensors.torch.load_file(path)
    change(state)
    safetensors.torch.save_file(state, path, {"format": "pt"})
    return copy


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_backbone_of_other_parameters_is_refused_with_the_list(tiny: Path, tmp_path: Path, part: str) -> None:
    from benchmark.fullscale.backbone import pipeline

    lost = []

    def change(state: dict[str, torch.Tensor]) -> None:
        lost.append(min(name for name in state if name.endswith("weight")))
        del state[lost[0]]
        state["something.else"] = torch.zeros(1)

    with pytest.raises(RunError) as caught:
        pipeline(changed(tiny, tmp_path, part, change))
    # the text encoder's names have lost their beginning since
    missing = lost[0].removeprefix("text_model.")
    assert f"{missing} is missing" in str(caught.value) and "something.else is surplus" in str(caught.value)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_backbone_with_a_number_that_is_none_is_refused(tiny: Path, tmp_path: Path, part: str) -> None:
    from benchmark.fullscale.backbone import pipeline

    def change(state: dict[str, torch.Tensor]) -> None:
        name = min(name for name in state if name.endswith("weight"))
        state[name] = state[name].clone()
        state[name].flatten()[0] = float("nan")

    with pytest.raises(RunError, match=f"{part} holds NaN or infinite values in .*weight: get the file again"):
        pipeline(changed(tiny, tmp_path, part, change))


def test_a_backbone_of_another_shape_is_refused(tiny: Path, tmp_path: Path) -> None:
    from benchmark.fullscale.backbone import pipeline

    def change(state: dict[str, torch.Tensor]) -> None:
        state["conv_in.weight"] = state["conv_in.weight"][:4].clone()

    with pytest.raises(RunError, match="conv_in.weight"):
        pipeline(changed(tiny, tmp_path, "unet", change))


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"cross_attention_dim": 24}, "the U-Net attends to width 24, the text encoder gives 16"),
        ({"in_channels": 9}, "the U-Net takes 9 channels, the autoencoder's latents have 4"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(
    tiny: Path, tmp_path: Path, sizes: dict[str, int], words: str
) -> None:
    from diffusers import UNet2DConditionModel

    from benchmark.fullscale.backbone import pipeline

    copy = tmp_path / "stable-diffusion-v1-4"
    shutil.copytree(tiny / "stable-diffusion-v1-4", copy)
    made = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(copy / "unet"), **sizes)
    made.save_pretrained(copy / "unet")
    with pytest.raises(RunError) as caught:
        pipeline(copy)
    (line,) = str(caught.value).splitlines()
    assert words in line and str(copy) in line


def test_the_scheduler_is_the_suites(tiny: Path) -> None:
    from benchmark.fullscale.backbone import pipeline

    root = tiny / "stable-diffusion-v1-4"
    assert type(pipeline(root).scheduler).__name__ == "PNDMScheduler"
    other = pipeline(root, "DPMSolverMultistepScheduler").scheduler
    assert type(other).__name__ == "DPMSolverMultistepScheduler" and other.config.beta_end == 0.012


@pytest.mark.parametrize("name", ["clip-vit-b-32", "wav2clip"])
def test_a_scorer_of_other_parameters_is_refused_with_the_list(
    released: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = catalog.network(name).files[0].name
    source, copy = released / name / file, tmp_path / name / file
    copy.parent.mkdir()
    state = safetensors.torch.load_file(source) if file.endswith("tensors") else torch.load(source, weights_only=True)
    first = next(key for key in state if key.endswith("weight"))
    state["something.else"] = state.pop(first)
    safetensors.torch.save_file(state, copy) if file.endswith("tensors") else torch.save(state, copy)
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(RunError) as caught:
        SCORERS.get(f"vggsound/{name}")(resolve(load_suite("vggsound")), "cpu")
    assert first in str(caught.value) and "something.else" in str(caught.value)
