"""What surrounds a sound: levels are what the metadata says, and the clean rendering is the same clip without it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmark.mini.data import make_sound, metadata_of, scene_of
from benchmark.mini.sounds.blocks import SAMPLES, TIME
from benchmark.mini.sounds.scene import BEDS, CONTINUOUS, Scene, bed_of, gate, recorded, sample_scene
from benchmark.mini.world import LABELS, SAMPLE_RATE, SECONDS

PLAIN = Scene("", float("inf"), "", float("inf"), 0.0, SECONDS, 0.0, 0.0, SAMPLE_RATE / 2, 0.0, -6.0)
TONE = np.sin(2 * np.pi * 1000 * TIME)


def heard(scene: Scene, second: np.ndarray | None = None, clean: bool = False) -> np.ndarray:
    return recorded(scene, TONE, second, np.random.default_rng(0), clean).astype(np.float64)


def power_at(x: np.ndarray, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(x)) ** 2
    frequencies = np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE)
    return float(power[(frequencies >= low) & (frequencies <= high)].sum())


def test_form() -> None:
    for index in range(len(LABELS) + 1):
        x = make_sound("validation", index).astype(np.float64) / 32768
        assert x.shape == (40_000,) and np.isfinite(x).all() and abs(x[0]) < 1e-3 and abs(x[-1]) < 1e-3
        peak = 20 * np.log10(np.abs(x).max())
        assert peak == pytest.approx(scene_of("validation", index).level, abs=0.05)


@pytest.mark.parametrize("below", [0.0, 6.0, 15.0])
def test_a_second_source_is_as_far_below_as_it_says(below: float) -> None:
    x = heard(replace(PLAIN, second="owl hooting", second_below=below), 0.01 * np.sin(2 * np.pi * 3000 * TIME))
    found = 10 * np.log10(power_at(x, 990, 1010) / power_at(x, 2990, 3010))
    assert found == pytest.approx(below, abs=0.2)


@pytest.mark.parametrize("kind", BEDS)
def test_a_bed_is_as_far_below_as_it_says(kind: str) -> None:
    x = heard(replace(PLAIN, bed=kind, bed_below=10.0))
    tone = power_at(x, 995, 1005)
    everything = power_at(x, 0, SAMPLE_RATE / 2)
    # The microphone takes the lowest frequencies, of which wind and hum have some.
    assert 10 * np.log10(tone / (everything - tone)) == pytest.approx(10, abs=1.5)


def test_beds_differ() -> None:
    beds = {kind: bed_of(kind, np.random.default_rng(1)) for kind in BEDS}
    for bed in beds.values():
        assert np.sqrt(np.mean(bed**2)) == pytest.approx(1)
    low = {kind: power_at(bed, 0, 400) / power_at(bed, 0, 8000) for kind, bed in beds.items()}
    assert low["wind"] > 0.7 and low["hiss"] < 0.3


def test_a_part_of_the_clip() -> None:
    scene = replace(PLAIN, start=0.5, stop=2.0)
    envelope = gate(scene)
    assert envelope.max() == 1 and not envelope[: SAMPLE_RATE // 2].any() and not envelope[2 * SAMPLE_RATE + 1 :].any()
    x = heard(scene)
    assert np.abs(x[: SAMPLE_RATE // 2 - 100]).max() < 0.05 * np.abs(x).max()
    assert gate(PLAIN).min() == 1


def test_limits_of_the_band() -> None:
    noise = np.random.default_rng(0).standard_normal(SAMPLES)
    open_, shut = (
        recorded(scene, noise, None, np.random.default_rng(0), clean=False).astype(np.float64)
        for scene in (PLAIN, replace(PLAIN, lowest=300.0, highest=3000.0))
    )
    assert power_at(shut, 0, 150) / power_at(shut, 500, 2000) < 0.05 * power_at(open_, 0, 150) / power_at(
        open_, 500, 2000
    )
    assert power_at(shut, 5000, 8000) / power_at(shut, 500, 2000) < 0.01


def test_clean_is_the_same_clip_without_its_scene() -> None:
    rich = next(k for k in range(400) if (s := scene_of("test", k)).second and s.bed and s.lowest)
    scene = scene_of("test", rich)
    loud, clean = (make_sound("test", rich, clean=clean).astype(np.float64) for clean in (False, True))
    assert not np.array_equal(loud, clean)
    assert 20 * np.log10(np.abs(clean).max() / 32768) == pytest.approx(scene.level, abs=0.05)
    x, y = (heard(replace(scene, second="", bed="", start=0.0, stop=SECONDS), clean=c) for c in (False, True))
    assert not np.array_equal(x, y), "the room and the band are left out"
    bare = replace(scene, second="", bed="", start=0.0, stop=SECONDS, reverberation=0.0, lowest=0.0)
    assert np.abs(heard(bare) - heard(bare, clean=True)).max() < 0.01


def test_every_kind_of_scene_occurs_and_is_told() -> None:
    scenes = [scene_of("train", k) for k in range(1000)]
    share = {
        "second": np.mean([bool(s.second) for s in scenes]),
        "bed": np.mean([bool(s.bed) for s in scenes]),
        "band": np.mean([s.lowest > 0 for s in scenes]),
        "part": np.mean([s.stop - s.start < SECONDS for s in scenes]),
    }
    assert share["second"] == pytest.approx(0.4, abs=0.06) and share["bed"] == pytest.approx(0.7, abs=0.06)
    assert share["band"] == pytest.approx(0.3, abs=0.06) and 0.1 < share["part"] < 0.25
    assert set(Counter(s.bed for s in scenes)) == {"", *BEDS}
    told = metadata_of("train", next(k for k, s in enumerate(scenes) if s.second and s.bed))
    assert told["background"] in LABELS and -15 <= float(told["background_db"]) <= 0
    assert told["noise"] in BEDS and -25 <= float(told["noise_db"]) <= -5
    assert "background" not in metadata_of("train", next(k for k, s in enumerate(scenes) if not s.second))


def test_a_class_is_never_behind_itself_and_counted_events_are_never_cut() -> None:
    for label in ("dog barking", "raining"):
        others = tuple(other for other in LABELS if other != label)
        drawn = [sample_scene(label, others, np.random.default_rng(k)) for k in range(300)]
        assert all(scene.second != label for scene in drawn)
        assert any(scene.stop < SECONDS for scene in drawn) == (label in CONTINUOUS)
    assert set(LABELS) > CONTINUOUS
