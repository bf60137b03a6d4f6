from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fragile import tenfold
from torch import Tensor
from videos import A, B, C, D, tone, video, write_list
from worlds import bench

from benchmark.clips import Clip, ClipSet
from benchmark.data.prepare import pipeline as module
from benchmark.data.prepare.extract import Job, ended, extract_clip
from benchmark.data.prepare.frames import ClipBest
from benchmark.data.prepare.pipeline import Layout, prepare
from benchmark.data.prepare.tar_writer import ShardWriter
from benchmark.data.prepare.workers import in_order
from benchmark.data.shards import Stream, buffered_order
from benchmark.data.vggsound import DATA, Prepared
from benchmark.dataset import StreamPlace
from benchmark.media.audio import write_wav
from benchmark.runs.scoring import used
from benchmark.suite import Suite, load_suite
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.progress import Silent
from metrics.preprocessing import Preprocessing

DOG, CAT = "dog barking", "cat meowing"
LIST = [
    (A, 34, DOG, "test"),
    (A, 44, CAT, "test"),
    (B, 0, CAT, "test"),
    (D, 1, DOG, "test"),
    (C, 99, "owl hooting", "test"),
    *((C, k, DOG if k % 2 else CAT, "train") for k in range(7)),
]
PITCH = {f"{video}_{start:06d}": 300 + 50 * place for place, (video, start, *_) in enumerate(LIST)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with videos of all of the list but one clip, under both styles of name, and with the list."""
    base = tmp_path_factory.mktemp("vggsound")
    root = base / "videos"
    for identity, start, _, split in LIST[:4]:
        sound = tone(PITCH[f"{identity}_{start:06d}"])
        apart = identity == B
        name = f"{identity}_{start * 1000}_{start * 1000 + 10_000}" if split == "test" else f"{identity}_{start:06d}"
        video(root / "video" / f"{name}.mp4", sound=None if apart else sound)
        if apart:
            write_wav(root / "audio" / f"{name}.wav", sound)
    for identity, start, *_ in LIST[5:]:
        video(root / "train" / f"{identity}_{start:06d}.mp4", sound=tone(PITCH[f"{identity}_{start:06d}"]))
    write_list(base / "vggsound.csv", LIST)
    return base


@pytest.fixture(scope="module")
def folder(files: Path) -> Path:
    """What `prepare` makes of it: a folder for BENCH_DATA."""
    notes = [
        "video_id,label,modality,voice_over",
        f"{A}_000034,{DOG},A,False",
        f"{A}_000034,{CAT},AV,False",
        f"{A}_000044,{DOG},V,True",
        f"{B}_000000,{CAT},AV,False",
        f"{B}_000000,owl hooting,V,False",
        f"zzzzzzzzzzz_000001,{DOG},AV,False",
    ]
    (files / "vggsounder.csv").write_text("\n".join(notes))
    make(files, files / "data" / "vggsound", vggsounder=files / "vggsounder.csv")
    return files / "data"


def make(files: Path, out: Path, ui: Any = None, **more: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"workers": 0, "layout": Layout(shard_clips=3), **more}
    return prepare(files / "videos", out, files / "vggsound.csv", ui=ui or Silent(), **options)


def suite(**data: Any) -> Suite:
    """mini, with prepared clips as its data."""
    mini = load_suite("mini")
    counts = {"train": 7, "validation": 0, "test": 4}
    return mini.model_copy(update={"data": mini.data.model_copy(update={"source": "vggsound", **counts, **data})})


@pytest.fixture
def found(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The set of a split, read from `folder`."""
    monkeypatch.setenv("BENCH_DATA", str(folder))
    return lambda split="test", ui=None, **data: DATA.clips(suite(**data), split, tmp_path, ui or Silent())


def pitch(sound: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(sound[2000:10_000] * np.hanning(8000)))
    return float(np.argmax(spectrum) * 2)


# ------------------------------------------------------------------------------------------------- clips out of shards


def test_each_clip_has_its_own_sound_label_and_middle_frame(found: Any) -> None:
    test = found()
    assert test.ids == tuple(sorted([f"{A}_000034", f"{A}_000044", f"{B}_000000", f"{D}_000001"]))
    assert test.labels == (CAT, DOG, "owl hooting"), "the label set is the list's, whatever was found"
    # Two clips of one video: looked up by the video's id, both would be dogs.
    assert [test[test.index[f"{A}_0000{start}"]].labels for start in (34, 44)] == [(DOG,), (CAT,)]
    for clip in test:
        assert pitch(clip.waveform()) == pytest.approx(PITCH[clip.id], abs=4)
        assert clip.waveform().dtype == np.float32 and clip.waveform(8000).size == -(-clip.waveform().size // 2)
        assert np.asarray(clip.picture())[256, 256] == pytest.approx((30, 90, 40), abs=5), "shown after half a second"
    assert test[0].visible is None and test.visible is None
    assert len(found("train")) == 7 and {clip.split for clip in found("train")} == {"train"}
    assert len(found("validation")) == 0


def test_sets_are_told_apart_by_content_and_labels(found: Any) -> None:
    assert found().identity == found().identity
    others = {found().identity, found("train").identity, found(labels="vggsounder").identity, found().limit(2).identity}
    assert len(others) == 4


def test_vggsounders_labels(found: Any) -> None:
    test = found(labels="vggsounder")
    labels = {clip.id: (clip.labels, clip.visible) for clip in test}
    assert labels == {
        f"{A}_000034": ((DOG, CAT), (CAT,)),
        f"{A}_000044": ((DOG,), (DOG,)),  # the annotators took VGGSound's cat away
        f"{B}_000000": ((CAT, "owl hooting"), (CAT, "owl hooting")),
        f"{D}_000001": ((DOG,), None),  # unknown to them
    }
    assert (
        test.visible == tuple(frozenset(test.labels.index(label) for label in clip.visible or ()) for clip in test)
        and test.visible[test.index[f"{D}_000001"]] == frozenset()
    )
    flags = {clip.id: clip.attributes.get("flags") for clip in test}
    assert flags[f"{A}_000044"] == ["voice_over"] and flags[f"{A}_000034"] == []


def test_labels_come_later_without_reading_a_video_again(
    files: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(files, tmp_path / "vggsound")
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    with pytest.raises(UserError, match="without VGGSounder's labels.*--vggsounder"):
        DATA.clips(suite(labels="vggsounder"), "test", tmp_path, Silent())
    monkeypatch.setattr(module, "extract_clip", None)
    make(files, tmp_path / "vggsound", vggsounder=files / "vggsounder.csv")
    later = DATA.clips(suite(labels="vggsounder"), "test", tmp_path, Silent())
    monkeypatch.setenv("BENCH_DATA", str(folder))
    assert later == DATA.clips(suite(labels="vggsounder"), "test", tmp_path, Silent())


def test_labels_have_an_identity_that_scores_carry(
    files: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_DATA", str(folder))
    assert DATA.labels_identity(suite(labels="vggsound")) is None
    first = DATA.labels_identity(suite(labels="vggsounder"))
    text = (files / "vggsounder.csv").read_text()
    found = {}
    for name, old, new in (("flag", "V,True", "V,False"), ("seen", f"{A}_000034,{DOG},A,", f"{A}_000034,{DOG},AV,")):
        assert old in text
        (tmp_path / f"{name}.csv").write_text(text.replace(old, new))
        make(files, tmp_path / name / "vggsound", vggsounder=tmp_path / f"{name}.csv")
        monkeypatch.setenv("BENCH_DATA", str(tmp_path / name))
        found[name] = DATA.labels_identity(suite(labels="vggsounder"))
    assert first is not None and len(first) == 64 and found["flag"] == first, "no score asks for flags"
    other = found["seen"]
    assert other not in (None, first)

    bound = {"image": "a", "audio": "b", "labels": other}
    for metric in ("aic", "aic.r@5", "aic.visible", "iis.winrate.sameclass", "ais.winrate.crossclass"):
        assert used(metric, bound)["labels"] == other, metric
    for metric in ("ais", "iis.cosine", "fid"):
        assert "labels" not in used(metric, bound), metric


def test_the_suites_counts_and_frames_are_compared(found: Any) -> None:
    ui = Silent()
    found(ui=ui)
    assert not ui.warnings
    found(ui=ui, test=15_446)
    assert "4 of 15,446 test clips are present" in ui.warnings[0]
    with pytest.raises(UserError, match="contains the middle frame of train clips.*--frame clip-best"):
        found("train", train_frame="clip-best")
    assert len(found(train_frame="clip-best")) == 4, "the test clips are right all the same"
    with pytest.raises(UserError, match="no validation clip"):
        found("validation", validation=3)


def test_middle_frames_are_taken_by_a_suite_that_the_others_name(folder: Path, files: Path, tmp_path: Path) -> None:
    prepared = Prepared.read(folder / "vggsound")
    (problem,) = prepared.unfit(load_suite("vggsound"), "train")
    assert problem.endswith("or use --suite vggsound-middle, which takes middle frames")
    assert [prepared.unfit(load_suite("vggsound-middle"), split) for split in ("train", "test")] == [[], []]
    # no CLIP is on this machine: none is asked for
    command = ("prepare", "vggsound", files / "videos", "--list", files / "vggsound.csv", "--jobs", 1)
    result = bench(*command, "--suite", "vggsound-middle", "-o", tmp_path / "vggsound")
    assert result.code == 0, result.err
    assert json.loads((tmp_path / "vggsound" / "dataset.json").read_text())["train_frame"] == "middle"
    other = bench(*command, "--suite", "vggsound", "-o", tmp_path / "other")
    assert other.code == 1 and "CLIP ViT-L/14 (OpenAI) is not on this machine" in other.err


def test_missing_unfinished_and_damaged_data_say_the_way_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))

    def problems() -> list[str]:
        with pytest.raises(UserError) as caught:
            DATA.clips(suite(), "test", tmp_path, Silent())
        return caught.value.problems

    assert "contains no prepared VGGSound: run `bench prepare vggsound" in problems()[0]
    data = Path(shutil.copytree(folder / "vggsound", tmp_path / "vggsound"))
    tars = sorted((data / "shards").glob("*.tar"))
    with open(tars[0], "ab") as shard:
        shard.write(b"more")
    tars[1].unlink()
    assert ["instead of" in problems()[0], "is missing" in problems()[1], len(problems())] == [True, True, 2]
    (data / "index.parquet").write_bytes(b"")
    assert "index.parquet is missing or damaged" in problems()[2]
    (data / "dataset.json").write_text("[]")
    assert "dataset.json cannot be read" in problems()[0]
    (data / "dataset.json").unlink()
    assert "is not finished: run the same" in problems()[0]


def test_a_clip_whose_bytes_are_gone_is_an_error_not_noise(found: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    clip = found()[0]
    short = tmp_path / "s.tar"
    short.write_bytes(clip.audio.read_bytes()[: clip.sound_at + 100])
    for broken in (replace(clip, audio=short), replace(clip, audio=tmp_path / "none.tar")):
        with pytest.raises(RunError, match="is damaged"):
            broken.waveform()
    with pytest.raises(RunError, match="is damaged"):
        replace(clip, frame_at=0).picture()


def test_a_shard_of_the_same_size_with_other_bytes_is_refused(found: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    clip, other = found()[:2]
    whole = clip.shard.read_bytes()
    copy = tmp_path / "copy.tar"
    copy.write_bytes(whole)
    assert replace(clip, audio=copy).waveform().tobytes() == clip.waveform().tobytes()
    for at in (clip.sound_at, clip.sound_at + 2 * clip.samples - 1, clip.frame_at + clip.frame_bytes // 2):
        copy.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        for read in (replace(clip, audio=copy).waveform, replace(clip, audio=copy).picture):
            with pytest.raises(RunError, match=rf"copy.tar is damaged \(clip {clip.id}\)"):
                read()
    with pytest.raises(RunError, match="is damaged"):
        replace(clip, sound_at=other.sound_at).picture()


# ------------------------------------------------------------------------------------------------------------ preparing


def test_shards_are_what_webdataset_reads(folder: Path) -> None:
    facts = {}
    for path in sorted((folder / "vggsound" / "shards").glob("*.tar")):
        with tarfile.open(path, "r|") as tar:  # in sequence, as a stream
            members = [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
        for start in range(0, len(members), 3):
            names, parts = zip(*members[start : start + 3], strict=True)
            key = names[0].partition(".")[0]
            assert names == (f"{key}.wav", f"{key}.jpg", f"{key}.json")
            assert parts[0][:4] == b"RIFF" and parts[1][:2] == b"\xff\xd8"
            facts[key] = json.loads(parts[2])
        assert len(members) <= 9
    assert set(facts) == {f"{video}_{start:06d}" for video, start, *_ in LIST if start != 99}
    assert facts[f"{A}_000044"] == {
        "video": A,
        "start": 44,
        "label": CAT,
        "split": "test",
        "frame_second": 0.5,
        "width": 683,
        "height": 512,
    }


def test_coverage(files: Path, folder: Path) -> None:
    summary = json.loads((folder / "vggsound" / "summary.json").read_text())
    assert summary["splits"]["test"] == {
        "listed": 5,
        "found": 4,
        "prepared": 4,
        "classes": {CAT: [2, 2], DOG: [2, 2], "owl hooting": [0, 1]},
    }
    assert summary["splits"]["train"]["prepared"] == 7 and summary["problems"] == []
    assert summary["list"]["clips"] == 12 and not summary["list"]["published"]
    assert summary["vggsounder"]["clips"] == 3 and summary["vggsounder"]["prepared"] == 3
    assert len(summary["list"]["sha256"]) == 64


def test_bad_files_are_listed_and_left_out(tmp_path: Path) -> None:
    root = tmp_path / "videos"
    names = [f"{C}_{k:06d}" for k in range(9)]
    write_list(tmp_path / "vggsound.csv", [(C, k, DOG, "test") for k in range(9)])
    video(root / f"{names[0]}.mp4", sound=tone(500))
    video(root / f"{names[1]}.mp4")
    cut = video(root / f"{names[2]}.mp4", seconds=4, sound=tone(500, 4))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (root / f"{names[3]}.mp4").write_bytes(b"")
    video(root / f"{names[4]}.mp4", sound=np.zeros(16_000, np.float32))
    video(root / f"{names[5]}.mp4", frames=False, sound=tone(500))
    video(root / f"{names[6]}.mp4", seconds=31, sound=tone(500, 1))
    video(root / f"{names[7]}.mp4", sound=tone(500))
    (root / f"{names[7]}.wav").write_text("this is no sound")
    video(root / f"{C}.mp4", sound=tone(500))
    video(root / "a" / f"{names[0]}.mp4", sound=tone(500))
    video(root / f"{D}_000077.mp4", sound=tone(500))
    ui = Silent()
    summary = make(tmp_path, tmp_path / "out", ui)
    reasons = {one["clip"]: one["reason"] for one in summary["problems"]}
    assert list(reasons) == names[1:8]
    for name, part in zip(
        names[1:8],
        [
            "no audio stream",
            "cannot be decoded",
            "is an empty file",
            "only silence",
            "has no video stream",
            "lasts 31 s",
            "cannot be decoded",
        ],
        strict=True,
    ):
        assert part in reasons[name] and f"{name}." in reasons[name]
    assert summary["splits"]["test"]["found"] == 8 and summary["splits"]["test"]["prepared"] == 1
    assert summary["not_used"] == {
        "not in the list": [f"{D}_000077.mp4"],
        "sound without a video": [],
        "several files of a clip": [f"{names[0]}.mp4"],
        "named by the video's id alone": [f"{C}.mp4"],
        "named in another way": [],
        "archives": [],
        "unfinished downloads": [],
    }
    assert any("7 clips could not be used" in line for line in ui.warnings)
    assert any("the video's id alone" in line and "different labels" in line for line in ui.warnings)


def test_where_no_clip_is_usable_nothing_is_called_prepared(tmp_path: Path) -> None:
    write_list(tmp_path / "vggsound.csv", [(C, 0, DOG, "test")])
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / f"{C}_000000.mp4").write_bytes(b"x")
    with pytest.raises(RunError, match=r"none of the clips could be used: .*summary\.json"):
        make(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out" / "dataset.json").exists()
    assert "cannot be decoded" in json.loads((tmp_path / "out" / "summary.json").read_text())["problems"][0]["reason"]


def test_wrong_use_is_told_at_once_and_before_any_work(files: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError) as caught:
        prepare(tmp_path / "nowhere", tmp_path / "out", tmp_path / "no.csv", ui=Silent())
    assert ["no.csv" in caught.value.problems[0], "nowhere" in caught.value.problems[1]] == [True, True]
    assert "is a file: give -o a folder" in caught.value.problems[2]
    other = write_list(tmp_path / "other.csv", [("zzzzzzzzzzz", 0, DOG, "test")])
    with pytest.raises(UserError, match="none of the 11 videos.*is in the list 'other.csv'"):
        prepare(files / "videos", tmp_path / "new", other, ui=Silent())
    assert not (tmp_path / "new").exists()
    fewer = write_list(tmp_path / "fewer.csv", LIST[:4])
    before = (folder / "vggsound" / "dataset.json").read_bytes()
    with pytest.raises(UserError, match=r"prepared otherwise \(list differ\): give -o another folder"):
        prepare(files / "videos", folder / "vggsound", fewer, layout=Layout(shard_clips=3), ui=Silent())
    assert (folder / "vggsound" / "dataset.json").read_bytes() == before
    with pytest.raises(UserError, match="contains other files and no plan.json"):
        make(files, files)


def test_a_full_disk_is_told_before_the_work(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(UserError, match=r"11 clips need at least 0\.0 GB.* make room, or give -o"):
        make(files, tmp_path / "out")


def test_a_disk_that_fills_meanwhile_loses_nothing(
    files: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "vggsound"
    told = ("--list", files / "vggsound.csv", "--frame", "middle", "--jobs", 1, "-o", out)
    command = ("prepare", "vggsound", files / "videos", *told)
    add, left = ShardWriter.add, 6

    def full(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return add(*arguments)

    monkeypatch.setattr(ShardWriter, "add", full)
    monkeypatch.setattr(prepare, "__kwdefaults__", {**(prepare.__kwdefaults__ or {}), "layout": Layout(shard_clips=3)})
    result = bench(*command)
    assert result.code == 1 and result.err.splitlines()[-1].startswith("bench: no space left on the disk")
    assert "the same command continues" in result.err and not (out / "dataset.json").exists()
    assert not list(out.rglob(".*.part"))
    kept = {path: path.stat().st_mtime_ns for path in out.glob("shards/*.json")}
    assert len(kept) == 1
    assert bench(*command).code == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    both = [json.loads((one / "dataset.json").read_text())["identity"] for one in (out, folder / "vggsound")]
    assert both[0] == both[1]


def test_only_what_changed_is_made_again(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(files / "videos", mine / "videos")
    shutil.copy(files / "vggsound.csv", mine)
    make(mine, tmp_path / "out")
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*.*") if path.is_file()}
    made: list[str] = []

    def counted(job: Job) -> Any:
        made.append(job.key)
        return extract_clip(job)

    monkeypatch.setattr(module, "extract_clip", counted)
    make(mine, tmp_path / "out")
    assert not made
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*.*") if path.is_file()} == first
    video(mine / "videos" / f"{C}_000099.mp4", sound=tone(900))  # the clip that was missing
    make(mine, tmp_path / "out")
    assert f"{C}_000099" in made and 1 <= len(made) <= 3, "its shard alone"
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["splits"]["test"]["prepared"] == 5


KILLED = """
import sys
from pathlib import Path
from benchmark.data.prepare.pipeline import Layout, prepare
from benchmark.utils.progress import Silent
files, out = map(Path, sys.argv[1:])
if __name__ == "__main__":
    prepare(files / "videos", out, files / "vggsound.csv", workers=2, layout=Layout(shard_clips=3), ui=Silent())
"""


def test_a_killed_run_continues_and_ends_in_the_same_bytes(
    files: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, out = tmp_path / "killed.py", tmp_path / "vggsound"
    script.write_text(KILLED)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, str(script), str(files), str(out)], env=environment)
    end = time.monotonic() + 60
    while not list(out.glob("shards/*.json")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = (out / "dataset.json").exists()
    (out / "shards" / ".train-000000.tar.abc.part").write_bytes(b"left by the killed process")
    if not finished:
        monkeypatch.setenv("BENCH_DATA", str(tmp_path))
        with pytest.raises(UserError, match="is not finished"):
            DATA.clips(suite(), "test", tmp_path, Silent())
    done = {path.name: path.stat().st_mtime_ns for path in out.glob("shards/*.json")}
    make(files, out)
    assert {name: (out / "shards" / name).stat().st_mtime_ns for name in done} == done, "finished shards are kept"
    whole = {path.name: path.read_bytes() for path in (folder / "vggsound" / "shards").iterdir()}
    assert {path.name: path.read_bytes() for path in (out / "shards").iterdir()} == whole
    both = [json.loads((one / "dataset.json").read_text())["identity"] for one in (out, folder / "vggsound")]
    assert both[0] == both[1]


def test_results_come_in_order_and_a_crash_or_a_hang_ends_one_job_alone() -> None:
    jobs = [0, 1, -2, 2, -1, 3, 4, -1]
    expected = [0, 10, "hang at -2", 20, "crash at -1", 30, 40, "crash at -1"]
    made = in_order(tenfold, jobs, 2, lambda job, how: f"{how} at {job}", limit=5)  # type: ignore[arg-type,return-value]
    assert list(made) == expected
    assert list(in_order(tenfold, [0, -2, -1], 1, lambda job, how: -job, limit=5)) == [0, 2, 1]


def test_work_that_is_given_up_ends_its_processes() -> None:
    """Ctrl-C must not wait for a decoder that hangs."""
    results = in_order(tenfold, [1, -2, -2, -2], 2, lambda job, how: job)
    assert next(results) == 10
    began = time.monotonic()
    results.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 30
    assert not [child for child in multiprocessing.active_children() if child.is_alive()]


class Reddest:
    """Picks the reddest frame of a dog, the least red one of anything else."""

    identity = "reddest"
    look = staticmethod(np.asarray)

    def __call__(self, seen: Sequence[Sequence[np.ndarray]], labels: Sequence[str]) -> list[int]:
        reds = [[frame[..., 0].mean() for frame in clip] for clip in seen]
        return [
            int(np.argmax(red) if label == DOG else np.argmin(red)) for red, label in zip(reds, labels, strict=True)
        ]


def test_training_frames_are_chosen_by_their_label_and_test_frames_are_not(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(candidates=5, shard_clips=3)
    make(files, tmp_path / "vggsound", choose=Reddest, layout=layout)
    make(files, tmp_path / "processes", choose=Reddest, layout=layout, workers=2)
    for shard in (tmp_path / "vggsound" / "shards").iterdir():
        assert (tmp_path / "processes" / "shards" / shard.name).read_bytes() == shard.read_bytes()
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    for clip in DATA.clips(suite(train_frame="clip-best", test_frame="middle"), "train", tmp_path, Silent()):
        red = 38 if clip.label == DOG else 22  # shown after 0.9 and 0.1 s
        assert np.asarray(clip.picture())[256, 256, 0] == pytest.approx(red, abs=4)
    for clip in DATA.clips(suite(), "test", tmp_path, Silent()):
        assert np.asarray(clip.picture())[256, 256, 0] == pytest.approx(30, abs=4)
    with pytest.raises(UserError, match=r"prepared otherwise \(train_frame, chooser, candidates differ\)"):
        make(files, tmp_path / "vggsound")


def test_clip_best_takes_the_frame_nearest_to_the_label() -> None:
    class Scorer:
        sha256 = "0" * 64
        preprocessing = Preprocessing(4, (0.0,) * 3, (1.0,) * 3)

        def embed_prepared(self, prepared: Sequence[Tensor]) -> np.ndarray:
            return np.array([image.mean((1, 2)).numpy() for image in prepared])

        def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
            return np.array([[1, 0, 0] if "dog" in text else [0, 1, 0] for text in texts], np.float32)

    from PIL import Image as Pillow

    choose = ClipBest(Scorer())

    def frames(*colours: tuple[int, int, int]) -> list[np.ndarray]:
        return [choose.look(Pillow.new("RGB", (9, 6), colour)) for colour in colours]

    shown = frames((250, 250, 0), (0, 90, 0), (60, 0, 0))
    assert choose([shown, shown[:2], shown], ["dog barking", "dog barking", "cat meowing"]) == [2, 0, 1]
    assert "0" * 64 in choose.identity


def test_the_time_of_all_is_estimated_by_the_first_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    now, given, ui = [0.0], list[int](), Silent()
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    advance = module._paced(given.append, 10_000, ui)
    for _ in range(30):  # eight clips in four seconds
        now[0] += 4
        advance(8)
    assert given == [8] * 30
    assert ui.said == ["preparing 10,000 clips takes about 1:23:20 (2 clips/s, measured on 64 of them)"]
    few = module._paced(given.append, 3 * module.PACE_CLIPS - 1, ui)
    for _ in range(24):
        few(8)
    assert len(ui.said) == 1


@pytest.mark.parametrize(("size", "stored"), [((1280, 720), (910, 512)), ((48, 64), (512, 683))])
def test_the_short_side_of_a_frame_is_512(tmp_path: Path, size: tuple[int, int], stored: tuple[int, int]) -> None:
    (frame,) = extract_clip(Job("k", video(tmp_path / "v.mp4", 0.3, tone(500), size=size), None, 1)).frames
    assert (frame.width, frame.height) == stored


def test_long_clips_are_cut_to_ten_seconds_and_frames_stand_where_they_should(tmp_path: Path) -> None:
    import io

    from PIL import Image as Pillow

    long = video(tmp_path / "long.mp4", 12, tone(500, 12))
    one = extract_clip(Job("k", long, None, 5))
    assert one.samples == 160_000 and [frame.second for frame in one.frames] == [1, 3, 5, 7, 9]
    reds = [np.asarray(Pillow.open(io.BytesIO(frame.jpeg)))[256, 256, 0] for frame in one.frames]
    assert reds == pytest.approx([40, 80, 120, 160, 200], abs=4)


def test_the_verb(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    told = ("prepare", "vggsound", files / "videos", "--list", files / "vggsound.csv", "--suite", "mini", "--jobs", 1)
    result = bench(*told)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[-1] == str(tmp_path / "vggsound")
    (row,) = [line.split() for line in lines if line.strip().startswith("test")]
    assert row == ["test", "5", "4", "4", "80.0", "%", "2", "of", "3", "owl", "hooting:", "0", "of", "1"]
    assert "published list 15,446" in result.err
    assert bench(*told, "--json").json["splits"]["train"]["prepared"] == 7
    assert (tmp_path / "vggsound" / "dataset.json").exists()
    bad = bench("prepare", "vggsund", tmp_path)
    assert bad.code == 2 and "did you mean 'vggsound'" in bad.err
    bad = bench("prepare", "vggsound", tmp_path, "--frame", "best")
    assert bad.code == 2 and len(bad.err.splitlines()) == 2 and "--list is missing" in bad.err


# ------------------------------------------------------------------------------------------------------------ streaming


def taken(stream: Stream, count: int) -> list[Any]:
    return list(islice(stream, count))


def same(one: Any, other: Any) -> bool:
    return one.position == other.position and all(np.array_equal(a, b) for a, b in zip(one[1:], other[1:], strict=True))


PLACE = ("seed", "position", "rank", "world")


@pytest.fixture
def stream(found: Any) -> Any:
    train = found("train")

    def made(**options: Any) -> Stream:
        place = StreamPlace(**{"seed": 5, **{name: options.pop(name) for name in PLACE if name in options}})
        return Stream(train, suite(), place, **{"seconds": 0.25, "buffer": 3, **options})

    return made


def test_a_stream_gives_every_clip_once_an_epoch_in_an_order_of_its_seed(stream: Any) -> None:
    samples = taken(stream(), 21)
    epochs = [[sample.position for sample in samples[start : start + 7]] for start in (0, 7, 14)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs) and len(set(map(tuple, epochs))) > 1
    assert all(map(same, samples, taken(stream(), 21)))
    assert [sample.position for sample in taken(stream(seed=6), 21)] != [sample.position for sample in samples]
    train, sample = stream().clips, samples[0]
    assert sample.sound.shape == (4000,) and sample.sound.dtype == np.float32
    assert sample.frame.shape == (64, 64, 3) and sample.frame.dtype == np.uint8
    whole = train[sample.position].waveform()
    places = [k for k in range(whole.size - 4000) if np.array_equal(whole[k : k + 4], sample.sound[:4])]
    assert any(np.array_equal(whole[k : k + 4000], sample.sound) for k in places), "a window of the clip itself"
    windows = [sample.sound for sample in samples if sample.position == 0]
    assert not np.array_equal(windows[0], windows[1]), "another window in another epoch"
    assert np.asarray(train[sample.position].picture())[256, 256] == pytest.approx(sample.frame[32, 32], abs=3)


@pytest.mark.parametrize("position", [0, 1, 5, 7, 13])
def test_a_stream_continues_exactly(stream: Any, position: int) -> None:
    samples = taken(stream(), 20)
    again = stream(position=position)
    assert all(map(same, samples[position:], taken(again, 20 - position)))
    assert again.position == 20


@pytest.mark.parametrize(("decoders", "position"), [(1, 0), (3, 5)])
def test_decoding_ahead_changes_no_example(stream: Any, decoders: int, position: int) -> None:
    ahead = stream(decoders=decoders, position=position)
    assert all(map(same, taken(stream(position=position), 15), taken(ahead, 15)))
    assert ahead.position == position + 15, "what was decoded and not taken does not count"


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_order_of_one(stream: Any, world: int) -> None:
    samples = taken(stream(), 24)
    for rank in range(world):
        mine = taken(stream(rank=rank, world=world), 24 // world)
        assert all(map(same, samples[rank::world], mine))
        later = taken(stream(rank=rank, world=world, position=4), 24 // world - 4)
        assert all(map(same, mine[4:], later))


def test_a_window_longer_than_the_clip_repeats_it(stream: Any) -> None:
    sample = taken(stream(seconds=3.0, frames=False), 1)[0]
    whole = stream().clips[sample.position].waveform()
    assert sample.frame is None and np.array_equal(sample.sound, np.resize(whole, 48_000))


def test_the_buffer_bounds_how_far_a_clip_moves() -> None:
    shards = [list(range(start, start + 10)) for start in range(0, 100, 10)]
    arriving, leaving = buffered_order(shards, 16, 1, 0)
    assert sorted(leaving) == sorted(arriving) == list(range(100)) and arriving != leaving
    assert all(set(leaving[: n + 1]) <= set(arriving[: n + 16]) for n in range(100))
    assert [arriving[start] % 10 for start in range(0, 100, 10)] == [0] * 10, "shards are read in sequence"
    assert buffered_order(shards, 1, 1, 0)[0] == buffered_order(shards, 1, 1, 0)[1]


def test_what_cannot_stream(stream: Any) -> None:
    for options in ({"buffer": 0}, {"rank": 2, "world": 2}, {"position": -1}, {"seconds": 0.0}, {"decoders": -1}):
        with pytest.raises(ValueError, match="no stream has"):
            stream(**options)
    loose = ClipSet("loose", (Clip("a", tone(400), None, (DOG,), "train"),), (DOG,))
    with pytest.raises(ValueError, match="only prepared data can be streamed"):
        Stream(loose, suite(), StreamPlace(0))


def test_a_pipe_is_a_bad_file_and_a_hang_is_reported_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "v.mp4")
    job = Job("k", tmp_path / "v.mp4", None, 1)
    assert extract_clip(job).reasons == (
        "video 'v.mp4' is a pipe, not a file: remove it",
        "audio 'v.mp4' is a pipe, not a file: correct the path",
    )
    assert ended(job, "hang").reasons == ("video 'v.mp4' makes the decoder hang: replace it",)
