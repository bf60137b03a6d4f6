"""The field's data sets become manifests: each recipe on a handful of files as they are published."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from videos import tone, video
from worlds import bench

from benchmark.data.manifest import load_manifest
from benchmark.data.recipes.catalog import RECIPES
from benchmark.data.recipes.items import share
from benchmark.media.audio import read_audio, write_wav
from benchmark.media.images import load_image


def film(path: Path, hertz: float = 440.0, seconds: float = 1.0) -> Path:
    return video(path, seconds, tone(hertz, seconds))


def sound(path: Path, hertz: float = 440.0, seconds: float = 1.0) -> Path:
    write_wav(path, tone(hertz, seconds))
    return path


def picture(path: Path, shade: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), (shade, 60, 60)).save(path)
    return path


def text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def made(name: str, root: Path, out: Path, *more: object) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """The rows of the manifest, which loads without a problem, and the summary."""
    result = bench("recipe", name, root, "-o", out, "--jobs", 0, *more, "--json")
    assert result.code == 0, result.err
    path = Path(result.json["manifest"])
    assert not load_manifest(path).skipped
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file)), result.json


def told(rows: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    return [(row["id"], row["label"], row["split"]) for row in rows]


def test_esc50(tmp_path: Path) -> None:
    root, images = tmp_path / "ESC-50-master", tmp_path / "images"
    names = {"1-100032-A-0": "dog", "1-7-B-14": "chirping_birds", "5-203128-A-0": "dog", "5-9-A-14": "chirping_birds"}
    lines = [f"{name}.wav,{name[0]},{name.rsplit('-', 1)[1]},{label},False,1,A" for name, label in names.items()]
    text(root / "meta" / "esc50.csv", "filename,fold,target,category,esc10,src_file,take", *lines)
    for place, name in enumerate(names):
        sound(root / "audio" / f"{name}.wav", 300 + 50 * place)
    # no images: the way out is said
    bare = bench("recipe", "esc50", root, "-o", tmp_path / "bare")
    assert bare.code == 2 and "--images" in bare.err and not (tmp_path / "bare").exists()
    for place in range(3):
        picture(images / "dog" / f"{place}.jpg", 80 * place)
    picture(images / "chirping_birds" / "a.png")
    picture(images / "5-203128-A-0.jpg", 200)
    rows, summary = made("esc50", root, tmp_path / "out", "--images", images)
    assert told(rows) == [
        ("1-100032-A-0", "dog", "train"),
        ("1-7-B-14", "chirping birds", "train"),
        ("5-203128-A-0", "dog", "test"),
        ("5-9-A-14", "chirping birds", "test"),
    ]
    assert summary["clips"] == {"train": 2, "test": 2} and summary["labels"] == 2
    own = np.asarray(load_image(tmp_path / "out" / rows[2]["image"]))
    assert abs(int(own[..., 0].mean()) - 200) < 4, "a clip's own image goes before its label's"
    # it is what a run takes
    result = bench("run", "--method", "sd-text", "--data", summary["manifest"], "--json", runs=tmp_path / "runs")
    assert result.code == 0, result.err
    assert result.json["clips"]["total"] == 2 and not result.json["clips"]["failed"]


def test_ravdess(tmp_path: Path) -> None:
    root = tmp_path / "RAVDESS"
    film(root / "Actor_01" / "01-01-03-01-01-01-01.mp4")
    sound(root / "Actor_01" / "03-01-03-01-01-01-01.wav", 500)
    film(root / "Actor_22" / "01-01-05-02-02-01-22.mp4")
    sound(root / "Actor_22" / "03-01-06-01-01-01-22.wav")  # seen by nobody
    rows, _ = made("ravdess", root, tmp_path / "out")
    assert told(rows) == [("01-03-01-01-01-01", "happy", "train"), ("01-05-02-02-01-22", "angry", "test")]


def test_greatest_hits(tmp_path: Path) -> None:
    root = tmp_path / "vis-data"
    text(root / "train.txt", "2015-09-12-06-02-13-9")
    text(root / "test.txt", "2015-09-29-16-30-48-1")
    for name in ("2015-09-12-06-02-13-9", "2015-09-29-16-30-48-1"):
        film(root / f"{name}_denoised.mp4", seconds=4)
        sound(root / f"{name}_denoised.wav", seconds=4)
        text(
            root / f"{name}_times.txt", "1.25 cloth scratch static", "2.00 None None None", "3.50 plastic-bag hit rigid"
        )
    rows, _ = made("greatest-hits", root, tmp_path / "out")
    assert told(rows)[:2] == [
        ("2015-09-12-06-02-13-9-000", "scratch cloth", "train"),
        ("2015-09-12-06-02-13-9-002", "hit plastic bag", "train"),
    ]
    assert [row["split"] for row in rows] == ["train", "train", "test", "test"]
    # from 1.0 to 3.0, and from 3.25 to the end
    lengths = [read_audio(tmp_path / "out" / row["audio"]).waveform.size / 16_000 for row in rows[:2]]
    assert lengths == pytest.approx([2.0, 0.75])
    red = np.asarray(load_image(tmp_path / "out" / rows[0]["image"]))[..., 0].mean()
    assert abs(red - (20 + 20 * 2.0)) < 6, "the frame in the middle of the clip"


def test_vegas(tmp_path: Path) -> None:
    root = tmp_path / "VEGAS"
    for number in range(6):
        film(root / "Baby_cry" / "videos" / f"video_{number:05d}.mp4", 300 + 20 * number)
    film(root / "Drum" / "videos" / "video_00000.mp4", 600)
    rows, summary = made("vegas", root, tmp_path / "out")
    tests = [row["id"] for row in rows if row["split"] == "test"]
    nearest = min(range(6), key=lambda number: share(f"Baby_cry/video_{number:05d}"))
    assert tests == [f"Baby_cry-video_{nearest:05d}", "Drum-video_00000"]
    assert {row["label"] for row in rows} == {"baby cry", "drum"} and summary["clips"] == {"train": 5, "test": 2}


def test_audiocaps(tmp_path: Path) -> None:
    root = tmp_path / "audiocaps"
    head = "audiocap_id,youtube_id,start_time,caption"
    text(
        root / "train.csv", head, '1,r1nicOVtvkQ,130,"A woman talks, and a dog barks"', "2,gone_gone_0,10,Nobody has it"
    )
    text(root / "val.csv", head, "3,vfY_TJq7n_U,0,Rain falls")
    text(root / "test.csv", head, "4,-tD3_xxxxx8,20,A train passes", "5,-tD3_xxxxx8,20,A locomotive goes by")
    film(root / "videos" / "r1nicOVtvkQ_130.mp4", 300)
    film(root / "videos" / "vfY_TJq7n_U.mp4", 400)
    film(root / "videos" / "Y-tD3_xxxxx8_20.000.mp4", 500)
    rows, _ = made("audiocaps", root, tmp_path / "out")
    assert sorted(told(rows)) == [
        ("-tD3_xxxxx8_000020", "A train passes", "test"),
        ("r1nicOVtvkQ_000130", "A woman talks, and a dog barks", "train"),
        ("vfY_TJq7n_U_000000", "Rain falls", "validation"),
    ]


def test_landscape_and_into_the_wild(tmp_path: Path) -> None:
    root = tmp_path / "both"
    film(root / "landscape" / "train" / "fire_cracking" / "abc_001.mp4", 300)
    film(root / "landscape" / "test" / "thunder" / "def_004.mp4", 400)
    for part in range(3):
        film(root / "into-the-wild" / "forest" / f"hike_{part}.mp4", 500 + 50 * part)
    film(root / "into-the-wild" / "forest" / "long.mp4", 700, seconds=31)
    rows, _ = made("landscape", root, tmp_path / "out")
    by_id = {row["id"]: row for row in rows}
    assert by_id["landscape_fire_cracking_abc_001"]["split"] == "train"
    assert by_id["landscape_thunder_def_004"]["split"] == "test" and "thunder" in {row["label"] for row in rows}
    hikes = {row["split"] for name, row in by_id.items() if "hike" in name}
    assert len(hikes) == 1, "pieces of one recording are in one split"
    assert [name for name in by_id if "long" in name] == [f"into-the-wild_forest_long-000{k}0" for k in range(3)]


def test_voxceleb(tmp_path: Path) -> None:
    root = tmp_path / "vox"
    meta = (
        "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet",
        "id10001\tA\tm\tIreland\tdev",
        "id10270\tB\tf\tUK\ttest",
    )
    text(root / "vox1_meta.csv", *meta)
    for place, speaker in enumerate(("id10001", "id10270")):
        for utterance in ("00001", "00002"):
            sound(root / "wav" / speaker / "1zcIwhmdeo4" / f"{utterance}.wav", 300 + 50 * place)
        for face in range(4):
            picture(root / "faces" / speaker / "1zcIwhmdeo4" / f"{face}.jpg", 50 * face)
    rows, summary = made("voxceleb", root, tmp_path / "out", "--train-frames", 3)
    # several reference frames of a training clip: a row each, with the same sound
    assert told(rows) == [
        ("id10001-1zcIwhmdeo4", "a man speaking", "train"),
        ("id10001-1zcIwhmdeo4.f1", "a man speaking", "train"),
        ("id10001-1zcIwhmdeo4.f2", "a man speaking", "train"),
        ("id10270-1zcIwhmdeo4", "a woman speaking", "test"),
    ]
    assert len({row["audio"] for row in rows[:3]}) == 1 and len({row["image"] for row in rows[:3]}) == 3
    assert summary["clips"] == {"train": 1, "test": 1} and summary["rows"] == 4


def test_bad_files_are_left_out_and_the_rest_continues(tmp_path: Path) -> None:
    root, out = tmp_path / "VEGAS", tmp_path / "out"
    for number in range(4):
        film(root / "Drum" / f"{number}.mp4", 300 + 50 * number)
    bad = min(range(4), key=lambda number: -share(f"Drum/{number}"))
    (root / "Drum" / f"{bad}.mp4").write_bytes(b"cut off")
    rows, summary = made("vegas", root, out)
    assert len(rows) == 3 and summary["left_out"] == 1 and f"Drum-{bad}" in (out / "left_out.json").read_text()
    written = {path: path.stat().st_mtime_ns for path in out.glob("audio/*.wav")}
    film(root / "Drum" / f"{bad}.mp4", 900)
    again, summary = made("vegas", root, out)
    assert len(again) == 4 and summary["left_out"] == 0
    assert all(path.stat().st_mtime_ns == time for path, time in written.items()), "what is done is kept"
    other = bench("recipe", "vegas", root, "-o", out, "--train-frames", 2)
    assert other.code == 2 and "another recipe or request" in other.err


@pytest.mark.parametrize("name", RECIPES)
def test_an_empty_folder_says_what_should_be_in_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    result = bench("recipe", name, tmp_path / "empty", "-o", tmp_path / "out")
    assert result.code == 2 and RECIPES[name].layout in result.err and not (tmp_path / "out").exists()


def test_wrong_use_is_told_at_once(tmp_path: Path) -> None:
    result = bench("recipe", "vegaz", tmp_path, "-o", tmp_path / "out")
    assert result.code == 2 and "did you mean 'vegas'" in result.err
    wrong = bench("recipe", "vegas", tmp_path, "-o", tmp_path / "out", "--images", tmp_path / "none")
    assert wrong.code == 2 and "none is not a folder" in wrong.err and "inside the data set's folder" in wrong.err
