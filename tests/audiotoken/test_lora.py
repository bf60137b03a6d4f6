"""The LoRA of the U-Net: it starts at nothing, stays with its owner, trains with the embedder, and is found again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from diffusers import UNet2DConditionModel
from diffusers.utils import logging
from torch import Tensor

from audiotoken import convert, training
from audiotoken.checkpoint import load_lora, save_embedder
from audiotoken.embedder import Embedder
from audiotoken.lora import (
    FILE,
    add_lora,
    load_lora_into,
    lora_layers,
    remove_lora,
    save_lora,
    sharing_copy,
    with_own_unet,
)
from audiotoken.method import AudioToken, AudioTokenLora
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.settings import AudioTokenLoraSettings, AudioTokenSettings
from audiotoken.training import train
from audiotoken.training_data import Stored
from benchmark.backbone import Backbone
from benchmark.clips import Clip, ClipSet
from benchmark.method import RunContext
from benchmark.mini.data import make_sound
from benchmark.registries import BACKBONES
from benchmark.runs.seeds import image_seed
from benchmark.runs.steps import make_images
from benchmark.suite import load_suite
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent

FEATURES, CLIPS, LAYERS = 12, 5, 56  # mini's U-Net has 7 transformer blocks of 2 attentions of 4 projections


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    """That of `mini`, with two steps of sampling; nothing may change it."""
    mini = load_suite("mini")
    quick = mini.model_copy(update={"generation": mini.generation.model_copy(update={"steps": 2})})
    return BACKBONES.get("mini")(quick, "cpu")


@pytest.fixture
def unet(backbone: Backbone) -> Any:
    """A U-Net of its own."""
    return with_own_unet(backbone).unet


@torch.no_grad()
def predicted(unet: Any) -> Tensor:
    """What `unet` makes of some noise."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 4, 16, 16, generator=generator).contiguous(memory_format=torch.channels_last)
    return unet(noise, torch.tensor([10, 700]), torch.randn(2, 32, 128, generator=generator)).sample


def picture(backbone: Backbone) -> np.ndarray:
    return np.asarray(backbone.sample(backbone.encode_prompts(["a photo of rain"]), [3])[0])


def stir(unet: Any, seed: int = 0) -> None:
    """As if it had been trained: nothing of the LoRA is zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, up in lora_layers(unet).values():
            up.copy_(0.1 * torch.randn(up.shape, generator=generator))


def stirred(unet: Any, rank: int = 4, seed: int = 0) -> Any:
    add_lora(unet, rank, seed)
    stir(unet, seed)
    return unet


def same(one: Any, other: Any) -> bool:
    ours, theirs = lora_layers(one), lora_layers(other)
    return ours.keys() == theirs.keys() and all(
        a.equal(b) for name in ours for a, b in zip(ours[name], theirs[name], strict=True)
    )


# ---------------------------------------------------------------------------------------------------- start, place


def test_it_starts_at_the_unet_as_it_was(unet: Any) -> None:
    before, state = predicted(unet), torch.random.get_rng_state()
    add_lora(unet, 4, seed=1)
    assert torch.random.get_rng_state().equal(state), "the global random state was touched"
    assert predicted(unet).equal(before)
    assert not any(module.training for module in unet.modules())
    trained = {id(p) for p in unet.parameters() if p.requires_grad}
    layers = lora_layers(unet)
    assert len(layers) == LAYERS and trained == {id(p) for layer in layers.values() for p in layer}
    assert {name.rpartition(".attn")[2] for name in layers} == {
        f"{attention}.{projection}" for attention in "12" for projection in ("to_q", "to_k", "to_v", "to_out.0")
    }
    downs = torch.cat([down.flatten() for down, _ in layers.values()])
    assert all(len(down) == 4 and not up.any() for down, up in layers.values())
    # N(0, 1 / rank^2)
    assert abs(downs.mean()) < 0.01 and abs(downs.std() - 0.25) < 0.01
    stir(unet)
    assert (predicted(unet) - before).abs().max() > 1e-3


def test_the_seed_decides_the_start(backbone: Backbone) -> None:
    made = []
    for seed in (1, 1, 2):
        made.append(with_own_unet(backbone).unet)
        torch.rand(seed)
        add_lora(made[-1], 4, seed)
    assert same(made[0], made[1]) and not same(made[0], made[2])
    add_lora(made[2], 2, 1)
    assert all(len(down) == 2 for down, _ in lora_layers(made[2]).values()), "it takes the place of the one before"


def test_it_stays_with_its_owner_and_takes_no_memory(backbone: Backbone) -> None:
    before, names = picture(backbone), [name for name, _ in backbone.unet.named_parameters()]
    own = with_own_unet(backbone)
    assert np.array_equal(picture(own), before)
    stirred(own.unet)
    assert not np.array_equal(picture(own), before) and np.array_equal(picture(backbone), before)
    assert [name for name, _ in backbone.unet.named_parameters()] == names and not lora_layers(backbone.unet)
    shared = {id(p) for p in backbone.unet.parameters()}
    added = [p for p in own.unet.parameters() if id(p) not in shared]
    assert {id(p) for p in added} == {id(p) for layer in lora_layers(own.unet).values() for p in layer}
    remove_lora(own.unet)
    assert [name for name, _ in own.unet.named_parameters()] == names and np.array_equal(picture(own), before)


# --------------------------------------------------------------------------------------------------------- training


class Kept:
    """Stands for `Features`: random ones. It fails after `left` calls."""

    device, width = "cpu", FEATURES

    def __init__(self, left: int = 99) -> None:
        self.rows = torch.randn(CLIPS, 3, FEATURES, generator=torch.Generator().manual_seed(1))
        self.left = left

    def __call__(self, positions: list[int]) -> Tensor:
        self.left -= 1
        if self.left < 0:
            raise InterruptedError
        return self.rows[positions]


def trained(backbone: Backbone, state: Path, left: int = 99) -> tuple[Embedder, Any]:
    """An embedder and a U-Net after three steps."""
    own = with_own_unet(backbone)
    add_lora(own.unet, 4, 0)
    torch.manual_seed(3)
    embedder = Embedder(FEATURES, 128)
    mean = torch.randn(CLIPS, 4, 16, 16, generator=torch.Generator().manual_seed(2))
    material = Stored(Kept(left), mean, 0.1 * mean.abs(), seed=5)  # type: ignore[arg-type]
    settings = AudioTokenLoraSettings(steps=3, batch_size=2, learning_rate=1e-2).resolved()
    train(embedder, own, material, settings, 5, state, Silent())
    return embedder, own.unet


def test_it_is_trained_with_the_embedder_and_nothing_else_is(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAVE_SECONDS", -1)
    frozen = [*backbone.unet.parameters(), *backbone.text_encoder.parameters(), *backbone.vae.parameters()]
    before, start = [parameter.clone() for parameter in frozen], sharing_copy(backbone.unet)
    add_lora(start, 4, 0)
    embedder, unet = trained(backbone, tmp_path / "whole.pt")
    assert all(a.equal(b) for a, b in zip(frozen, before, strict=True))
    for name, (down, up) in lora_layers(unet).items():
        assert not down.equal(lora_layers(start)[name][0]) and up.any(), f"{name} was not trained"
    assert (predicted(unet) - predicted(backbone.unet)).abs().max() > 1e-3

    with pytest.raises(InterruptedError):
        trained(backbone, tmp_path / "state.pt", left=2)
    resumed, again = trained(backbone, tmp_path / "state.pt")
    assert same(again, unet) and all(
        a.equal(b) for a, b in zip(resumed.parameters(), embedder.parameters(), strict=True)
    )


# ------------------------------------------------------------------------------------------------------------ files


def test_saved_and_loaded(backbone: Backbone, unet: Any, tmp_path: Path) -> None:
    stirred(unet, rank=3)
    save_lora(tmp_path / FILE, unet)
    other = with_own_unet(backbone)
    load_lora_into(tmp_path / FILE, stirred(other.unet, rank=4, seed=1))
    assert same(other.unet, unet) and predicted(other.unet).equal(predicted(unet))
    assert not any(p.requires_grad for p in other.unet.parameters())
    save_lora(tmp_path / "again", other.unet)
    assert (tmp_path / "again").read_bytes() == (tmp_path / FILE).read_bytes()
    # without this package
    plain = with_own_unet(backbone)
    plain.pipeline.load_lora_weights(tmp_path)
    assert predicted(plain.unet).equal(predicted(unet))
    with pytest.raises(ValueError, match="has no LoRA"):
        save_lora(tmp_path / "none", backbone.unet)
    assert not (tmp_path / "none").exists()


def released(unet: Any, rank: int = 4) -> dict[str, Tensor]:
    """Names and shapes as diffusers 0.16 stored them (`AttnProcsLayers` over `LoRAAttnProcessor`)."""
    state = {}
    for name in unet.attn_processors:
        attention = unet.get_submodule(name.removesuffix(".processor"))
        parts = {"q": attention.to_q, "k": attention.to_k, "v": attention.to_v, "out": attention.to_out[0]}
        for part, layer in parts.items():
            state[f"{name}.to_{part}_lora.down.weight"] = 0.1 * torch.randn(rank, layer.in_features)
            state[f"{name}.to_{part}_lora.up.weight"] = 0.1 * torch.randn(layer.out_features, rank)
    return state


def test_the_released_layout_adds_up_times_down_to_the_weights(backbone: Backbone, unet: Any, tmp_path: Path) -> None:
    state = released(unet)
    assert len(state) == 2 * LAYERS
    torch.save(state, tmp_path / "lora_layers_learned_embeds.bin")
    merged: Any = UNet2DConditionModel.from_config(unet.config)
    merged.load_state_dict(backbone.unet.state_dict())
    with torch.no_grad():
        for name in list(state):
            if name.endswith("_lora.down.weight"):
                place, _, part = name.removesuffix("_lora.down.weight").rpartition(".processor.")
                layer = merged.get_submodule(f"{place}.{'to_out.0' if part == 'to_out' else part}")
                layer.weight += state[name.replace("lora.down", "lora.up")] @ state[name]
    load_lora_into(tmp_path / "lora_layers_learned_embeds.bin", unet)
    torch.testing.assert_close(predicted(unet), predicted(merged), rtol=1e-4, atol=1e-4)
    assert (predicted(unet) - predicted(backbone.unet)).abs().max() > 0.01


def test_a_file_that_does_not_fit_is_refused_with_the_list(unet: Any, tmp_path: Path) -> None:
    path = tmp_path / FILE
    save_lora(path, stirred(unet))
    good = safetensors.torch.load_file(path)

    def refusal(**changes: Tensor | None) -> list[str]:
        state = {name: value for name, value in {**good, **changes}.items() if value is not None}
        safetensors.torch.save_file(state, path)
        with pytest.raises(UserError) as caught:
            load_lora_into(path, unet)
        return caught.value.problems

    first, second, third, fourth, *_ = (name for name in good if name.endswith("lora_A.weight"))
    infinite = good[third].clone()
    infinite[0, 0] = torch.inf
    lines = refusal(**{first: None, second: torch.zeros(4, 7), third: infinite, "unet.more": torch.zeros(1)})
    assert [line.partition(" is not a LoRA of this U-Net: ")[0] for line in lines] == [str(path)] * 4
    for words in (f"{first} is missing", f"{second} and its up have shapes (4, 7)", "not finite", "unet.more is un"):
        assert any(words in line for line in lines), lines
    up = fourth.replace("_A", "_B")
    (line,) = refusal(**{fourth: torch.zeros(2, good[fourth].shape[1]), up: torch.zeros(len(good[up]), 2)})
    assert "holds layers of ranks 2, 4" in line
    path.write_bytes(b"no tensors")
    for wrong in (path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="cannot be read"):
            load_lora_into(wrong, unet)


# ---------------------------------------------------------------------------------------------- method and pipeline


@pytest.fixture(scope="module")
def fit(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fit of audiotoken-lora: what a training leaves, of chance values."""
    folder = tmp_path_factory.mktemp("fit")
    torch.manual_seed(0)
    metadata = {"method": "audiotoken-lora", "suite": "mini", "seed": "0", "steps": "0"}
    save_embedder(folder / "embedder.safetensors", Embedder(288, 128), metadata)
    save_lora(folder / FILE, stirred(with_own_unet(backbone).unet))
    return folder


def sounds() -> list[np.ndarray]:
    return [make_sound("test", k) / np.float32(32768) for k in (0, 7)]


@pytest.fixture(scope="module")
def expected(backbone: Backbone, fit: Path) -> list[np.ndarray]:
    """The method's pictures of the sounds."""
    clips = ClipSet("two", tuple(Clip(f"c{k}", wave, None, ("x",), "test") for k, wave in enumerate(sounds())), ("x",))
    run = RunContext(backbone.suite, backbone, clips, 0, fit, fit, "cpu", Silent())
    before = predicted(backbone.unet)
    pictures = []
    for method in (AudioTokenLora(AudioTokenLoraSettings()), AudioToken(AudioTokenSettings())):
        method.setup(run)
        method.load()
        pictures.append(make_images(method, clips[:], seeds()))
    assert not np.array_equal(*pictures[0]) and not np.array_equal(pictures[0][0], pictures[1][0])
    assert predicted(backbone.unet).equal(before) and not lora_layers(backbone.unet)
    return pictures[0]


def seeds() -> list[int]:
    return [image_seed(load_suite("mini").generation.seed, 0, f"c{k}", 0) for k in range(2)]


def draw(pipeline: Any) -> list[np.ndarray]:
    pipeline.set_progress_bar_config(disable=True)
    noise = [torch.Generator().manual_seed(seed) for seed in seeds()]
    return [np.asarray(one) for one in pipeline(sounds(), 16_000, generator=noise, num_inference_steps=2).images]


def test_a_pipeline_keeps_it(fit: Path, expected: list[np.ndarray], tmp_path: Path) -> None:
    logging.disable_progress_bar()
    whole, share = tmp_path / "whole", tmp_path / "share"
    assert convert.main([str(fit), "-o", str(whole)]) == 0
    made = AudioTokenPipeline.from_pretrained(whole)
    assert np.array_equal(draw(made), expected), "not the benchmark's pictures bit by bit"
    assert (whole / FILE).read_bytes() == (fit / FILE).read_bytes()
    (file,) = (whole / "unet").glob("*.safetensors")
    assert set(safetensors.torch.load_file(file)) == set(
        UNet2DConditionModel.from_config(made.unet.config).state_dict()
    )
    made.save_embedder(share, str(whole), str(whole))
    assert {path.name for path in share.iterdir()} == {"embedder", "model_index.json", FILE}
    assert np.array_equal(draw(AudioTokenPipeline.from_pretrained(share)), expected)

    # from a repository of the hub, and saved again without it
    commit = "0123456789abcdef0123456789abcdef01234567"
    root = tmp_path / "cache" / "models--somebody--whole"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(commit)
    (root / "snapshots").mkdir()
    (root / "snapshots" / commit).symlink_to(whole, target_is_directory=True)
    fetched = AudioTokenPipeline.from_pretrained("somebody/whole", cache_dir=tmp_path / "cache", local_files_only=True)
    assert same(fetched.unet, made.unet)
    fetched.unload_lora_weights()
    fetched.save_pretrained(tmp_path / "without")
    assert not (tmp_path / "without" / FILE).exists()
    assert not lora_layers(AudioTokenPipeline.from_pretrained(tmp_path / "without").unet)
    (whole / FILE).unlink()
    with pytest.raises(UserError, match="cannot be read"):
        AudioTokenPipeline.from_pretrained(whole)


def test_a_lora_by_name(fit: Path, unet: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(1)
    torch.save(state := released(unet), tmp_path / "lora.bin")
    shutil.copy(fit / "embedder.safetensors", tmp_path / "embedder.safetensors")
    command = [str(tmp_path), "-o", str(tmp_path / "made")]
    assert convert.main(command) == 2 and f"{FILE} cannot be read" in capsys.readouterr().err
    assert convert.main([*command, "--lora", str(tmp_path / "lora.bin")]) == 0
    stored = safetensors.torch.load_file(tmp_path / "made" / FILE)
    assert sorted(float(value.sum()) for value in stored.values()) == sorted(float(v.sum()) for v in state.values())


# ------------------------------------------------------------------------------------------------ alpha in the header


def with_header(source: Path, target: Path, **stated: Any) -> Path:
    """A copy of a LoRA whose header states a configuration, as diffusers writes it."""
    text = json.dumps({f"unet.{key}": value for key, value in stated.items()})
    safetensors.torch.save_file(
        safetensors.torch.load_file(source), target, {"format": "pt", "lora_adapter_metadata": text}
    )
    return target


@pytest.mark.parametrize(
    ("stated", "scale"),
    [
        ({"r": 4, "lora_alpha": 16}, 4.0),
        ({"r": 4, "lora_alpha": 4}, 1.0),
        ({"r": 4, "lora_alpha": 3}, 0.75),
        ({"r": 4, "lora_alpha": 16, "use_rslora": True}, 8.0),
    ],
)
def test_alpha_in_the_header_counts_as_in_diffusers(
    backbone: Backbone, unet: Any, tmp_path: Path, stated: dict[str, Any], scale: float
) -> None:
    save_lora(tmp_path / "plain.safetensors", stirred(unet))
    targets = {"target_modules": ["to_q", "to_k", "to_v", "to_out.0"]}
    path = with_header(tmp_path / "plain.safetensors", tmp_path / "alpha.safetensors", **stated, **targets)
    theirs = with_own_unet(backbone)
    theirs.pipeline.load_lora_weights(tmp_path, weight_name=path.name)
    load_lora_into(path, unet)
    before, expected, found = predicted(backbone.unet), predicted(theirs.unet), predicted(unet)
    assert (expected - before).abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    plain = load_lora(tmp_path / "plain.safetensors", backbone.unet)
    for name, (_, up) in load_lora(path, backbone.unet).items():
        torch.testing.assert_close(up, scale * plain[name][1])
    save_lora(tmp_path / "again.safetensors", unet)
    again = with_own_unet(backbone).unet
    load_lora_into(tmp_path / "again.safetensors", again)
    assert predicted(again).equal(found), "a copy keeps the scale"


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"r": 8, "lora_alpha": 16}, "states rank 8"),
        ({"r": 4, "lora_alpha": "16"}, "states lora_alpha '16'"),
        ({"r": 4, "lora_alpha": float("nan")}, "states lora_alpha nan"),
        ({"r": 4, "lora_alpha": 10**400}, "which is no number"),
        ({"r": [4], "lora_alpha": 16}, r"states rank \[4\]"),
        ({"r": 4, "lora_alpha": 16, "alpha_pattern": {"to_q": 2}}, "sets alpha_pattern"),
        ({"r": 4, "lora_alpha": 16, "use_dora": True}, "sets use_dora"),
    ],
)
def test_a_header_that_cannot_be_followed_is_refused(unet: Any, tmp_path: Path, stated: Any, words: str) -> None:
    save_lora(tmp_path / "plain.safetensors", stirred(unet))
    path = with_header(tmp_path / "plain.safetensors", tmp_path / "a.safetensors", **stated)
    with pytest.raises(UserError, match=words):
        load_lora_into(path, unet)
