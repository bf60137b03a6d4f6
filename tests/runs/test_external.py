"""Pictures made elsewhere become a record, or are refused with everything that is wrong with them."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worlds
from PIL import Image
from worlds import bench, things

from benchmark import suite
from benchmark.data.manifest import load_manifest
from benchmark.media.images import load_image
from benchmark.records.record import RunRecord
from benchmark.runs.external import find_images
from benchmark.utils.errors import UserError

IDS = ("a", "a_0", "bé")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.fixture(scope="session")
def clip_ids(base: Path) -> tuple[str, ...]:
    return load_manifest(things(base)).test.ids


def draw(folder: Path, names: Sequence[str], seed: int = 0) -> Path:
    """A picture of noise for each name."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, name in enumerate(names):
        pixels = np.random.default_rng([seed, place]).integers(0, 256, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def stored(runs: Path) -> list[Path]:
    return sorted(runs.glob("*/*/*/record.json"))


# --------------------------------------------------------------------------------------------------- which is which


@pytest.mark.parametrize(
    ("names", "per_clip"),
    [
        (["a", "a_0", "bé"], 1),
        (["a_0", "a_0_0", "bé_0"], 1),
        (["a_0", "a_1", "a_0_0", "a_0_1", "bé_0", "bé_1"], 2),
    ],
)
def test_pictures_are_told_apart_by_their_names(tmp_path: Path, names: list[str], per_clip: int) -> None:
    found = find_images(draw(tmp_path, names), IDS, "mini")
    numbered = len(names) > 3 or names[0] == "a_0"
    assert found.per_clip == per_clip and len(found.files) == len(names)
    for (clip, k), path in found.files.items():
        assert path.stem == (f"{clip}_{k}" if numbered else clip)


def test_names_of_another_unicode_composition_are_the_same(tmp_path: Path) -> None:
    draw(tmp_path, [unicodedata.normalize("NFD", name) for name in IDS])
    assert {clip for clip, _ in find_images(tmp_path, IDS, "mini").files} == set(IDS)


def test_what_is_beyond_a_limit_or_hidden_is_passed_over(tmp_path: Path) -> None:
    draw(tmp_path, [*IDS, ".thumbnail"])
    found = find_images(tmp_path, IDS[:1], "mini", IDS)
    assert list(found.files) == [("a", 0)]


def test_the_hash_is_of_the_pixels(tmp_path: Path) -> None:
    one, other = draw(tmp_path / "one", IDS), draw(tmp_path / "other", IDS)
    hashes = [find_images(folder, IDS, "mini").sha256 for folder in (one, other)]
    for path in other.iterdir():
        Image.open(path).convert("RGBA").save(path, compress_level=0)
    assert find_images(other, IDS, "mini").sha256 == hashes[0] == hashes[1]
    shutil.copy(one / "a.png", one / "bé.png")
    assert find_images(one, IDS, "mini").sha256 != hashes[0]
    numbered = draw(tmp_path / "numbered", [f"{clip}_{k}" for clip in IDS for k in range(2)])
    before = find_images(numbered, IDS, "mini").sha256
    shutil.move(numbered / "a_0.png", tmp_path / "x.png")
    shutil.move(numbered / "a_1.png", numbered / "a_0.png")
    shutil.move(tmp_path / "x.png", numbered / "a_1.png")
    assert find_images(numbered, IDS, "mini").sha256 != before


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    draw(tmp_path, ["a", "a_0_0", "stranger"])
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "thumbs").mkdir()
    with pytest.raises(UserError) as caught:
        find_images(tmp_path, IDS, "mini")
    lines = caught.value.problems
    assert len(lines) == 7 and all("\n" not in line for line in lines)
    for words in (
        ["a_0_0.png", "numbered unlike the others"],
        ["stranger.png", "no test clip of 'mini'"],
        ["notes.txt"],
        ["thumbs"],
        ["a_0.png is missing"],
        ["bé.png is missing"],
        ["a.png", "cannot be decoded"],
    ):
        assert [line for line in lines if all(word in line for word in words)], words


def test_every_clip_has_as_many_pictures(tmp_path: Path) -> None:
    draw(tmp_path, ["x_0", "x_1", "y_0", "y_1", "z_0", "z_2"])
    with pytest.raises(UserError) as caught:
        find_images(tmp_path, ("x", "y", "z"), "mini")
    assert sorted(line.rpartition("/")[2].split()[0] for line in caught.value.problems) == ["z_1.png", "z_2.png:"]


def test_a_picture_of_one_pixel_is_none(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(draw(tmp_path, IDS) / "a.png")
    with pytest.raises(UserError, match="1 x 1") as caught:
        find_images(tmp_path, IDS, "mini")
    assert len(caught.value.problems) == 1


# --------------------------------------------------------------------------------------------------------- to a row


def test_a_folder_of_pictures_becomes_a_row(base: Path, clip_ids: tuple[str, ...], tmp_path: Path) -> None:
    folder, runs = draw(tmp_path / "mine", clip_ids), tmp_path / "runs"
    Image.new("RGBA", (300, 20), (9, 8, 7, 100)).save(folder / f"{clip_ids[0]}.png")
    Image.fromarray(np.full((9, 9), 30_000, np.uint16)).save(folder / f"{clip_ids[1]}.png")
    done = bench("score", folder, "--data", things(base), "--json", runs=runs)
    assert done.code == 0, done.err
    record = done.json
    assert record["status"] == "complete" and record["seed"] is record["limit"] is None
    assert record["method"]["name"] == "mine" and record["method"]["card"]["sees"] == ["unknown"]
    assert record["method"]["card"]["summary"] == "pictures made elsewhere"
    assert record["metrics"]["ais"]["n"] == 12 and record["metrics"]["fd.clip"]["value"] > 0
    (row,) = bench("table", "--data", things(base), "--json", runs=runs).json
    assert (row["method"], row["where"]) == ("mine", "runs")
    assert row["rank"] is None, "nobody says what they saw"

    (path,) = stored(runs)
    kept = load_image(path.parent / "images" / f"{clip_ids[0]}.png")
    assert kept.size == (300, 20) and kept == load_image(folder / f"{clip_ids[0]}.png")
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*")}
    again = bench("score", folder, "--data", things(base), "--json", runs=runs)
    assert again.json == record and {path: path.stat().st_mtime_ns for path in runs.rglob("*")} == before

    # an image that was taken in and is damaged since, and one that is gone
    one, other = (path.parent / "images" / f"{clip}.png" for clip in clip_ids[:2])
    written = one.read_bytes(), other.read_bytes()
    one.write_bytes(written[0][:50])
    other.unlink()
    mended = bench("score", folder, "--data", things(base), "--json", runs=runs)
    assert mended.json["metrics"] == record["metrics"] and (one.read_bytes(), other.read_bytes()) == written
    assert mended.err.count("made anew") == 1 and one.name in mended.err and "and 1 more" in mended.err

    # without the folder that they came from
    shutil.move(folder, tmp_path / "away")
    more = bench("score", path.parent, "--metric", "aic.r@3", "--json")
    assert more.code == 0 and more.json["metrics"]["aic.r@3"]["value"] is not None
    assert more.json["identity"] == record["identity"] and more.json["method"] == record["method"]

    # other pictures are another run, and the first is kept
    draw(tmp_path / "away", clip_ids[:1], seed=1)
    other = bench(
        "score",
        tmp_path / "away",
        "--name",
        "mine",
        "--sees",
        "audio",
        "--sees",
        "label list",
        "--data",
        things(base),
        "--json",
        runs=runs,
    )
    assert other.code == 0 and other.json["identity"] != record["identity"]
    assert other.json["method"]["card"]["sees"] == ["audio", "label list"]
    assert len(stored(runs)) == 2 and len(bench("table", "--data", things(base), "--json", runs=runs).json) == 2


def test_several_pictures_of_a_clip_count_once(base: Path, clip_ids: tuple[str, ...], tmp_path: Path) -> None:
    single, double = draw(tmp_path / "single", clip_ids), tmp_path / "double"
    double.mkdir()
    for clip in clip_ids:
        for k in range(2):
            shutil.copy(single / f"{clip}.png", double / f"{clip}_{k}.png")
    one, two = (
        bench("score", folder, "--data", things(base), "--json", runs=tmp_path / "runs").json
        for folder in (single, double)
    )
    assert two["method"]["settings"]["images_per_clip"] == 2
    for name in ("ais", "iis", "aic"):
        for key in ("value", "low", "high", "n"):
            assert two["metrics"][name][key] == pytest.approx(one["metrics"][name][key]), (name, key)


def test_what_is_exported_can_be_scored(base: Path, tmp_path: Path) -> None:
    """The true frames, taken the long way round, score as `reference` does."""
    exported = bench("export", "-o", tmp_path / "clips", "--data", things(base), "--frames", "--labels", "--json")
    assert exported.code == 0 and exported.json == {"manifest": str(tmp_path / "clips" / "manifest.csv")}
    again, original = load_manifest(tmp_path / "clips" / "manifest.csv").test, load_manifest(things(base)).test
    assert again.ids == original.ids and again.labels == original.labels
    mini = suite.load_suite("mini")
    for one, other in zip(again, original, strict=True):
        assert np.array_equal(mini.sound(one), mini.sound(other)) and one.picture() == other.picture()
    record = bench(
        "score",
        tmp_path / "clips" / "frames",
        "--name",
        "frames",
        "--data",
        things(base),
        "--json",
        runs=tmp_path / "runs",
    ).json
    _, reference = worlds.finished(base, "reference")
    for name in ("ais", "iis", "aic"):
        assert record["metrics"][name]["value"] == reference["metrics"][name]["value"], name


def test_what_must_not_be_seen_is_not_exported(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    assert bench("export", "-o", folder, "--limit", 3, "--split", "train", "--data", things(base)).code == 0
    lines = (folder / "manifest.csv").read_text().splitlines()
    assert lines[0] == "id,audio,split" and lines[1] == "train-00,train-00.wav,train" and len(lines) == 4
    assert sorted(path.suffix for path in folder.rglob("*")) == [".csv", ".json", ".wav", ".wav", ".wav"]
    said = (folder / "croissant.json").read_text()
    labels = {row.split(",")[3] for row in things(base).read_text().splitlines()[1:]}
    assert not any(label in said for label in labels) and ".png" not in said
    again = bench("export", "-o", folder, "--data", things(base))
    assert again.code == 2 and str(folder) in again.err and len(list(folder.iterdir())) == 5
    none = bench("export", "-o", tmp_path / "x", "--split", "validation", "--data", things(base))
    assert none.code == 2 and "validation" in none.err and not (tmp_path / "x").exists()


def test_a_limit_needs_only_its_clips(base: Path, clip_ids: tuple[str, ...], tmp_path: Path) -> None:
    record = bench(
        "score",
        draw(tmp_path / "mine", clip_ids[:4]),
        "--limit",
        3,
        "--data",
        things(base),
        "--json",
        runs=tmp_path / "runs",
    ).json
    assert record["limit"] == record["metrics"]["ais"]["n"] == 3


def test_they_are_published_like_any_other(base: Path, clip_ids: tuple[str, ...], tmp_path: Path) -> None:
    assert bench("score", draw(tmp_path / "mine", clip_ids), "--data", things(base), runs=tmp_path / "runs").code == 0
    (path,) = stored(tmp_path / "runs")
    marker = path.parent / "steps" / "score.json"
    former = {key: value for key, value in json.loads(marker.read_text()).items() if key not in ("sums", "checksum")}
    marker.write_text(json.dumps(former))  # with checksums the edits below would be found
    record: Any = json.loads(path.read_text())
    (taken_in,), (scored,) = record["provenance"]["generate"], record["provenance"]["score"]
    scored |= {"commit": "c" * 40, "dirty": False}
    taken_in |= {"commit": "b" * 40, "dirty": True}
    path.write_text(json.dumps(record))
    refused = bench("publish", path.parent, "--results", tmp_path / "results")
    assert refused.code == 2 and "uncommitted changes" in refused.err
    taken_in["dirty"] = False
    path.write_text(json.dumps(record))
    assert bench("publish", path.parent, "--results", tmp_path / "results").code == 0
    (copy,) = [path for path in (tmp_path / "results").rglob("mine-*.json") if "images" not in path.name]
    assert RunRecord.load(copy).method.name == "mine"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--name", "audiotoken"], ["'audiotoken'", "installed method"]),
        (["--name", "a/b"], ["'a/b'", "slash"]),
        (["--sees", "hearing"], ["'hearing'", "audio"]),
        (["--seed", "1"], ["--seed", "--name"]),
        (["--set", "a=1"], ["--set"]),
        (["--method", "audiotoken"], ["one of them"]),
        ([], ["no file in it", "test-00.png"]),
    ],
)
def test_wrong_use_writes_nothing(base: Path, tmp_path: Path, more: list[str], words: list[str]) -> None:
    folder = draw(tmp_path / "mine", ["x", "y"])
    result = bench("score", folder, *more, "--data", things(base), runs=tmp_path / "runs")
    (line,) = [line for line in result.err.splitlines() if line.startswith("bench:")]
    assert result.code == 2 and result.out == "" and all(word in line for word in words), line
    assert not (tmp_path / "runs").exists()


def test_a_name_is_for_pictures_only(base: Path) -> None:
    folder, _ = worlds.finished(base, "reference")
    result = bench("score", folder, "--name", "mine")
    assert result.code == 2 and "--name" in result.err and len(result.err.splitlines()) == 1
