"""Variations: what a method hears, what is scored, and which board, fit and folder a varied run has."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import worlds
from worlds import bench, method_file, things

from benchmark.cli.describe import _clip_count
from benchmark.clips import Clip, ClipSet
from benchmark.data.manifest import load_manifest
from benchmark.mini.data import make_picture, make_sound
from benchmark.mini.dataset import FAR, MiniData
from benchmark.mini.world import SLOTS, label_of
from benchmark.runs.plan import Plan
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.runs.variations import KINDS, Variation
from benchmark.suite import Suite, load_suite
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent
from benchmark.verification.protocol import stated_suite

# The grey of a picture is the level of the sound.
LEVEL = """
import numpy as np
levels = [np.sqrt(np.mean(np.square(self.run.suite.sound(clip)))) for clip in clips]
return [np.full((64, 64, 3), min(255, round(1000 * float(level))), np.uint8) for level in levels]
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("varied")


@pytest.fixture(scope="module")
def clips(base: Path) -> ClipSet:
    return load_manifest(things(base)).test


def small(**counts: int) -> Suite:
    suite = load_suite("mini")
    return suite.model_copy(update={"data": suite.data.model_copy(update=counts)})


def heard(clips: ClipSet, name: str) -> ClipSet:
    return Variation.parse(name).heard(clips, MiniData(), load_suite("mini"), Silent())


def sounds(clips: ClipSet) -> np.ndarray:
    suite = load_suite("mini")
    return np.stack([suite.sound(clip) for clip in clips]).astype(np.float64)


def power(waves: np.ndarray) -> np.ndarray:
    return np.square(waves).mean(axis=1)


def decibels(ratio: np.ndarray) -> np.ndarray:
    return 10 * np.log10(ratio)


# ------------------------------------------------------------------------------------------------------------- names


def test_names_are_read_back_and_equal_values_have_one_name() -> None:
    plain, valued = ("reversed", "silence", "white", "speech"), ("snr=-5", "snr=0", "mix=2.5", "cut=0.5")
    for name in (*plain, *valued, "fresh=4294967295", "clips=3744"):
        assert Variation.parse(name).name == name == Variation.parse(Variation.parse(name).name).name
    assert Variation.parse(" snr = -0.0").name == "snr=0" and Variation.parse("cut=.50").name == "cut=0.5"
    assert len({Variation.parse(f"snr={level}").identity for level in range(-5, 21)}) == 26


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("snrr=0", "unknown variation 'snrr': did you mean 'snr'"),
        ("snr", "write snr=VALUE, signal-to-noise ratio in dB: a number from -40 to 60"),
        ("snr=loud", "'snr=loud'"),
        ("snr=nan", "'snr=nan'"),
        ("snr=99", "from -40 to 60"),
        ("cut=1", "from 0.01 to 0.99"),
        ("fresh=1.5", "a whole number from 0 to 4294967295"),
        ("clips=0", "write clips=VALUE, number: a whole number from 1 to 100000"),
        ("reversed=2", "takes no value: write 'reversed'"),
    ],
)
def test_what_is_no_variation_is_one_line(name: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        Variation.parse(name)
    assert words in str(caught.value) and len(caught.value.problems) == 1


# ------------------------------------------------------------------------------------------------------------ sounds


@pytest.mark.parametrize("level", [-5.0, 0.0, 20.0])
def test_noise_has_the_level_that_its_name_says(clips: ClipSet, level: float) -> None:
    own, both = sounds(clips), sounds(heard(clips, f"snr={level}"))
    assert np.abs(both).max() <= 1.0
    # The sum may have been scaled as a whole to fit: the share of the own sound is found by projection.
    share = (own * both).sum(axis=1) / (own * own).sum(axis=1)
    noise = both - share[:, None] * own
    np.testing.assert_allclose(decibels(power(share[:, None] * own) / power(noise)), level, atol=0.3)


def test_two_sources_lie_apart_as_named_and_the_other_is_told(clips: ClipSet) -> None:
    own, mixed = sounds(clips), heard(clips, "mix=6")
    by_label = {label: [clip for clip in clips if clip.label == label] for label in clips.labels}
    suite = load_suite("mini")
    for wave, clip, one in zip(own, clips, mixed, strict=True):
        assert one.attributes["other"] != clip.label and one.attributes["other_db"] == -6
        rests = []
        for other in by_label[one.attributes["other"]]:
            second = suite.sound(other).astype(np.float64)
            pair = np.stack([wave, second], axis=1)
            gains, rest, *_ = np.linalg.lstsq(pair, suite.sound(one).astype(np.float64), rcond=None)
            rests.append((float(rest[0]), gains[0] ** 2 * np.mean(wave**2) / (gains[1] ** 2 * np.mean(second**2))))
        left, ratio = min(rests)
        assert left < 1e-6 and 10 * np.log10(ratio) == pytest.approx(6, abs=0.01)
    partners = [one.attributes["other"] for one in heard(clips, "mix=-3")]
    assert partners == [one.attributes["other"] for one in mixed], "the level moves nobody's partner"


def test_cut_reversed_and_nothing_to_hear(clips: ClipSet) -> None:
    own = sounds(clips)
    half = sounds(heard(clips, "cut=0.5"))
    middle = own.shape[1] // 2
    assert not half[:, middle:].any() and np.array_equal(half[:, : middle - 160], own[:, : middle - 160])
    assert np.array_equal(sounds(heard(clips, "reversed")), own[:, ::-1])
    assert not sounds(heard(clips, "silence")).any()
    for name in ("white", "speech"):
        instead = sounds(heard(clips, name))
        assert len({wave.tobytes() for wave in instead}) == len(clips), "a sound of each clip's own"
        np.testing.assert_allclose(np.sqrt(power(instead)), 0.1, rtol=0.1)
        assert np.abs((own * instead).mean(axis=1) / np.sqrt(power(own) * power(instead))).max() < 0.2


def test_only_the_sound_is_another_and_it_follows_from_the_id(clips: ClipSet) -> None:
    for name in [kind for kind, what in KINDS.items() if not what.own]:
        value = {"snr": "=0", "mix": "=0", "cut": "=0.5"}.get(name, "")
        first, again = heard(clips, name + value), heard(clips, name + value)
        assert first.identity == again.identity != clips.identity and first.labels == clips.labels
        few = ClipSet("few", clips[3:5], clips.labels)
        for clip, one, twin in zip(clips, first, again, strict=True):
            assert (clip.id, clip.labels, clip.split) == (one.id, one.labels, one.split)
            assert np.array_equal(np.asarray(clip.picture()), np.asarray(one.picture()))
            assert np.array_equal(one.waveform(), twin.waveform())
            assert len(one.waveform(8000)) == 20_000, "at any rate"
            with pytest.raises(UserError, match="holds no samples"):
                Clip.waveform(one)  # a method that goes round `waveform` hears nothing, not the answer
        if name != "mix":
            assert np.array_equal(sounds(heard(few, name + value)), sounds(first)[3:5])


def test_one_label_cannot_be_mixed(clips: ClipSet) -> None:
    alone = ClipSet("alone", tuple(clip for clip in clips if clip.label == clips.labels[0]), clips.labels)
    with pytest.raises(UserError, match="all clips of 'alone' have one label"):
        heard(alone, "mix=0")


# ---------------------------------------------------------------------------------------------------- the data set's


def test_the_world_makes_clean_and_fresh_clips(tmp_path: Path) -> None:
    count = len(SLOTS)
    suite = small(test=count)
    plain = MiniData().clips(suite, "test", tmp_path, Silent())
    clean = MiniData().vary(suite, "clean", None, tmp_path, Silent())
    assert clean.ids == plain.ids and clean.identity != plain.identity
    full_scale = np.float32(32768)
    for index in range(0, count, 5):
        assert np.array_equal(clean[index].waveform(), make_sound("test", index, clean=True) / full_scale)
        assert np.array_equal(np.asarray(clean[index].picture()), make_picture("test", index))
    seeds = {seed: MiniData().vary(suite, "fresh", seed, tmp_path, Silent()) for seed in (0, 7)}
    everything = {plain.identity, clean.identity, *(fresh.identity for fresh in seeds.values())}
    assert len(everything) == 4
    for seed, fresh in seeds.items():
        assert [clip.label for clip in fresh] == [clip.label for clip in plain] == [label_of(i) for i in range(count)]
        assert fresh.ids[0] == f"mini-fresh{seed}-00000" and not {*fresh.ids} & {*plain.ids}
        first = (seed + 1) * FAR
        assert np.array_equal(fresh[3].waveform(), make_sound("test", first + 3) / full_scale)
        assert np.array_equal(np.asarray(fresh[3].picture()), make_picture("test", first + 3))
        again = MiniData().vary(suite, "fresh", seed, tmp_path, Silent())
        assert again.identity == fresh.identity and np.array_equal(again[3].waveform(), fresh[3].waveform())
    contents = [clip.waveform().tobytes() for clips in (plain, *seeds.values()) for clip in clips]
    assert len({*contents}) == 3 * count


def test_more_clips_begin_with_the_suites_own(tmp_path: Path) -> None:
    count = len(SLOTS)
    suite = small(test=count)
    plain, more = MiniData().clips(suite, "test", tmp_path, Silent()), Variation("clips", count + 9.0)
    derived = more.of(suite)
    assert derived.data.test == count + 9 and derived.name == f"mini+clips={count + 9}"
    assert suite.data.test == count and derived.fingerprint() != suite.fingerprint()
    for asked in (suite, derived):
        made = MiniData().vary(asked, "clips", count + 9.0, tmp_path, Silent())
        assert len(made) == count + 9 and made.ids[:count] == plain.ids and made.identity != plain.identity
        assert made.ids[count] == f"mini-test-{count:05d}" and made[count].label == label_of(count)
        assert np.array_equal(made[3].waveform(), plain[3].waveform())
        assert np.array_equal(made[count].waveform(), make_sound("test", count) / np.float32(32768))
        assert np.array_equal(np.asarray(made[count].picture()), make_picture("test", count))
    fewer = MiniData().vary(suite, "clips", 5.0, tmp_path, Silent())
    assert fewer.ids == plain.ids[:5]


def test_a_run_of_more_clips_has_the_suites_images_and_can_be_verified(base: Path) -> None:
    found = {}  # of at least as many clips as there are classes: how many prompts are encoded together is rounding
    for name in ("clips=26", "clips=27"):
        result = bench("run", "--method", "sd-text", "--variation", name, "--no-report", "--json", runs=base)
        assert result.code == 0, result.err
        (folder,) = base.glob(f"mini+{name}-*/sd-text/*")
        listed = [path.stem for path in (folder / "images").glob("*.png")]
        assert result.json["clips"]["total"] == len(listed) == int(name.partition("=")[2])
        found[name] = {one: (folder / "images" / f"{one}.png").read_bytes() for one in sorted(listed)[:26]}
    assert bench("verify", folder, runs=base).code == 0
    assert found["clips=26"] == found["clips=27"], "an image depends on its clip alone"


def test_an_unfinished_run_of_more_clips_is_counted_against_its_own_number() -> None:
    facts = {"suite": "mini", "data": None, "limit": None}
    assert [_clip_count({**facts, "variation": name}) for name in ("clips=936", "fresh=1", None)] == [936, 468, 468]
    assert _clip_count({**facts, "variation": "clips=936", "limit": 9}) == 9


def test_other_clips_are_no_stress(base: Path) -> None:
    result = bench("stress", "reference", "--variation", "clips=27", "--variation", "fresh=1", runs=base)
    assert result.code == 2 and "clips=27 is other clips and no stress" in result.err and "fresh=1 is" in result.err


def test_a_record_of_more_clips_names_a_suite_that_is_known_without_them() -> None:
    def evidence(name: str, fingerprint: str) -> Any:
        suite = SimpleNamespace(name=name, fingerprint=fingerprint)
        return SimpleNamespace(record=SimpleNamespace(suite=suite), plan={})

    derived = Variation.parse("clips=936").of(load_suite("mini"))
    known = stated_suite(evidence(derived.name, derived.fingerprint()))
    assert known == derived and known.data.test == 936
    assert stated_suite(evidence(derived.name, "f" * 64)) is None, "a manifest may be called so"
    assert stated_suite(evidence("mini", "f" * 64)) == load_suite("mini")


def test_a_manifest_makes_no_other_clips(base: Path) -> None:
    for name in ("clean", "fresh=1", "clips=9"):
        result = bench("run", "--method", "reference", "--data", things(base), "--variation", name, runs=base)
        assert result.code == 2
        assert f"variation {name!r}: only a data set that generates its clips can make it" in result.err


# -------------------------------------------------------------------------------------------------------------- plans


def plan(base: Path, **asked: Any) -> Plan:
    return Plan.of(RunRequest(**{"method": "audiotoken", "runs": base, **asked}), Silent())


def test_the_fit_is_that_of_the_unchanged_suite(base: Path) -> None:
    for asked in ({}, {"data": things(base)}):
        plain, varied = plan(base, **asked), plan(base, variation="snr=0", **asked)
        assert varied.suite.name == f"{plain.suite.name}+snr=0"
        assert varied.suite.fingerprint() != plain.suite.fingerprint()
        assert varied.fit_folder is not None and plain.fit_folder is not None
        assert (varied.fit_identity, varied.fit_folder.path) == (plain.fit_identity, plain.fit_folder.path)
        assert varied.train_data is (varied.manifest or plain.train_data)
        assert varied.identity != plain.identity and varied.folder.path != plain.folder.path
        assert len({plan(base, variation=name, **asked).identity for name in ("snr=0", "snr=5", "white")}) == 3


def test_suites_without_a_variation_keep_their_fingerprint() -> None:
    suite = load_suite("mini")
    assert "variation" not in suite.model_dump(mode="json", exclude_none=True)["data"]
    assert suite.with_variation("snr=0", "snr=0@1").fingerprint() != suite.with_variation("snr=0", "x").fingerprint()
    with pytest.raises(UserError, match="or --variation for changed ones"):
        load_suite("mini+snr=0")


def test_the_method_hears_the_change_and_scorers_the_sound(base: Path) -> None:
    request = RunRequest(method="reference", data=things(base), variation="mix=0", limit=5, runs=base)
    job = Run.of(request, Silent())
    unlimited = Run.of(RunRequest(method="reference", data=things(base), variation="mix=0", runs=base), Silent())
    assert job.heard.ids == job.test.ids and len(job.heard) == 5
    plain = load_manifest(things(base)).test.limit(5)
    assert np.array_equal(sounds(job.test), sounds(plain))
    assert not np.array_equal(sounds(job.heard), sounds(plain))
    by_id = dict(zip(unlimited.heard.ids, sounds(unlimited.heard), strict=True))
    assert all(np.array_equal(by_id[clip.id], load_suite("mini").sound(clip)) for clip in job.heard)


# --------------------------------------------------------------------------------------------------------- whole runs


def test_a_varied_run_has_a_board_of_its_own(base: Path, tmp_path: Path) -> None:
    method = method_file(tmp_path, LEVEL)
    made = {}
    for name in (None, "snr=0", "silence"):
        told = [] if name is None else ["--variation", name]
        result = bench("run", "--method", method, "--data", things(base), *told, "--json", runs=tmp_path)
        assert result.code == 0, result.err
        made[name] = result.json
    names = {name: record["suite"]["name"] for name, record in made.items()}
    assert names == {None: "mini+things", "snr=0": "mini+things+snr=0", "silence": "mini+things+silence"}
    assert len({record["suite"]["fingerprint"] for record in made.values()}) == 3
    folders = {
        json.loads((path.parent / "plan.json").read_text())["variation"]: path.parent
        for path in tmp_path.glob("mini*/*/*/record.json")
    }
    assert folders.keys() == made.keys()
    pixels = {name: list(worlds.pictures(folder).values()) for name, folder in folders.items()}
    assert len({*pixels["silence"]}) == 1 and len({*pixels[None]}) > 6, "silence is heard"
    # The scorers heard the sound itself, and no clip counts as silent.
    assert made["silence"]["clips"]["silent"] == made[None]["clips"]["silent"] == 0
    table = bench("table", "--suite", "mini+things+snr=0", "--json", runs=tmp_path)
    assert table.code == 0 and [row["method"] for row in table.json] == ["plain"]
    nothing = bench("table", "--suite", "mini+other+snr=5", runs=tmp_path)
    assert "bench run --suite mini --data FILE.csv --variation snr=5 --method NAME" in nothing.out
    shown = bench("show", folders["snr=0"], "--json", runs=tmp_path)
    assert shown.json["suite"]["name"] == "mini+things+snr=0"
    for name, folder in folders.items():
        again = bench("score", folder, "--trust-method", "--json", runs=tmp_path)
        assert again.code == 0 and again.json == made[name]
        verified = bench("verify", folder, "--data", things(base), runs=tmp_path)
        assert verified.code == 0, verified.out + verified.err
    reproduced = bench(
        "reproduce", folders["snr=0"], "--data", things(base), "--method", method, "--json", runs=tmp_path
    )
    assert reproduced.code == 0, reproduced.out + reproduced.err


def test_a_manifest_may_be_called_as_a_variation_is(base: Path, tmp_path: Path) -> None:
    source = things(base)
    rows = [worlds.row(source.parent, "test", index) for index in range(4)]
    path = worlds.write_manifest(tmp_path / "silence.csv", [
        (name, str(source.parent / sound), str(source.parent / frame), label, split)
        for name, sound, frame, label, split in rows
    ])  # fmt: skip
    result = bench("run", "--method", method_file(tmp_path, LEVEL), "--data", path, "--json", runs=tmp_path)
    assert result.code == 0 and result.json["suite"]["name"] == "mini+silence"
    (folder,) = (found.parent for found in tmp_path.glob("mini*/*/*/record.json"))
    verified = bench("verify", folder, "--data", path, runs=tmp_path)
    assert verified.code == 0, verified.out + verified.err


def test_variations_are_listed() -> None:
    rows = bench("list", "variations", "--json").json
    assert [row["name"].partition("=")[0] for row in rows] == [*KINDS]
    valued = {f"{kind}=VALUE" for kind in ("snr", "mix", "cut", "fresh", "clips")}
    assert {row["name"] for row in rows if row["value"]} == valued
