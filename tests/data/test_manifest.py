from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from benchmark.data.manifest import Problem, load_manifest
from benchmark.media.audio import write_wav
from benchmark.media.images import save_png
from benchmark.utils.errors import UserError

HEADER = "id,audio,image,label,split"
SHARED = Path(os.environ.get("BENCH_SHARED") or Path(__file__).parents[2] / ".." / "shared" / "data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in "abcd":
        write_wav(tmp_path / "audio" / f"{name}.wav", rng.uniform(-0.5, 0.5, 8000))
        save_png(tmp_path / "images" / f"{name}.png", rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    return tmp_path


def row(name: str, label: str = "dog", split: str = "test", **changes: str) -> list[str]:
    values = {"id": name, "audio": f"audio/{name}.wav", "image": f"images/{name}.png", "label": label, "split": split}
    return list((values | changes).values())


def write(folder: Path, rows: Sequence[Sequence[str]], header: str = HEADER) -> Path:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    path = folder / "manifest.csv"
    path.write_text(header + "\n" + text.getvalue(), encoding="utf-8")
    return path


def problems(path: Path, skip_bad: bool = False) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_manifest(path, skip_bad=skip_bad)
    assert all(len(problem.splitlines()) == 1 for problem in caught.value.problems)
    return caught.value.problems


def test_good_manifest(folder: Path) -> None:
    rows = [row("a", "cat", "train"), row("b", " dog "), row("c", "owl"), row("d", "dog", "validation")]
    manifest = load_manifest(write(folder, rows))
    assert manifest.name == "manifest" and manifest.skipped == [] and manifest.silent == ()
    assert manifest.train is not None and manifest.validation is not None
    assert manifest.train.ids == ("a",) and manifest.test.ids == ("b", "c") and manifest.validation.ids == ("d",)
    assert manifest.test.labels == manifest.train.labels == ("dog", "owl", "cat")
    assert manifest.test.classes.tolist() == [0, 1]
    assert manifest.test[0].audio == folder / "audio" / "b.wav"
    assert manifest.test[0].waveform().size == 8000 and manifest.test[0].picture().size == (8, 8)
    assert load_manifest(write(folder, rows[1:3])).train is None


def test_columns_in_any_order_bom_quotes_blank_lines_and_crlf(folder: Path) -> None:
    path = folder / "m.csv"
    text = (
        "split, label ,notes,image,id,audio\r\n"
        '"test","dog, wet\r\nand ""cold""",whatever,images/a.png,a,audio/a.wav\r\n'
        "\r\n,,,,,\r\n"
        "test,dog,,images/gone.png,b,audio/b.wav\r\n"
    )
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    manifest = load_manifest(path, skip_bad=True)
    assert manifest.test.ids == ("a",) and manifest.test[0].label == 'dog, wet\r\nand "cold"'
    # the first row takes lines 2 and 3, lines 4 and 5 are blank
    reason = "image 'images/gone.png' does not exist: correct the path or remove the row"
    assert manifest.skipped == [Problem(6, "b", reason)]
    assert problems(path) == [f"m.csv:6: {reason}"]


def test_every_problem_is_listed_at_once_and_skipped_on_request(folder: Path) -> None:
    (folder / "audio" / "empty.wav").write_bytes(b"")
    (folder / "audio" / "text.wav").write_text("no sound")
    soundfile.write(folder / "audio" / "nan.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")
    soundfile.write(folder / "audio" / "short.wav", np.zeros(100), 16000)
    (folder / "images" / "broken.png").write_bytes((folder / "images" / "a.png").read_bytes()[:60])
    Image.new("RGB", (1, 1)).save(folder / "images" / "dot.png")
    rows = [
        row("a"),
        row("x1", audio="audio/x.ogg", image="images/a.png"),
        row("x2", audio="audio/empty.wav", image="images/a.png"),
        row("x3", audio="audio/text.wav", image="images/a.png"),
        row("x4", audio="audio/nan.wav", image="images/a.png"),
        row("x5", audio="audio/short.wav", image="images/a.png"),
        row("x6", audio="audio/a.wav", image="images/broken.png"),
        row("x7", audio="audio/a.wav", image="images/dot.png"),
        row("x8", audio="audio/a.wav", image=""),
        row("x9", audio="", image="images/a.png"),
        row("a"),
        row("A", audio="audio/a.wav", image="images/a.png"),
        row("b", id="b/c"),
        row("c", label="  "),
        row("d", split="tset"),
        row("b", id="ok", audio="audio"),
        row("both", audio="audio/x.ogg", label=""),
        [*row("b"), "more"],
        row("b")[:3],
        row("b", id="good", label="owl"),
    ]
    expected = [
        "3: audio 'audio/x.ogg' does not exist: correct the path or remove the row",
        "4: audio 'audio/empty.wav' is an empty file: replace it or remove the row",
        "5: audio 'audio/text.wav' cannot be decoded (",
        "6: audio 'audio/nan.wav' holds NaN or infinite samples: replace it or remove the row",
        "7: audio 'audio/short.wav' is too short (0.006 s, at least 0.05 s are needed): replace it or remove the row",
        "8: image 'images/broken.png' cannot be decoded (",
        "9: image 'images/dot.png' is 1 x 1 pixels (at least 2 a side are needed): replace it or remove the row",
        "10: image is missing: give the path of a file or remove the row",
        "11: audio is missing: give the path of a file or remove the row",
        "12: id 'a' is already on line 2: choose another or remove the row",
        "13: id 'A' is already on line 2 as 'a', which is the same name on some file systems: choose another",
        "14: id 'b/c' holds a slash: ids become file names, choose another",
        "15: label is missing: name what can be heard or remove the row",
        "16: split 'tset' is unknown: use train, validation or test",
        "17: audio 'audio' is a folder: correct the path or remove the row",
        "18: audio 'audio/x.ogg' does not exist: correct the path or remove the row",
        "18: image 'images/both.png' does not exist: correct the path or remove the row",
        "18: label is missing: name what can be heard or remove the row",
        "19: the row has 1 more values than the header has columns: quote values that contain commas",
        "20: label is missing: name what can be heard or remove the row",
        "20: split '' is unknown: use train, validation or test",
    ]
    path = write(folder, rows)
    found = problems(path)
    assert len(found) == len(expected)
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(f"manifest.csv:{start}")
    kept = load_manifest(path, skip_bad=True)
    assert kept.test.ids == ("a", "good") and kept.test.labels == ("dog", "owl")
    assert [f"manifest.csv:{problem.line}: {problem.reason}" for problem in kept.skipped] == found
    assert kept.skipped[0].id == "x1"
    assert kept.identity == load_manifest(write(folder, [rows[0], rows[-1]])).identity


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "m.csv: is empty"),
        ("\n \n", "m.csv: is empty"),
        (HEADER + "\n", "m.csv: has a header and no rows"),
        (
            "id,audio,image,label\na,b,c,d\n",
            "m.csv:1: column 'split' is missing (found: 'id', 'audio', 'image', 'label')",
        ),
        ("id;audio;image;label;split\n", "m.csv:1: column 'id' is missing (found: 'id;audio;image;label;split')"),
        (HEADER + ",id\na,b,c,d,test,a\n", "m.csv:1: column 'id' appears twice"),
        (HEADER + '\na,"b,c,d,test\n', "m.csv:2: is not valid CSV (unexpected end of data)"),
        (HEADER + "\na,b,c,caf\xe9,test\n", "m.csv:2: is not UTF-8 text"),
    ],
)
@pytest.mark.parametrize("skip_bad", [False, True])
def test_problems_of_the_whole_file(tmp_path: Path, text: str, expected: str, skip_bad: bool) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(text.encode("latin-1"))
    assert problems(path, skip_bad=skip_bad)[0].startswith(expected)


def test_no_manifest(tmp_path: Path) -> None:
    assert problems(tmp_path / "gone.csv") == [
        f"manifest {str(tmp_path / 'gone.csv')!r} does not exist: correct the path"
    ]
    assert problems(tmp_path)[0].endswith("is a folder: give the CSV file in it")


def test_test_rows_are_needed(folder: Path) -> None:
    found = problems(write(folder, [row("a", split="train"), row("b", split="train", audio="gone.wav")]))
    assert len(found) == 2 and found[1].startswith("manifest.csv: no row has split 'test'")
    path = write(folder, [row("a", split="train"), row("b", audio="gone.wav")])
    found = problems(path, skip_bad=True)
    assert len(found) == 2 and found[1].startswith("manifest.csv: every row with split 'test' has a problem")


def test_identity_covers_rows_and_bytes_not_paths(folder: Path) -> None:
    rows = [row("a"), row("b")]
    base = load_manifest(write(folder, rows)).identity
    assert load_manifest(write(folder, rows)).identity == base
    (folder / "images" / "a.png").rename(folder / "moved.png")
    assert load_manifest(write(folder, [row("a", image="moved.png"), row("b")])).identity == base
    others = [
        load_manifest(write(folder, [row("a", image="images/c.png"), row("b")])),
        load_manifest(write(folder, [row("a", image="moved.png", label="cat"), row("b")])),
        load_manifest(write(folder, [row("a", image="moved.png", split="train"), row("b")])),
        load_manifest(write(folder, [row("a", image="moved.png"), row("b"), row("c", split="train")])),
    ]
    write_wav(folder / "audio" / "b.wav", np.zeros(8000))
    silenced = load_manifest(write(folder, [row("a", image="moved.png"), row("b")]))
    assert silenced.silent == ("b",)
    assert len({base, silenced.identity, *(other.identity for other in others)}) == 6


def test_progress_counts_each_file_once(folder: Path) -> None:
    calls: list[tuple[int, int]] = []
    rows = [row("a"), row("b"), row("c", image="images/a.png"), row("d", audio="audio/a.wav")]
    load_manifest(write(folder, rows), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 6) for done in range(1, 7)]


def test_an_interrupt_does_not_wait_for_the_queue(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    def slow(folder: Path, column: str, value: str) -> None:
        checked.append(value)
        time.sleep(0.01)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmark.data.manifest._check_file", slow)
    with pytest.raises(KeyboardInterrupt):
        load_manifest(write(folder, [row(f"clip{i}") for i in range(200)]), progress=interrupt)
    assert len(checked) < 400


@pytest.mark.skipif(
    not (SHARED / "tuxpaint" / "manifest.csv").is_file(),
    reason="the tuxpaint clips are not here: set BENCH_SHARED to the folder that holds tuxpaint/manifest.csv",
)
def test_real_untidy_folder() -> None:
    start = time.perf_counter()
    manifest = load_manifest(SHARED / "tuxpaint" / "manifest.csv")
    assert time.perf_counter() - start < 30
    assert len(manifest.test) == 103 and manifest.train is None and manifest.skipped == []
    assert len(manifest.silent) == 4
    assert sum(not np.any(clip.waveform()) for clip in manifest.test) == 4
    assert {clip.picture().mode for clip in manifest.test} == {"RGB"}
    assert any("," in label for label in manifest.test.labels)
