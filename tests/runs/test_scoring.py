"""From pictures and clips to metric values: cached, independent of order, and never a number without a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import worlds
from worlds import NOISE, bench, method_file, things

from benchmark import suite
from benchmark.data.manifest import load_manifest
from benchmark.mini.world import LABELS
from benchmark.registries import SCORERS
from benchmark.runs import embeddings, scoring
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.runs.steps import generate
from benchmark.suite import load_suite
from benchmark.utils import sealed
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent

EVERYTHING = [
    "ais",
    "ais.winrate.inclusive",
    "ais.winrate.crossclass",
    "ais.winrate.sameclass",
    "ais.cosine",
    "ais.z",
    "ais.arccos",
    "iis",
    "iis.winrate.sameclass",
    "iis.cosine",
    "iis.z",
    "aic",
    "aic.prompted",
    "aic.r@2",
    "fd.clip",
    "kid.clip",
    "precision.clip",
    "recall.clip",
    "density.clip",
    "coverage.clip",
]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


def planned(base: Path, folder: Path, data: Path | None = None, body: str = NOISE) -> Run:
    """A run on `things` whose pictures are made."""
    method = method_file(folder, body)
    job = Run.of(RunRequest(suite="mini", method=method, data=data or things(base), runs=folder / "runs"), Silent())
    generate(job)
    return job


def computed(job: Run, wanted: list[str]) -> dict[str, Any]:
    return scoring.score(score_job(job), wanted, scoring.bind(job.plan.suite)).results


def score_job(job: Run) -> scoring.ScoreJob:
    images = job.plan.folder.image_paths(job.test.ids)
    return scoring.ScoreJob(job.plan.suite, job.test, images, job.plan.device, Silent())


def test_the_second_scoring_loads_no_network(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    job = planned(base, tmp_path)
    loaded = []
    get = SCORERS.get
    monkeypatch.setattr(SCORERS, "get", lambda name: loaded.append(name) or get(name))
    first = computed(job, [*EVERYTHING, "aic.audio"])
    assert sorted(loaded) == ["mini/classifier", "mini/clip", "mini/wav2clip"]

    def fail(name: str) -> None:
        raise AssertionError(f"{name} was loaded")

    monkeypatch.setattr(SCORERS, "get", fail)
    second = computed(job, [*EVERYTHING, "aic.audio"])
    for name, result in first.items():
        again = second[name]
        assert (result.value, result.low, result.high, result.reason) == (
            again.value,
            again.low,
            again.high,
            again.reason,
        )
        if result.per_clip is not None:
            np.testing.assert_array_equal(result.per_clip, again.per_clip)
    # Other pictures are other contents: they are not taken for these.
    with pytest.raises(AssertionError, match="mini/clip was loaded"):
        computed(planned(base, tmp_path / "other", body=worlds.GREY), ["iis"])


def test_blocks_change_no_score_and_an_interrupted_scoring_continues(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = planned(base, tmp_path)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "whole"))
    whole = computed(job, ["ais", "iis", "aic", "fd.clip"])
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "blocks"))
    monkeypatch.setattr(embeddings, "BLOCK", 5)
    save, left = sealed.save_atomic, [4]

    def dying(*given: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        save(*given)

    monkeypatch.setattr(sealed, "save_atomic", dying)
    with pytest.raises(KeyboardInterrupt):
        computed(job, ["ais"])
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "blocks").rglob("*.npy")}
    monkeypatch.setattr(sealed, "save_atomic", save)
    blocks = computed(job, ["ais", "iis", "aic", "fd.clip"])
    assert len(kept) == 4 and all(path.stat().st_mtime_ns == made for path, made in kept.items())
    for name, result in whole.items():
        assert blocks[name].value == pytest.approx(result.value, rel=1e-4), name


def test_no_score_depends_on_the_order_of_the_clips(base: Path, tmp_path: Path) -> None:
    folder = things(base).parent
    rows = [worlds.row(folder, "test", k) for k in worlds.TEST]
    rows = [(name, str(folder / a), str(folder / i), *rest) for name, a, i, *rest in rows]  # type: ignore[misc]
    order = np.random.default_rng(1).permutation(len(rows))
    results = []
    for number, positions in enumerate([range(len(rows)), order]):
        data = worlds.write_manifest(tmp_path / str(number) / "rows.csv", [rows[k] for k in positions])
        job = planned(base, tmp_path / str(number), data)
        results.append((job.test.ids, computed(job, EVERYTHING)))
    (ids, one), (other_ids, other) = results
    assert sorted(ids) == sorted(other_ids) and ids != other_ids
    place = [other_ids.index(clip) for clip in ids]
    for name, result in one.items():
        assert result.value is not None, (name, result.reason)
        assert other[name].value == pytest.approx(result.value, rel=1e-5, abs=1e-5), name
        if result.per_clip is not None:
            np.testing.assert_allclose(other[name].per_clip[place], result.per_clip, rtol=1e-5, atol=1e-5)
        # An interval draws clips by their place, so it moves by as much as another seed would move it.
        if result.low is not None and result.high > result.low:
            assert abs(other[name].low - result.low) < 0.5 * (result.high - result.low), name


@pytest.mark.parametrize("network", ["clip", "wav2clip", "classifier"])
def test_an_embedding_does_not_depend_on_its_neighbours(base: Path, network: str) -> None:
    clips = load_manifest(things(base)).test
    protocol = load_suite("mini")
    scorer: Any = SCORERS.get(f"mini/{network}")(protocol, "cpu")
    assert scorer.sha256 == protocol.weights[network]
    if network == "clip":
        contents, embed = [clip.picture() for clip in clips], scorer.embed_images
        texts = scorer.embed_texts(clips.labels)
        np.testing.assert_array_equal(scorer.embed_texts(clips.labels[3:5]), texts[3:5])
        assert texts.shape == (6, 128) and np.isfinite(texts).all()
    else:
        contents, embed = [protocol.sound(clip) for clip in clips], scorer.embed_audio
    together = embed(contents)
    assert together.shape == (12, len(LABELS) if network == "classifier" else 128)
    assert together.dtype == np.float32 and np.isfinite(together).all()
    np.testing.assert_allclose(embed(contents[::-1])[::-1], together, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(embed(contents[5:6]), together[5:6], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("network", ["wav2clip", "classifier"])
def test_silence_has_an_embedding(network: str) -> None:
    scorer: Any = SCORERS.get(f"mini/{network}")(load_suite("mini"), "cpu")
    assert np.isfinite(scorer.embed_audio([np.zeros(40_000, np.float32)])).all()


def test_each_null_has_its_reason(base: Path, tmp_path: Path) -> None:
    folder = things(base).parent
    rows = [worlds.row(folder, "test", k) for k in range(4)]
    rows = [(name, str(folder / a), str(folder / i), *rest) for name, a, i, *rest in rows]  # type: ignore[misc]
    data = worlds.write_manifest(tmp_path / "four.csv", rows)
    record = bench("run", "--method", "reference", "--data", data, "--json", runs=tmp_path).json
    metrics = record["metrics"]
    assert metrics["ais.winrate.sameclass"]["reason"] == "no class has two clips"
    assert "other labels" in metrics["aic.audio"]["reason"]
    for name in ("fid", "fd.clip"):
        assert metrics[name]["reason"] == scoring.SAME_FRAMES
    for value in metrics.values():
        assert (value["value"] is None) == (value["reason"] is not None)
        assert value["value"] is not None or (value["n"], value["low"], value["high"]) == (0, None, None)
    drawn = bench("run", "--method", method_file(tmp_path, NOISE), "--data", data, "--json", runs=tmp_path).json
    assert drawn["metrics"]["fd.clip"]["value"] > 0
    fid = drawn["metrics"]["fid"]
    assert (
        fid["reason"] == scoring.NO_INCEPTION
        if embeddings.find_inception(load_suite("mini")) is None
        else fid["value"] > 0
    )


def test_a_single_clip_has_no_rank(base: Path, tmp_path: Path) -> None:
    method = method_file(tmp_path, NOISE)
    command = ["run", "--method", method, "--data", things(base), "--limit", 1, "--json"]
    metrics = bench(*command, runs=tmp_path).json["metrics"]
    assert metrics["ais"]["reason"] == "needs at least two clips" and metrics["fd.clip"]["value"] is None
    assert metrics["aic"]["value"] in (0, 100)


def test_the_table_of_clips_is_what_the_values_are_means_of(base: Path) -> None:
    folder, record = worlds.finished(base, "reference")
    scores = pandas.read_parquet(folder / "scores.parquet")
    clips = load_manifest(things(base)).test
    assert scores["clip"].tolist() == list(clips.ids) and scores["label"].tolist() == [clip.label for clip in clips]
    columns = set(scores.columns) - {"clip", "label"}
    assert {"ais", "iis", "aic", "iis.winrate.sameclass"} <= columns
    for name in columns:
        assert scores[name].mean() == pytest.approx(record["metrics"][name]["value"])
        by_label = scores.groupby("label")[name].mean()
        assert record["per_class"][name] == pytest.approx(dict(by_label))
    assert record["metrics"]["iis"]["value"] == 100


def test_what_scores_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = load_suite("mini")

    def fail(name: str) -> None:
        raise AssertionError(f"{name} was loaded")

    monkeypatch.setattr(SCORERS, "get", fail)
    bound = scoring.bind(protocol)
    assert bound["audio"] == protocol.weights["wav2clip"] and bound["features.clip"] == protocol.weights["clip"]
    wanted = list(protocol.metrics)
    same = scoring.identity(wanted, bound)
    assert same == scoring.identity(wanted, scoring.bind(protocol))
    changed = protocol.model_copy(update={"weights": {**protocol.weights, "wav2clip": "0" * 64}})
    assert scoring.identity(wanted, scoring.bind(changed)) != same
    assert scoring.identity(wanted[:-1], bound) != same
    real = scoring.definition("aic")
    newer = type(real)(**{**real.__dict__, "version": real.version + 1})
    monkeypatch.setattr(scoring, "definition", lambda name: newer if name == "aic" else real)
    assert scoring.identity(["aic"], bound) != scoring.identity(["iis"], bound)


def test_an_unknown_metric_is_a_users_mistake() -> None:
    with pytest.raises(UserError, match="unknown metric 'aiss': did you mean 'ais'"):
        scoring.definition("aiss")


def test_each_metric_names_the_scorers_that_it_used(base: Path) -> None:
    _, record = worlds.finished(base, "reference")
    weights = suite.load_suite("mini").weights
    metrics = record["metrics"]
    assert metrics["iis"]["scorers"] == {"image": weights["clip"]}
    assert metrics["aic"]["scorers"] == {"image": weights["clip"]}
    assert metrics["aic.audio"]["scorers"] == {"image": weights["clip"], "audio_label": weights["classifier"]}
    assert set(metrics["fd.clip"]["scorers"]) == {"features.clip"}
