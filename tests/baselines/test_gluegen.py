"""`gluegen`: what it trains on, that it ends in the same bits, and what it shows the U-Net."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import worlds
from safetensors.torch import load_file

from baselines import alignment
from baselines.gluegen import GlueGen
from benchmark.backbone import Backbone
from benchmark.clips import Clip, ClipSet
from benchmark.data.manifest import load_manifest
from benchmark.method import RunContext
from benchmark.registries import BACKBONES, METHODS
from benchmark.suite import load_suite
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent

STEPS = 20


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    mini = load_suite("mini")
    return BACKBONES.get("mini")(
        mini.model_copy(update={"generation": mini.generation.model_copy(update={"steps": 2})}), "cpu"
    )


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClipSet, ClipSet]:
    made = load_manifest(worlds.things(tmp_path_factory.getbasetemp()))
    assert made.train is not None
    blind = [Clip(clip.id, clip.audio, None, clip.labels, clip.split) for clip in made.train.limit(6)]
    return ClipSet(made.train.name, tuple(blind), made.train.labels, made.train.identity), made.test.limit(2)


def make(backbone: Backbone, test: ClipSet, folder: Path, **settings: Any) -> GlueGen:
    method = GlueGen(GlueGen.Settings(**{"steps": STEPS, "batch_size": 4, "learning_rate": 1e-3} | settings))
    context = RunContext(backbone.suite, backbone, test, 0, folder, folder.parent / "cache", "cpu", Silent())
    method.setup(context)
    return method


@pytest.fixture(scope="module")
def fitted(backbone: Backbone, clips: tuple[ClipSet, ClipSet], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished fit, on clips without frames."""
    folder = tmp_path_factory.mktemp("whole") / "fit"
    report = make(backbone, clips[1], folder).fit(clips[0])
    assert report.steps == STEPS and set(report.figures) == {"loss", "adversarial", "distilled", "reconstructed"}
    return folder


def test_it_is_found_by_its_name() -> None:
    assert METHODS.get("gluegen") is GlueGen
    card = GlueGen.card
    assert not card.problems and card.sees == ("audio",) and "4159352" in (card.paper or "")


def test_a_killed_fit_ends_in_the_same_bits(
    backbone: Backbone, clips: tuple[ClipSet, ClipSet], fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = alignment._Alignment.step

    def dying(self: Any, number: int) -> None:
        if number == 7:
            raise KeyboardInterrupt
        step(self, number)

    monkeypatch.setattr(alignment, "SAVE_SECONDS", 0.0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(alignment._Alignment, "step", dying)
        make(backbone, clips[1], tmp_path / "fit").fit(clips[0])
    assert not (tmp_path / "fit" / GlueGen.fit_files[0]).exists()
    make(backbone, clips[1], tmp_path / "fit").fit(clips[0])
    for name in GlueGen.fit_files:
        assert (tmp_path / "fit" / name).read_bytes() == (fitted / name).read_bytes(), name


def test_training_brings_the_translation_nearer_to_the_prompt(
    backbone: Backbone, clips: tuple[ClipSet, ClipSet], tmp_path: Path
) -> None:
    train = clips[0]
    targets = backbone.encode_prompts([backbone.prompt(clip.label) for clip in train])
    away = []
    for steps in (1, 150):
        method = make(backbone, clips[1], tmp_path / str(steps) / "fit", steps=steps)
        method.fit(train)
        method.load()
        away.append((method.condition(list(train)).prompt_embeds - targets).square().mean().item())
    assert away[1] < 0.3 * away[0]


def test_it_draws_what_it_hears_and_leaves_the_backbone(
    backbone: Backbone, clips: tuple[ClipSet, ClipSet], fitted: Path
) -> None:
    prompts = backbone.encode_prompts(["a photo of rain"])
    before = {name: value.clone() for name, value in backbone.unet.state_dict().items()}
    method = make(backbone, clips[1], fitted)
    state = torch.random.get_rng_state()
    method.load()
    assert torch.random.get_rng_state().equal(state), "the global random state was touched"
    test = list(clips[1])
    together = method.condition(test).prompt_embeds
    assert together.shape == (2, *prompts.shape[1:])
    for row, clip in enumerate(test):
        assert together[row].equal(method.condition([clip]).prompt_embeds[0]), "a neighbour got in"
    one, other = (np.asarray(method.generate([clip], [3])[0]) for clip in test)
    assert not np.array_equal(one, other), "the sound has an effect"
    after = backbone.unet.state_dict()
    assert after.keys() == before.keys() and all(after[name].equal(value) for name, value in before.items())


def test_its_norm_is_that_of_the_training_prompts(
    backbone: Backbone, clips: tuple[ClipSet, ClipSet], fitted: Path
) -> None:
    stored = load_file(fitted / "text_norm.safetensors")["norm"]
    prompts = backbone.encode_prompts([backbone.prompt(clip.label) for clip in clips[0]])
    torch.testing.assert_close(stored, prompts.norm(dim=-1).mean(0)[:, None])


def test_damaged_files_are_one_line_each(
    backbone: Backbone, clips: tuple[ClipSet, ClipSet], fitted: Path, tmp_path: Path
) -> None:
    for name in GlueGen.fit_files:
        (tmp_path / name).write_bytes((fitted / name).read_bytes())
    (tmp_path / "translator.safetensors").write_bytes((fitted / "text_norm.safetensors").read_bytes())
    with pytest.raises(
        UserError, match=r"translator\.safetensors does not fit the suite's networks: norm is unexpected"
    ):
        make(backbone, clips[1], tmp_path).load()
