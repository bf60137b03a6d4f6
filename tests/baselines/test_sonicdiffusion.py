"""`sonicdiffusion`: what it trains, what it shows the U-Net, and that the suite's U-Net stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import worlds
from safetensors.torch import load_file

from audiotoken import training
from audiotoken.training_data import Batch, TrainingData
from baselines.captioned import Captioned
from baselines.gated_attention import gated_parameters
from baselines.sonicdiffusion import SonicDiffusion
from benchmark.backbone import Backbone
from benchmark.clips import ClipSet
from benchmark.data.manifest import load_manifest
from benchmark.method import RunContext
from benchmark.registries import BACKBONES, METHODS
from benchmark.suite import load_suite
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent

STEPS = 20


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    """That of `mini`, with two steps of sampling; nothing may change it."""
    mini = load_suite("mini")
    return BACKBONES.get("mini")(
        mini.model_copy(update={"generation": mini.generation.model_copy(update={"steps": 2})}), "cpu"
    )


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClipSet, ClipSet]:
    made = load_manifest(worlds.things(tmp_path_factory.getbasetemp()))
    assert made.train is not None
    return made.train.limit(6), made.test.limit(2)


def make(backbone: Backbone, test: ClipSet, folder: Path, **settings: Any) -> SonicDiffusion:
    given = {"steps": STEPS, "batch_size": 2, "learning_rate": 1e-3, "warmup_steps": 0} | settings
    method = SonicDiffusion(SonicDiffusion.Settings(**given))
    context = RunContext(backbone.suite, backbone, test, 0, folder, folder.parent / "cache", "cpu", Silent())
    method.setup(context)
    return method


def weights(unet: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in unet.state_dict().items()}


@pytest.fixture(scope="module")
def fitted(backbone: Backbone, clips: tuple[ClipSet, ClipSet], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished fit, in which it is also seen that the suite's U-Net stays as it is."""
    folder = tmp_path_factory.mktemp("whole") / "fit"
    before, names = weights(backbone.unet), [name for name, _ in backbone.unet.named_modules()]
    method = make(backbone, clips[1], folder)
    report = method.fit(clips[0])
    own = method.run.backbone.unet
    assert report.steps == STEPS and np.isfinite(report.figures["ldm"])
    trained = {name for name, parameter in own.named_parameters() if parameter.requires_grad}
    assert trained == set(gated_parameters(own)) and len(trained) == 5 * 8, "middle and upper blocks of mini"
    assert report.trainable_parameters > sum(parameter.numel() for parameter in gated_parameters(own).values())
    gates = [value.item() for name, value in gated_parameters(own).items() if name.endswith("gate_adapter")]
    assert all(0 < abs(gate - 0.1) < 0.05 for gate in gates), "trained from 0.1"
    after = weights(own)
    assert all(after[name].equal(value) for name, value in before.items()), "what was frozen moved"
    assert [name for name, _ in backbone.unet.named_modules()] == names
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in backbone.unet.modules())
    assert all(weights(backbone.unet)[name].equal(value) for name, value in before.items())
    return folder


def test_it_is_found_by_its_name() -> None:
    assert METHODS.get("sonicdiffusion") is SonicDiffusion
    card = SonicDiffusion.card
    assert not card.problems and card.sees == ("audio",) and "36be618" in (card.paper or "")
    assert SonicDiffusion.Settings().resolved(load_suite("mini").budget).lambda_a == 0


def test_its_files_have_the_released_names(fitted: Path) -> None:
    projector, gates = (load_file(fitted / name) for name in SonicDiffusion.fit_files)
    assert {"audio_emb_projection.12.weight", "cross_attention.3.to_q_adapter.weight"} <= set(projector)
    block = "up_blocks.0.attentions.0.transformer_blocks.0"
    assert {f"{block}.gate_adapter", f"{block}.attn_adapter.to_out.0.bias", f"{block}.norm_adapter.weight"} <= set(
        gates
    )
    assert {name.split(".")[0] for name in gates} == {"mid_block", "up_blocks"}


def test_a_killed_fit_ends_in_the_same_bits(
    backbone: Backbone,
    clips: tuple[ClipSet, ClipSet],
    fitted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = training.Training.step

    def dying(self: training.Training, number: int) -> None:
        if number == 7:
            raise KeyboardInterrupt
        step(self, number)

    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Training, "step", dying)
        make(backbone, clips[1], tmp_path / "fit").fit(clips[0])
    assert not (tmp_path / "fit" / "audio_projector.safetensors").exists()
    make(backbone, clips[1], tmp_path / "fit").fit(clips[0])
    for name in SonicDiffusion.fit_files:
        assert (tmp_path / "fit" / name).read_bytes() == (fitted / name).read_bytes(), name


def test_it_draws_what_it_hears_and_leaves_the_backbone(
    backbone: Backbone, clips: tuple[ClipSet, ClipSet], fitted: Path
) -> None:
    prompts = backbone.encode_prompts(["a photo of rain"])
    before = np.asarray(backbone.sample(prompts, [3])[0])
    method = make(backbone, clips[1], fitted)
    state = torch.random.get_rng_state()
    method.load()
    assert torch.random.get_rng_state().equal(state), "the global random state was touched"
    test = list(clips[1])
    together = method.condition(test).prompt_embeds
    length = prompts.shape[1]
    assert together.shape == (2, length + 77, prompts.shape[2])
    assert together[:, :length].equal(backbone.encode_prompts(["", ""])), "the text is empty"
    for row, clip in enumerate(test):
        assert together[row].equal(method.condition([clip]).prompt_embeds[0]), "a neighbour got in"
    assert not together[0].equal(together[1])
    one, other = (np.asarray(method.generate([clip], [3])[0]) for clip in test)
    assert not np.array_equal(one, other), "the sound has an effect"
    assert method.run.backbone.negative.shape == (1, length + 77, prompts.shape[2])
    assert np.array_equal(np.asarray(backbone.sample(prompts, [3])[0]), before), "the suite's backbone changed"


def test_damaged_files_are_one_line_each(
    backbone: Backbone, clips: tuple[ClipSet, ClipSet], fitted: Path, tmp_path: Path
) -> None:
    for name in SonicDiffusion.fit_files:
        (tmp_path / name).write_bytes((fitted / name).read_bytes())
    (tmp_path / "gated_attention.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match=r"gated_attention\.safetensors cannot be read"):
        make(backbone, clips[1], tmp_path).load()


class Numbered(TrainingData):
    """Batches of no content, of clips 0 .. count - 1."""

    width, device = 1, "cpu"

    def batch(self, step: int, count: int) -> Batch:
        nothing = torch.zeros(count, 1)
        return Batch(nothing, nothing, nothing, None, list(range(count)))


def test_half_of_the_steps_read_captions() -> None:
    empty, captions = torch.zeros(1, 2, 3), torch.arange(1.0, 4.0)[:, None, None].expand(3, 2, 3)
    data = Captioned(Numbered(), empty, captions, np.array([2, 0, 1]), seed=5)
    rows = [data.batch(step, 3).prompts for step in range(400)]
    told = [row for row in rows if row is not None and row.any()]
    assert all(row is not None and row.shape == (3, 2, 3) for row in rows)
    assert all(row[:, 0, 0].tolist() == [3, 1, 2] for row in told), "a clip has its own label's caption"
    assert 160 < len(told) < 240
    again = Captioned(Numbered(), empty, captions, np.array([2, 0, 1]), seed=5)
    assert all(again.batch(step, 3).prompts.equal(rows[step]) for step in (399, 7))  # type: ignore[union-attr, arg-type]
