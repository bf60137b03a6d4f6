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

import pytest

from benchmark.records import store as module
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


def synthetic(suite: str = "mini", seed: int | None = 0, **changes: Any) -> RunRecord:
    data: dict[str, Any] = {
        "status": "complete",
        "suite": {"name": suite, "version": 1, "fingerprint": "f" * 64},
        "method": {"name": "audiotoken", "card": {}, "settings": {"steps": 10}},
        "seed": seed,
        "limit": None,
        "metrics": {},
        "clips": {"total": 4},
        "provenance": {
            "package_version": None,
            "commit": "c" * 40,
            "dirty": False,
            "origin": None,
            "python": "3.12.0",
            "platform": "Linux",
            "cpu": "x",
            "packages": {},
            "device": "cpu",
            "device_name": None,
            "threads": 1,
            "date": "2024-01-01T00:00:00Z",
        },
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
    made = synthetic().provenance.model_dump()
    cases = {
        "the run is incomplete": synthetic(status="incomplete"),
        "only 8 clips were used": synthetic(limit=8),
        "uncommitted changes": synthetic(provenance={**made, "dirty": True}),
        "no commit says": synthetic(provenance={**made, "commit": None, "dirty": None}),
        "edited by hand": synthetic().model_copy(update={"identity": "0" * 64}),
    }
    for number, (message, record) in enumerate(cases.items()):
        run = make_run(RunFolder(tmp_path / str(number)), record)
        with pytest.raises(UserError, match=message) as caught:
            publish(run, tmp_path / "results")
        assert len(caught.value.problems) == 1
    everything = synthetic(status="failed", limit=8, provenance={**made, "dirty": True})
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
    assert data == {"step": "score", "state": "begun", "identity": "one", "outputs": ["record.json"]}
