"""Suites: what is inside the fingerprint and what is not, and that `mini` is what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worlds
from pydantic import BaseModel

from benchmark.clips import Clip
from benchmark.data.manifest import load_manifest
from benchmark.media.images import RESIZE_MODES
from benchmark.mini import world
from benchmark.registries import BACKBONES, DATASETS, ENCODERS, SCORERS
from benchmark.suite import Suite, load_suite, suite_names
from benchmark.utils.errors import UserError
from metrics import definitions

MINI = load_suite("mini")
OUTSIDE = {"title", "headline", "metrics", "encoders", "related", "files", "budget"}


def changes(model: BaseModel) -> list[tuple[str, Any]]:
    """Each field of a model with another value than it has, nested models field by field."""
    found: list[tuple[str, Any]] = []
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            found += [
                (f"{name}.{inner}", value.model_copy(update={inner.split(".")[0]: new}))
                for inner, new in changes(value)
            ]
        elif isinstance(value, dict):
            found += [(name, {**value, key: "changed"}) for key in value] + [(name, {**value, "more": "x"})]
        elif isinstance(value, tuple):
            found.append((name, value[:-1]))
        elif isinstance(value, bool) or value is None or isinstance(value, str):
            found.append((name, f"{value}x"))
        else:
            found.append((name, value + 1))
    return found


@pytest.mark.parametrize(("name", "value"), changes(MINI), ids=lambda one: one if isinstance(one, str) else "")
def test_every_field_of_the_protocol_is_in_the_fingerprint(name: str, value: Any) -> None:
    other = MINI.model_copy(update={name.split(".")[0]: value})
    assert other != MINI
    assert (other.fingerprint() == MINI.fingerprint()) == (name.split(".")[0] in OUTSIDE)


def test_the_fingerprint_is_a_function_of_the_protocol() -> None:
    assert (
        load_suite("mini").fingerprint() == MINI.fingerprint() == Suite.model_validate(MINI.model_dump()).fingerprint()
    )
    assert len(MINI.fingerprint()) == 64


def test_unknown_suites_are_named() -> None:
    assert suite_names() == ["mini", "vggsound", "vggsound-middle", "vggsound-paper", "vggsound-tiny"]
    with pytest.raises(UserError, match="unknown suite 'minni': did you mean 'mini'"):
        load_suite("minni")
    with pytest.raises(UserError):
        load_suite("../suites/mini")


def test_a_suite_file_with_a_mistake_names_the_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.suite.FOLDER", tmp_path)
    text = (Path(world.__file__).parents[1] / "suites" / "mini.toml").read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(text.replace("guidance = ", "guidence = "), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_suite("mine")
    assert sorted(problem.split(": ")[1] for problem in caught.value.problems) == [
        "generation.guidance",
        "generation.guidence",
    ]


def test_mini_is_the_world_it_names() -> None:
    assert MINI.data.revision == str(world.WORLD_VERSION)
    assert (MINI.data.rate, MINI.data.seconds) == (world.SAMPLE_RATE, world.SECONDS)
    assert MINI.backbone.resolution == world.PICTURE_SIZE and MINI.backbone.resize in RESIZE_MODES
    for split in ("train", "validation", "test"):
        assert split in world.SPLITS and getattr(MINI.data, split) % len(world.SLOTS) == 0
    assert MINI.data.test >= 400 and MINI.generation.prompt.count("{}") == 1
    assert MINI.data.source in DATASETS and MINI.backbone.source in BACKBONES


def test_mini_names_metrics_and_networks_that_exist() -> None:
    assert set(MINI.headline) <= set(MINI.metrics)
    for metric in MINI.metrics:
        definitions.get(metric)
    roles = MINI.scorers
    networks = {roles.image_audio_space, roles.audio, roles.image, roles.audio_label, *roles.features}
    for network in networks:
        assert network in MINI.weights and f"mini/{network}" in SCORERS
    for network in MINI.encoders:
        assert f"mini/{network}" in ENCODERS
    # What a method listens with is not what it is scored with.
    assert not set(MINI.encoders) & set(MINI.weights) and not set(MINI.encoders.values()) & set(MINI.weights.values())
    assert len({*MINI.weights.values()}) == len(MINI.weights)


def test_a_manifest_makes_a_suite_of_its_own(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    path = worlds.things(tmp_path_factory.getbasetemp())
    manifest = load_manifest(path)
    derived = MINI.with_manifest(manifest.name, manifest.identity, manifest.counts)
    assert (derived.name, derived.base, derived.data.train, derived.data.test) == ("mini+things", "mini", 18, 12)
    assert derived.data.manifest == manifest.identity and derived.fingerprint() != MINI.fingerprint()
    assert derived.generation == MINI.generation and derived.weights == MINI.weights
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    fewer = [[name, str(path.parent / a), str(path.parent / i), *rest] for name, a, i, *rest in rows]
    same = load_manifest(worlds.write_manifest(tmp_path / "things.csv", fewer))
    assert MINI.with_manifest(same.name, same.identity, same.counts).fingerprint() == derived.fingerprint()
    other = load_manifest(worlds.write_manifest(tmp_path / "things.csv", fewer[:-1]))
    assert MINI.with_manifest(other.name, other.identity, other.counts).fingerprint() != derived.fingerprint()


def test_a_sound_has_the_suites_length() -> None:
    short = Clip("a", np.arange(16_000, dtype=np.float32) / 16_000, None, ("x",), "test")
    sound = MINI.sound(short)
    assert sound.shape == (MINI.samples,) == (40_000,)
    np.testing.assert_array_equal(sound[16_000:32_000], sound[:16_000])
    long = Clip("b", np.arange(50_000, dtype=np.float32) / 50_000, None, ("x",), "test")
    np.testing.assert_array_equal(MINI.sound(long), long.waveform()[:40_000])
