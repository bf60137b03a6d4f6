"""Runs here are synthetic: their records were made up for the tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import boards
import pytest

from benchmark.records import store as module
from benchmark.records.provenance import Provenance
from benchmark.records.record import RunRecord, run_identity
from benchmark.records.store import (
    Folder,
    Reuse,
    RunFolder,
    Store,
    packaged_records,
    packaged_results,
    publish,
    set_aside,
)
from benchmark.utils.env import PACKAGE, cache_dir
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.files import digest

MADE = {**boards.MADE, "commit": "c" * 40, "dirty": False}


def synthetic(suite: str = "mini", seed: int | None = 0, **changes: Any) -> RunRecord:
    data: dict[str, Any] = {
        "status": "complete",
        "suite": {"name": suite, "version": 1, "fingerprint": "f" * 64},
        "method": {"name": "audiotoken", "card": {}, "settings": {"steps": 10}},
        "seed": seed,
        "limit": None,
        "metrics": {},
        "clips": {"total": 4},
        "provenance": {"generate": [MADE], "score": [MADE]},
    }
    data = {**data, **changes}
    data["identity"] = run_identity("f" * 64, "audiotoken", {"steps": 10}, seed, data["limit"])
    return RunRecord.model_validate(data)


def test_the_layout_is_the_documented_one(tmp_path):
    store = Store(tmp_path)
    assert store.run("mini", "audiotoken", 0).path == tmp_path / "mini" / "audiotoken" / "seed0"
    assert store.run("mini", "reference", None).path.name == "seedless"
    limited = store.run("mini+mine", "audiotoken", 3, limit=8, changed={"steps": 5})
    assert limited.path.parent == tmp_path / "mini+mine" / "audiotoken"
    assert limited.path.name.startswith("seed3-limit8-") and len(limited.path.name) == len("seed3-limit8-") + 8
    assert store.run("mini", "a", 0, changed={}).path.name == "seed0"
    assert store.fit("mini", "audiotoken", "0123456789abcdef").path == tmp_path / "mini" / "audiotoken-01234567"
    assert list(tmp_path.iterdir()) == []
    run = store.run("mini", "audiotoken", 0)
    assert (run.record_path.name, run.scores_path.name, run.images.name) == ("record.json", "scores.parquet", "images")


@pytest.mark.parametrize("name", ["../escape", "a/b", "..", ".hidden", "", "a b"])
def test_no_name_leaves_its_folder(tmp_path, name):
    path = Store(tmp_path).run("mini", name, 0).path
    assert path.parent.parent == tmp_path / "mini"
    assert not path.parent.name.startswith(".") and "/" not in path.parent.name
    assert path != Store(tmp_path).run("mini", name.replace("/", "_").replace(" ", "_") + "x", 0).path


def test_root_and_cache_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("BENCH_RUNS", raising=False)
    monkeypatch.delenv("BENCH_CACHE", raising=False)
    assert Store().root == Path("runs")
    assert "audio2image-bench" in str(cache_dir())
    monkeypatch.setenv("BENCH_RUNS", str(tmp_path / "r"))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "c"))
    assert Store().root == tmp_path / "r" and cache_dir() == tmp_path / "c"
    assert Store(tmp_path / "given").root == tmp_path / "given"
    assert not (tmp_path / "c").exists()


def test_image_paths_are_unique_or_refused(tmp_path):
    run = RunFolder(tmp_path)
    paths = run.image_paths(["a", "b_000016"], per_clip=2)
    assert paths["a", 0] == tmp_path / "images" / "a.png"
    assert paths["a", 1] == tmp_path / "images" / "a_1.png"
    assert paths["b_000016", 1].name == "b_000016_1.png"
    assert run.image_paths(["a", "a_1"])
    with pytest.raises(UserError, match="clips 'a' and 'a_1' would share the picture a_1.png"):
        run.image_paths(["a", "a_1"], per_clip=2)
    with pytest.raises(UserError, match="would share"):
        run.image_paths(["a", "a"])
    for bad in ["", "../a", "a/b", ".a", "a\\b", "a\nb", "C:a"]:
        with pytest.raises(UserError, match="cannot name a picture"):
            run.image_paths([bad])


def test_a_step_is_reused_only_if_its_identity_matches_and_its_output_is_there(tmp_path):
    folder = Folder(tmp_path)
    assert not folder.step_done("fit", "one") and folder.payload("fit") == {}
    folder.begin("fit", "one", outputs=["weights"])
    assert not folder.step_done("fit", "one")
    (tmp_path / "weights").write_text("w")
    folder.mark_done("fit", "one", {"seconds": 2.5})
    assert folder.step_done("fit", "one") and not folder.step_done("fit", "two")
    assert not folder.step_done("fit", "one", Reuse.NEVER)
    assert folder.payload("fit") == {"seconds": 2.5}
    assert not folder.step_done("score", "one")
    (tmp_path / "weights").unlink()
    assert not folder.step_done("fit", "one")


def test_a_damaged_marker_vouches_for_nothing(tmp_path):
    folder = Folder(tmp_path)
    folder.mark_done("fit", "one")
    assert folder.step_done("fit", "one")
    for text in ["", "{", "[]", "\xff"]:
        (tmp_path / "steps" / "fit.json").write_bytes(text.encode("latin-1"))
        assert not folder.step_done("fit", "one") and folder.payload("fit") == {}


def test_no_bit_of_a_marker_can_be_changed(tmp_path):
    folder = Folder(tmp_path)
    (tmp_path / "weights").write_text("w")
    folder.mark_done("fit", "one", {"seconds": 2.5}, [tmp_path / "weights"])
    marker = tmp_path / "steps" / "fit.json"
    written, state = marker.read_bytes(), json.loads(marker.read_bytes())
    for place in range(len(written)):
        marker.write_bytes(written[:place] + bytes([written[place] ^ 1]) + written[place + 1 :])
        try:
            said = json.loads(marker.read_bytes())
        except ValueError:
            said = None
        assert said == state or folder.step_done("fit", "one") is False, place
        assert folder.payload("fit") in ({}, {"seconds": 2.5})
    marker.write_bytes(written)
    assert folder.step_done("fit", "one")


def test_what_a_step_made_is_compared_with_what_it_was(tmp_path):
    folder = Folder(tmp_path)
    images = [tmp_path / "images" / f"{name}.png" for name in "abc"]
    folder.begin("generate", "one", ["images"])
    images[0].parent.mkdir()
    for image in images:
        image.write_bytes(image.name.encode())
    folder.mark_done("generate", "one", files=images)
    first = folder.checksum("generate")
    assert folder.step_done("generate", "one") and folder.damaged("generate") == {}
    images[0].write_bytes(b"b.png")
    images[1].write_bytes(b"")
    images[2].unlink()
    assert folder.damaged("generate") == {
        "images/a.png": "is not what was written",
        "images/b.png": "is empty",
        "images/c.png": "is missing",
    }
    assert not folder.step_done("generate", "one")
    images[2].write_bytes(b"c.png")
    stray = tmp_path / "images" / "d.png"
    stray.write_bytes(b"of unknown origin")
    found = folder.resume("generate", "one", [*images, stray])
    assert found is not None and list(found) == ["images/a.png", "images/b.png", "images/d.png"]
    assert [image.exists() for image in (*images, stray)] == [False, False, True, False]
    assert folder.resume("generate", "another") is None
    for image in images[:2]:
        image.write_bytes(image.name.encode())
    folder.note_files("generate", images[:2])
    folder.mark_done("generate", "one", files=images)
    assert folder.step_done("generate", "one") and folder.checksum("generate") == first
    assert sorted(path.name for path in (tmp_path / "steps").iterdir()) == ["generate.json"]


def test_an_interrupted_step_keeps_only_what_it_noted_and_what_is_whole(tmp_path):
    folder = Folder(tmp_path)
    images = [tmp_path / f"{name}.png" for name in "abc"]
    folder.begin("generate", "one")
    for image in images:
        image.write_bytes(image.name.encode())
    folder.note_files("generate", images[:2])
    with open(tmp_path / "steps" / "generate.xxh3", "a") as file:
        file.write("0" * 32 + "  c.pn")  # the process was killed while it wrote
    images[1].write_bytes(b"b.pnG")
    assert folder.resume("generate", "one", images) == {"b.png": "is not what was written", "c.png": "has no checksum"}
    assert [image.exists() for image in images] == [True, False, False]


def test_a_marker_that_is_gone_or_not_what_was_written_is_named(tmp_path):
    folder, made = Folder(tmp_path), [tmp_path / "a.png"]
    assert folder.marker_damage("generate", made) == {}  # nobody began
    made[0].write_bytes(b"a")
    assert folder.marker_damage("generate", made) == {"steps/generate.json": "is missing"}
    folder.begin("generate", "one")
    assert folder.marker_damage("generate", made) == {}
    folder.mark_done("generate", "one", files=made)
    marker = tmp_path / "steps" / "generate.json"
    marker.with_name("score.json").write_bytes(marker.read_bytes())
    assert folder.marker_damage("score") == {"steps/score.json": "is not what was written"}
    assert not folder.step_done("score", "one") and folder.step_done("generate", "one")
    marker.write_text("")
    assert folder.marker_damage("generate") == {"steps/generate.json": "is not what was written"}


def test_what_a_former_version_made_is_taken_as_it_is(tmp_path):
    folder = Folder(tmp_path)
    image = tmp_path / "a.png"
    image.write_bytes(b"a")
    marker = tmp_path / "steps" / "generate.json"
    marker.parent.mkdir()
    former = {"step": "generate", "state": "done", "identity": "one", "outputs": [], "payload": {"seconds": 1}}
    marker.write_text(json.dumps(former))
    assert folder.step_done("generate", "one") and folder.is_former("generate") and folder.checksum("generate") is None
    assert folder.resume("generate", "one", [image]) == {} and image.exists()
    folder.mark_done("generate", "one", files=[image])
    assert not folder.is_former("generate") and folder.checksum("generate")


def test_pictures_are_continued_or_set_aside_but_never_overwritten(tmp_path):
    folder = Folder(tmp_path)
    picture = tmp_path / "images" / "a.png"
    picture.parent.mkdir()
    picture.write_text("of unknown origin")
    assert folder.begin("generate", "one", ["images"]) == [tmp_path / "images.old-1"]

    picture.parent.mkdir()
    picture.write_text("one, interrupted")
    assert folder.begin("generate", "one", ["images"]) == []
    assert picture.read_text() == "one, interrupted"

    assert folder.begin("generate", "two", ["images"]) == [tmp_path / "images.old-2"]
    picture.parent.mkdir()
    picture.write_text("two, finished")
    folder.mark_done("generate", "two")
    assert folder.begin("generate", "two", ["images"]) == [tmp_path / "images.old-3"]
    kept = [(tmp_path / f"images.old-{k}" / "a.png").read_text() for k in (1, 2, 3)]
    assert kept == ["of unknown origin", "one, interrupted", "two, finished"]


def test_nothing_is_set_aside_where_there_is_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    assert set_aside(tmp_path / "empty") is None and set_aside(tmp_path / "absent") is None


HOLD = """
import sys
from benchmark.records.store import Folder
with Folder(sys.argv[1]).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    root = PACKAGE.parent
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_told_and_a_killed_one_holds_nothing(tmp_path, holder):
    folder = Folder(tmp_path / "run")
    with pytest.raises(RunError, match="another process is working in") as caught, folder.lock():
        pass
    assert "\n" not in str(caught.value)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with folder.lock():
        pass


def test_waiting_says_so_once_and_goes_on(tmp_path, holder):
    said: list[str] = []

    def waiting(line: str) -> None:
        said.append(line)
        threading.Timer(0.2, holder.kill).start()

    with Folder(tmp_path / "run").lock(waiting):
        assert holder.wait() != 0
    assert len(said) == 1 and said[0].startswith("waiting for another process")


def test_a_lock_is_free_after_an_error_and_a_bad_place_is_a_users_mistake(tmp_path):
    folder = Folder(tmp_path / "run")
    with pytest.raises(ZeroDivisionError), folder.lock():
        raise ZeroDivisionError
    with folder.lock():
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another place with --runs"), Folder(tmp_path / "file" / "run").lock():
        pass


def test_an_error_of_the_work_is_not_taken_for_a_bad_place(tmp_path):
    with pytest.raises(OSError, match="disk"), Folder(tmp_path / "run").lock():
        raise OSError("disk")


def test_records_are_found_and_unreadable_ones_are_named(tmp_path):
    store = Store(tmp_path)
    assert store.records("mini") == ([], []) and store.suites() == []
    for seed in (1, 0):
        synthetic(seed=seed).save(store.run("mini", "audiotoken", seed).record_path)
    synthetic("other").save(store.run("other", "audiotoken", 0).record_path)
    bad = store.run("mini", "broken", 0).record_path
    bad.parent.mkdir(parents=True)
    bad.write_text("{")
    aside = tmp_path / "mini" / "audiotoken" / "seed0.old-1" / "record.json"
    synthetic().save(aside)
    found = store.records("mini")
    assert [(s.record.seed, s.where) for s in found.records] == [(0, "runs"), (1, "runs")]
    assert len(found.problems) == 1 and found.problems[0].startswith(f"{bad}: not strict JSON")
    assert store.suites() == ["mini", "other"]


def test_packaged_records_come_from_the_wheel_or_the_checkout(tmp_path, monkeypatch):
    package = tmp_path / "site" / "benchmark"
    package.mkdir(parents=True)
    monkeypatch.setattr(module, "PACKAGE", package)
    (tmp_path / "site" / "results" / "mini").mkdir(parents=True)
    assert packaged_results() is None and packaged_records("mini") == ([], [])
    (tmp_path / "site" / "pyproject.toml").write_text("")
    assert packaged_results() == tmp_path / "site" / "results"
    (package / "_results").mkdir()
    assert packaged_results() == package / "_results"
    synthetic().save(package / "_results" / "mini" / "audiotoken-seed0.json")
    synthetic(seed=None).save(package / "_results" / "mini" / "audiotoken-seedless.json")
    (package / "_results" / "mini" / "table.json").write_text("[]")
    found = packaged_records("mini")
    assert [s.where for s in found.records] == ["packaged"] * 2 and found.problems == []


def test_a_damaged_record_is_named_and_shown_on_no_board(tmp_path):
    runs = [Store(tmp_path).run("mini", "audiotoken", seed) for seed in (0, 1)]
    for seed, run in enumerate(runs):
        make_run(run, synthetic(seed=seed))
        run.mark_done("score", "one", files=[run.record_path, run.scores_path])
    assert len(Store(tmp_path).records("mini").records) == 2
    runs[1].record_path.write_text(runs[1].record_path.read_text().replace('"total": 4', '"total": 5'))
    found = Store(tmp_path).records("mini")
    assert [one.record.seed for one in found.records] == [0]
    assert found.problems == [f"{runs[1].record_path}: is not what was written: the same `bench run` makes it anew"]
    with pytest.raises(UserError, match="record.json is not what was written: start the same `bench run` again"):
        publish(RunFolder(runs[1].path), tmp_path / "results")


@pytest.mark.parametrize(
    ("name", "seed", "words"),
    [
        (
            "mini/audiotoken-seed1.json",
            0,
            "holds a run of method 'audiotoken', seed 0: rename it to audiotoken-seed0.json",
        ),
        (
            "mini/sd-text-seed0.json",
            0,
            "holds a run of method 'audiotoken', seed 0: rename it to audiotoken-seed0.json",
        ),
        ("mini/audiotoken-seed0.json", None, "method 'audiotoken', no seed: rename it to audiotoken-seedless.json"),
        ("mini/audiotoken-seed0-0123456.json", 0, "rename it to audiotoken-seed0.json"),
        ("other/audiotoken-seed0.json", 0, "holds a record of suite 'mini': move it to mini/"),
    ],
)
def test_a_renamed_record_is_refused_and_the_others_stand(tmp_path, monkeypatch, name, seed, words):
    monkeypatch.setattr(module, "packaged_results", lambda: tmp_path)
    path, suite = tmp_path / name, name.partition("/")[0]
    synthetic(seed=seed).save(path)
    synthetic(suite, seed=7).save(path.with_name("audiotoken-seed7.json"))
    synthetic(suite, seed=8).save(path.with_name("audiotoken-seed8-0123abcd.json"))
    found = packaged_records(suite)
    assert [one.record.seed for one in found.records] == [7, 8]
    (problem,) = found.problems
    assert problem.startswith(f"{path}: ") and words in problem


def deep(path: Path) -> None:
    path.write_text('{"metrics": ' + "[" * 50_000 + "]" * 50_000 + "}")


def edited(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(synthetic().to_json()), **changes}))


DAMAGE = {
    "deep": (deep, "not strict JSON"),
    "a surrogate": (lambda path: edited(path, warnings=["\ud800"]), "not strict JSON"),
    "a pipe": (os.mkfifo, "cannot be read: not a regular file"),
    "endless": (lambda path: path.symlink_to("/dev/zero"), "cannot be read: not a regular file"),
    "a folder": (Path.mkdir, "cannot be read: Is a directory"),
    "huge": (
        lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 10**13),
        "cannot be read: larger than 64 MB",
    ),
    "empty": (Path.touch, "not strict JSON"),
    "newer": (lambda path: edited(path, schema_version=99), "schema_version 99 is newer than this program's"),
    "edited": (lambda path: edited(path, seed=5), "is not that of its contents"),
    "a list": (lambda path: path.write_text("[]"), "a record is a JSON object"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_one_bad_record_costs_one_line_and_the_others_stand(tmp_path, kind):
    store = Store(tmp_path)
    synthetic().save(store.run("mini", "audiotoken", 0).record_path)
    bad = store.run("mini", "bad", 0).record_path
    bad.parent.mkdir(parents=True)
    damage, words = DAMAGE[kind]
    damage(bad)
    found = store.records("mini")
    assert [one.record.seed for one in found.records] == [0]
    (problem,) = found.problems
    assert problem.startswith(f"{bad}: ") and words in problem and len(problem) < 400


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"state": "done", "identity": "one", "payload": []}',
        '{"state": "done", "identity": "one", "outputs": 5}',
        '{"state": "done", "identity": "one", "outputs": [5]}',
    ],
)
def test_a_marker_of_another_shape_vouches_for_nothing(tmp_path, text):
    folder = Folder(tmp_path)
    folder.mark_done("fit", "one")
    (tmp_path / "steps" / "fit.json").write_text(text)
    assert not folder.step_done("fit", "one") and folder.payload("fit") == {} and folder.state("fit") == "not begun"
    (tmp_path / "steps" / "fit.json").unlink()
    os.mkfifo(tmp_path / "steps" / "fit.json")
    assert not folder.step_done("fit", "one")


def make_run(folder: RunFolder, record: RunRecord) -> RunFolder:
    record.save(folder.record_path)
    folder.scores_path.write_bytes(b"scores")
    return folder


def test_publish_copies_the_record_and_its_scores(tmp_path):
    run = make_run(Store(tmp_path / "runs").run("mini", "audiotoken", 0), synthetic())
    results = tmp_path / "results"
    written = publish(run, results)
    assert written == [results / "mini" / "audiotoken-seed0.json", results / "mini" / "audiotoken-seed0.parquet"]
    assert written[0].read_bytes() == run.record_path.read_bytes() and written[1].read_bytes() == b"scores"
    assert publish(run, results) == []
    run.scores_path.write_bytes(b"other scores")
    with pytest.raises(UserError, match="audiotoken-seed0.parquet holds another result: give --replace"):
        publish(run, results)
    assert written[1].read_bytes() == b"scores"
    assert publish(run, results, replace=True) == [written[1]]
    assert written[1].read_bytes() == b"other scores"


def test_publish_copies_the_hashes_of_the_images_and_no_board_takes_them_for_a_record(tmp_path, monkeypatch):
    run = make_run(Store(tmp_path / "runs").run("mini", "audiotoken", 0), synthetic())
    (run.path / "images.json").write_text("{}")
    written = publish(run, tmp_path / "results")
    assert written[2] == tmp_path / "results" / "mini" / "audiotoken-seed0.images.json"
    assert written[2].read_text() == "{}"
    monkeypatch.setattr("benchmark.records.store.packaged_results", lambda: tmp_path / "results")
    found = packaged_records("mini")
    assert len(found.records) == 1 and found.problems == []


def test_published_names_tell_settings_apart_also_in_renamed_folders(tmp_path):
    store = Store(tmp_path / "runs")
    changed = make_run(store.run("mini", "audiotoken", 0, changed={"rate": 1}), synthetic())
    renamed = make_run(RunFolder(tmp_path / "best"), synthetic())
    names = [publish(run, tmp_path / "results")[0].name for run in (changed, renamed)]
    assert names[0] == f"audiotoken-{changed.path.name}.json"
    assert names[1].startswith("audiotoken-seed0-")


def test_publish_refuses_what_does_not_belong_on_the_board(tmp_path):
    dirty, outside = {**MADE, "dirty": True}, {**MADE, "commit": None, "dirty": None}
    fitted = {"cost": {"fit_steps": 10}}
    cases = {
        "the run is incomplete": synthetic(status="incomplete"),
        "only 8 clips were used": synthetic(limit=8),
        r"uncommitted changes \(score\)": synthetic(provenance={"generate": [MADE], "score": [dirty]}),
        r"uncommitted changes \(generate\)": synthetic(provenance={"generate": [dirty, MADE], "score": [MADE]}),
        r"uncommitted changes \(fit\)": synthetic(
            **fitted, provenance={"fit": [MADE, dirty], "generate": [MADE], "score": [MADE]}
        ),
        r"no commit says .* \(generate, score\)": synthetic(provenance={"generate": [outside], "score": [outside]}),
        r"an older version made this, .* \(generate\)": synthetic(provenance={"score": [MADE]}),
        r"an older version made this, .* \(fit\)": synthetic(**fitted),
        "was edited": synthetic().model_copy(update={"identity": "0" * 64}),
    }
    for number, (message, record) in enumerate(cases.items()):
        run = make_run(RunFolder(tmp_path / str(number)), record)
        with pytest.raises(UserError, match=message) as caught:
            publish(run, tmp_path / "results")
        assert len(caught.value.problems) == 1
    everything = synthetic(status="failed", limit=8, provenance={"generate": [MADE], "score": [dirty]})
    with pytest.raises(UserError) as caught:
        publish(make_run(RunFolder(tmp_path / "all"), everything), tmp_path / "results")
    assert len(caught.value.problems) == 3
    with pytest.raises(UserError, match="cannot be read"):
        publish(RunFolder(tmp_path / "absent"), tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_step_files_are_plain_json(tmp_path):
    folder = Folder(tmp_path)
    folder.begin("score", "one", ["record.json"])
    data = json.loads((tmp_path / "steps" / "score.json").read_text())
    checksum = data.pop("checksum")
    assert data == {"step": "score", "state": "begun", "identity": "one", "outputs": ["record.json"]}
    assert checksum == digest(data)[:32]


def test_what_a_step_was_made_with_is_noted_before_the_work_and_stays_with_what_it_left(tmp_path):
    clean, dirty = Provenance.model_validate(MADE), Provenance.model_validate({**MADE, "dirty": True})
    later = clean.model_copy(update={"date": "2025-01-01T00:00:00Z"})
    folder = Folder(tmp_path)

    def attempt(identity: str, made: Provenance, **more: bool) -> None:
        folder.begin("generate", identity)
        folder.note("generate", made, **more)

    attempt("one", dirty)
    attempt("one", clean)
    attempt("one", later)
    assert folder.made_with("generate") == (dirty, clean), "killed under the one, continued under the other"
    folder.mark_done("generate", "one", {"seconds": 1.0})
    assert folder.made_with("generate") == (dirty, clean) and folder.payload("generate") == {"seconds": 1.0}
    folder.note("generate", later.model_copy(update={"commit": "d" * 40}))
    assert len(folder.made_with("generate")) == 3, "a lost image was made again in a finished step"
    assert folder.step_done("generate", "one")
    attempt("two", clean)
    assert folder.made_with("generate") == (clean,), "nothing of the other identity is continued"
    attempt("two", dirty, continues=False)
    assert folder.made_with("generate") == (dirty,)
    (tmp_path / "steps" / "generate.json").write_text('{"made_with": [{"commit": 1}]}')
    assert folder.made_with("generate") == folder.made_with("fit") == ()
