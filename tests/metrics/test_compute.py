from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metrics import similarity
from metrics.compute import MetricInputs, compute
from metrics.definitions import definitions, get
from metrics.probe import Probe

FIXED = [one.id for one in definitions() if "<" not in one.id and one.id != "aic.r@k"]
OPEN = ["aic.r@1", "aic.r@3", "fd.clip", "fd.inception", "kid.clip", "precision.clip", "coverage.dino-v2.b"]


def inputs(clips: int = 40, images: int = 2, kinds: int = 5, seed: int = 0, **changes) -> MetricInputs:
    rng = np.random.default_rng(seed)
    labels = np.arange(clips) % kinds
    owner = np.arange(clips).repeat(images)
    audio, reference, text = rng.normal(size=(clips, 12)), rng.normal(size=(clips, 16)), rng.normal(size=(kinds, 16))
    reference = reference + 2 * text[labels]
    drawn = reference[owner] + rng.normal(size=(len(owner), 16))
    extractors = ("inception", "clip", "dino-v2.b")
    given = {
        "image_audio_space": audio[owner] + rng.normal(size=(len(owner), 12)),
        "audio": audio,
        "image": drawn,
        "reference": reference,
        "text": text,
        "text_prompted": text + 0.1,
        "image_features": dict.fromkeys(extractors, drawn),
        "reference_features": dict.fromkeys(extractors, reference),
        "training_features": dict.fromkeys(extractors, rng.normal(size=(60, 16)) + 2 * text[np.arange(60) % kinds]),
        "owner": owner,
        "classes": labels,
        "audio_label": labels,
        "visible": [{int(label)} for label in labels],
        "ratings": rng.uniform(1, 5, clips),
        "clip_ids": [f"clip{i}" for i in range(clips)],
        "probes": dict.fromkeys(
            ("voice.identity", "voice.cue"),
            Probe(names=list(map(str, range(kinds))), features=reference, targets=labels, wanted=labels),
        ),
    }
    return MetricInputs(**(given | changes))


def test_every_metric_has_a_value_within_its_bounds_and_interval():
    results = compute(FIXED + OPEN, inputs(), resamples=200)
    assert list(results) == FIXED + OPEN
    for metric, result in results.items():
        low, high = get(metric).bounds
        assert result.reason is None and np.isfinite(result.value), metric
        assert (low is None or result.value >= low) and (high is None or result.value <= high), metric
        assert result.low <= result.value <= result.high, metric
        assert result.failed == 0 and result.n in (40, 80) and result.unit == get(metric).unit
        if result.per_clip is not None:
            assert result.value == pytest.approx(np.nanmean(result.per_clip))
            assert set(result.per_class) == set(range(5))


def test_rates_are_percents_of_the_functions():
    i = inputs()
    result = compute(["ais"], i)["ais"]
    assert result.value == pytest.approx(100 * similarity.winrate(i.image_audio_space, i.audio, i.owner).mean())
    classes = np.asarray(i.classes)
    assert result.per_class[2] == pytest.approx(result.per_clip[classes == 2].mean())


def test_aliases_share_one_computation(monkeypatch):
    calls = []
    family = similarity.family
    monkeypatch.setattr(similarity, "family", lambda *a, **k: calls.append(1) or family(*a, **k))
    results = compute([m for m in FIXED if m.startswith("ais")], inputs())
    assert len(calls) == 1
    assert results["ais"] is results["ais.winrate"]
    sets = compute(["fid", "fd.inception", "kid", "kid.inception"], inputs())
    assert sets["fid"] is sets["fd.inception"] and sets["kid"] is sets["kid.inception"]


def test_one_image_for_all_is_exactly_at_chance():
    i = inputs()
    one = replace(
        i,
        image_audio_space=np.repeat(np.asarray(i.image_audio_space)[:1], 80, axis=0),
        image=np.repeat(np.asarray(i.image)[:1], 80, axis=0),
    )
    results = compute(["ais", "iis", "ais.winrate.sameclass", "iis.winrate.sameclass", "ais.z", "aic"], one)
    for metric in ("ais", "iis", "ais.winrate.sameclass", "iis.winrate.sameclass"):
        assert results[metric].value == 50.0 == results[metric].chance
    assert results["aic"].value == 20.0 == results["aic"].chance
    assert results["ais.z"].value is None and "equally similar" in results["ais.z"].reason


def test_perfect_images_get_100():
    i = inputs()
    perfect = replace(i, image_audio_space=np.asarray(i.audio)[i.owner], image=np.asarray(i.reference)[i.owner])
    for metric, result in compute(["ais", "iis", "ais.winrate.sameclass", "iis.winrate.crossclass"], perfect).items():
        assert (result.value, result.low, result.high) == (100.0, 100.0, 100.0), metric


def test_order_of_images_does_not_matter():
    i = inputs()
    order = np.random.default_rng(0).permutation(80)
    shuffled = replace(
        i,
        owner=np.asarray(i.owner)[order],
        image=np.asarray(i.image)[order],
        image_audio_space=np.asarray(i.image_audio_space)[order],
        image_features={name: rows[order] for name, rows in i.image_features.items()},
    )
    a, b = compute(FIXED, i, resamples=100), compute(FIXED, shuffled, resamples=100)
    for metric in FIXED:
        assert b[metric].value == pytest.approx(a[metric].value, rel=1e-9)
        assert b[metric].low == pytest.approx(a[metric].low, rel=1e-9), metric


@pytest.mark.parametrize("metric", FIXED)
def test_a_missing_input_has_its_reason(metric):
    need = get(metric).needs[-1].partition(".")[0]
    empty = {} if need.endswith(("features", "probes")) else None
    result = compute([metric], inputs(**{need: empty, "reasons": {need: "weights are not there"}}))[metric]
    assert (result.value, result.low, result.high, result.n) == (None, None, None, 0)
    assert result.reason == "weights are not there"
    assert need in compute([metric], inputs(**{need: empty}))[metric].reason


def test_a_metric_can_be_declared_not_to_apply():
    result = compute(["fid", "fd.clip"], inputs(reasons={"fid": "the images are the true frames"}))
    assert result["fid"].value is None and result["fid"].reason == "the images are the true frames"
    assert result["fd.clip"].value is not None


def test_no_inputs_at_all():
    results = compute(FIXED, MetricInputs())
    assert all(result.value is None and result.reason for result in results.values())


def test_what_is_not_finite_has_a_reason_and_no_value():
    i = inputs()
    broken = np.asarray(i.image).copy()
    broken[3, 2] = np.nan
    bad = replace(i, image=broken, image_features={"inception": broken})
    results = compute(["ais", "iis", "aic", "fid", "kid", "density"], bad)
    assert results["ais"].value is not None
    for metric in ("iis", "aic", "fid", "kid", "density"):
        assert results[metric].value is None and "row 3 is not finite" in results[metric].reason, metric


def test_failed_clips_are_counted_and_scored_ones_are_n():
    i = inputs()
    kept = np.flatnonzero(~np.isin(i.owner, [4, 9]))
    part = replace(
        i,
        owner=np.asarray(i.owner)[kept],
        image=np.asarray(i.image)[kept],
        image_audio_space=np.asarray(i.image_audio_space)[kept],
        image_features={name: rows[kept] for name, rows in i.image_features.items()},
    )
    results = compute(["ais", "aic", "fid"], part)
    assert [(r.n, r.failed) for r in results.values()] == [(38, 2), (38, 2), (76, 2)]
    assert np.isnan(results["ais"].per_clip[[4, 9]]).all()
    nothing = replace(
        i,
        owner=np.arange(0),
        image=np.empty((0, 16)),
        image_audio_space=np.empty((0, 12)),
        image_features={"inception": np.empty((0, 16))},
    )
    for result in compute(["ais", "aic", "fid", "precision"], nothing).values():
        assert result.value is None and result.reason and result.failed == 40


def test_a_class_of_one_clip_is_left_out_not_scored():
    labels = np.array([0] * 10 + [1] + [2] * 29)
    result = compute(["ais.winrate.sameclass"], inputs(classes=labels))["ais.winrate.sameclass"]
    assert result.n == 39 and result.failed == 0 and np.isnan(result.per_clip[10]) and set(result.per_class) == {0, 2}
    none = compute(["ais.winrate.sameclass"], inputs(classes=np.arange(40)))["ais.winrate.sameclass"]
    assert none.value is None and none.reason == "no class has two clips" and none.failed == 0


def test_chance_levels():
    chance = {metric: result.chance for metric, result in compute(FIXED + OPEN, inputs()).items()}
    assert {chance[m] for m in FIXED if "winrate" in m} == {50.0} and chance["ais.z"] == 0.0
    assert chance["aic"] == chance["aic.prompted"] == chance["aic.audio"] == chance["aic.visible"] == 20.0
    assert chance["aic.r@3"] == pytest.approx(60.0) and chance["fid"] is None and chance["ais.cosine"] is None


def test_visible_counts_clips_that_were_annotated():
    seen = [{0, 1, 2, 3, 4}] * 10 + [set()] * 30
    result = compute(["aic.visible"], inputs(visible=seen))["aic.visible"]
    assert result.value == 100.0 == result.chance and result.n == 10


def test_more_than_all_classes_is_no_metric():
    result = compute(["aic.r@9"], inputs())["aic.r@9"]
    assert result.value is None and "best 9 of 5 classes" in result.reason


def test_intervals_are_seeded():
    ids, i = ["ais", "fid", "kid", "density"], inputs()
    one, two, other = compute(ids, i), compute(ids, i), compute(ids, i, seed=1)
    for metric in ids:
        assert (one[metric].low, one[metric].high) == (two[metric].low, two[metric].high)
        assert one[metric].low != other[metric].low and one[metric].value == other[metric].value
    assert compute(["ais"], i, resamples=0)["ais"].low is None


def test_sets_of_different_size():
    i = inputs()
    real = np.random.default_rng(0).normal(size=(70, 16))
    results = compute(["fid", "recall", "precision"], replace(i, reference_features={"inception": real}))
    assert all(result.low <= result.value <= result.high for result in results.values())
    assert results["recall"].per_clip is None and results["precision"].per_clip is not None


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="number of clips: .*classes 40.*audio 3"):
        inputs(audio=np.ones((3, 12)))
    with pytest.raises(ValueError, match="number of images"):
        inputs(image=np.ones((3, 16)))
    with pytest.raises(ValueError, match="80 images of 40 clips: give `owner`"):
        inputs(owner=None)
    with pytest.raises(ValueError, match="owner: entry 0 is 40"):
        inputs(owner=np.full(80, 40))
    assert inputs(images=1, owner=None).owners().tolist() == list(range(40))


@pytest.mark.parametrize(
    ("wrong", "near"), [("ais.winrat", "ais.winrate"), ("fidd", "fid"), ("aic.r@0", "aic.r@k"), ("fd", "fid")]
)
def test_an_unknown_metric_names_its_neighbours(wrong, near):
    with pytest.raises(ValueError, match=f"unknown metric '{wrong}'.*{near}"):
        get(wrong)


@pytest.mark.parametrize("name", ["aic.r@k", "fd.<extractor>", "fd.", "ais.", "", "ais.winrate.other"])
def test_a_pattern_is_no_metric(name):
    with pytest.raises(ValueError, match="unknown metric"):
        get(name)


def test_the_catalogue_is_complete():
    for one in definitions():
        assert one.id and one.title and one.definition and one.source and one.version >= 1
        assert one.direction == ("down" if one.id.partition(".")[0] in ("fid", "fd", "kid") else "up")
        fields = {need.partition(".")[0] for need in one.needs}
        assert fields and fields <= set(MetricInputs.__dataclass_fields__)
    assert len({one.id for one in definitions()}) == len(definitions())
    assert get("fid").needs == ("image_features.inception", "reference_features.inception")
    assert get("fd.clip").id == "fd.clip" and "clip" in get("fd.clip").title
    assert get("aic.r@5").chance_level(None) is None


def test_every_metric_is_explained(root):
    """docs/metrics.md has a heading or a row for each, with what it cannot see after it."""
    text = (root / "docs" / "metrics.md").read_text(encoding="utf-8")
    explained = text[text.index("## AIS and IIS") :]
    for one in definitions():
        name = one.id.replace("iis", "ais")
        place = explained.index(f"`{name if name == 'fd.<extractor>' else name.removesuffix('.<extractor>')}`")
        assert "*Cannot see:*" in explained[place:], one.id
