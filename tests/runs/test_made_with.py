"""What a record says of the code behind each step: it is noted when the step works, and a later one cannot wash it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from worlds import NOISE, bench, method_file, things

from benchmark.records import provenance
from benchmark.records.provenance import Checkout
from benchmark.records.record import RunRecord

FIT = """
    fits = True

    def fit(self, train):
        from benchmark.method import FitReport
        if (self.run.folder / "part").exists():
            (self.run.folder / "done").write_text("fit")
            return FitReport(1, 1)
        (self.run.folder / "part").write_text("half")
        raise KeyboardInterrupt
"""
ONE, TWO, THREE = (Checkout(letter * 40, False, None) for letter in "abc")
DIRTY = ONE._replace(dirty=True)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


class Bench:
    """`bench` on one method, from a checkout in a state that the test chooses."""

    def __init__(self, base: Path, folder: Path, patch: pytest.MonkeyPatch, more: str = "") -> None:
        self.runs, self.patch, self.results = folder / "runs", patch, folder / "results"
        self.given = ["--method", method_file(folder, NOISE, more=more), "--data", things(base)]

    def __call__(self, state: Checkout | None, verb: str, code: int = 0) -> Any:
        self.patch.setattr(provenance, "checkout_of", lambda package: state)
        result = bench(verb, *self.given, "--json", runs=self.runs)
        assert result.code == code, result.err
        return result

    @property
    def folder(self) -> Path:
        (path,) = self.runs.glob("*/*/*/plan.json")
        return path.parent

    @property
    def record(self) -> RunRecord:
        return RunRecord.load(self.folder / "record.json")

    def publish(self) -> Any:
        return bench("publish", self.folder, "--results", self.results)


def commits(record: RunRecord) -> dict[str, list[str]]:
    return {step: [commit[0] for commit in found] for step, found in record.provenance.commits.items()}


def test_a_clean_tree_that_scores_does_not_wash_a_dirty_one_that_generated(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Bench(base, tmp_path, monkeypatch)
    run(DIRTY, "generate")
    run(ONE, "run")
    made = run.record.provenance
    assert [one.dirty for one in made.generate] == [True] and [one.dirty for one in made.score] == [False]
    assert made.dirty is True and made.fit == ()
    refused = run.publish()
    assert refused.code == 2 and "uncommitted changes (generate)" in refused.err and not run.results.exists()


def test_different_commits_are_stated_and_published(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Bench(base, tmp_path, monkeypatch)
    run(ONE, "generate")
    run(TWO, "run")
    record = run.record
    assert commits(record) == {"fit": [], "generate": ["a"], "score": ["b"]} and record.provenance.dirty is False
    (warning,) = record.warnings
    assert warning == "the steps were made at different commits: generate aaaaaaaa; score bbbbbbbb"
    assert run.publish().code == 0
    (copy,) = [path for path in run.results.rglob("*.json") if not path.name.endswith(".images.json")]
    assert RunRecord.load(copy) == record and copy.name == f"plain-{run.folder.name}.json"


def test_images_that_another_tree_made_again_are_that_trees_too(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Bench(base, tmp_path, monkeypatch)
    run(ONE, "run")
    next(run.folder.rglob("*.png")).unlink()
    run(DIRTY, "generate")
    (run.folder / "record.json").unlink()
    run(THREE, "run")
    assert commits(run.record)["generate"] == ["a"] and [one.dirty for one in run.record.provenance.generate] == [
        False,
        True,
    ]
    assert commits(run.record)["score"] == ["c"] and run.publish().code == 2


def test_a_fit_that_a_dirty_tree_began_is_not_clean_because_a_clean_one_ended_it(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Bench(base, tmp_path, monkeypatch, FIT)
    run(DIRTY, "fit", code=130)
    run(TWO, "fit")
    run(THREE, "run")
    record = run.record
    assert commits(record) == {"fit": ["a", "b"], "generate": ["c"], "score": ["c"]}
    assert record.provenance.dirty is True and "fit aaaaaaaa, bbbbbbbb; generate cccccccc" in record.warnings[0]
    refused = run.publish()
    assert refused.code == 2 and "uncommitted changes (fit)" in refused.err
    one = record.provenance.fit[0]
    assert one.device == "cpu" and one.threads and one.packages["torch"]


def test_scoring_starts_from_nothing_so_an_earlier_attempt_does_not_count(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Bench(base, tmp_path, monkeypatch)
    run(ONE, "generate")
    with monkeypatch.context() as patch:
        patch.setattr("benchmark.runs.scoring.embed", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        run(DIRTY, "run", code=130)
    run(ONE, "run")
    assert run.record.provenance.dirty is False and run.publish().code == 0


def test_work_of_an_older_program_is_shown_and_not_published(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    run = Bench(base, tmp_path, monkeypatch)
    run(ONE, "generate")
    marker = run.folder / "steps" / "generate.json"
    state = json.loads(marker.read_text())
    for name in ("made_with", "sums", "checksum"):
        del state[name]
    marker.write_text(json.dumps(state))
    run(ONE, "run")
    assert run.record.provenance.generate == () and run.record.status == "complete"
    refused = run.publish()
    assert refused.code == 2 and "an older version made this" in refused.err and "(generate)" in refused.err


def test_outside_a_checkout_there_is_nothing_to_publish(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Bench(base, tmp_path, monkeypatch)
    run(None, "run")
    assert run.record.provenance.dirty is None
    refused = run.publish()
    assert refused.code == 2 and "no commit says which code made this (generate, score)" in refused.err
