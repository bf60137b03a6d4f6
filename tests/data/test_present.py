"""Videos rot: runs on the clips that are there have a board of their own, and fits know what they were made of."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import worlds
from videos import A, B, C, D, tone, video, write_list

from benchmark import doctor, suite
from benchmark.data import vggsound
from benchmark.data.prepare.pipeline import prepare
from benchmark.data.present import as_present
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.suite import Suite, load_suite
from benchmark.utils.progress import Silent

DOG, CAT = "dog barking", "cat meowing"
TEST = [(A, 34, DOG), (A, 44, CAT), (B, 0, CAT), (D, 1, DOG)]
TRAIN = [(C, k, DOG if k % 2 else CAT) for k in range(3)]


class World:
    """A machine with some of the listed videos, and a suite `mini` that asks for all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rows = [(*row, "test") for row in TEST] + [(*row, "train") for row in TRAIN]
        self.list = write_list(folder / "vggsound.csv", rows)

    def have(self, *rows: tuple[str, int, str]) -> World:
        for identity, start, _ in rows:
            path = self.folder / "videos" / f"{identity}_{start:06d}.mp4"
            if not path.exists():
                video(path, 0.5, tone(300 + 50 * start, 0.5))
        prepare(self.folder / "videos", self.folder / "vggsound", self.list, workers=0, ui=Silent())
        return self

    def plan(self, ui: Silent | None = None, method: str = "audiotoken", limit: int | None = None) -> Run:
        return Run.of(RunRequest(suite="mini", method=method, limit=limit, runs=self.folder / "runs"), ui or Silent())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    text = (suite.FOLDER / "mini.toml").read_text(encoding="utf-8")
    for old, new in (
        ('source = "mini" ', 'source = "vggsound" '),
        ("train = 1820", f"train = {len(TRAIN)}"),
        ("validation = 468", "validation = 0"),
        ("test = 468", f"test = {len(TEST)}"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "mini.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(suite, "FOLDER", tmp_path / "suites")
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    return World(tmp_path)


def test_a_run_on_the_clips_that_are_there_is_finished_and_has_its_own_board(world: World, tmp_path: Path) -> None:
    world.have(*TEST[:3], *TRAIN)
    method, runs = worlds.method_file(tmp_path, worlds.GREY), tmp_path / "runs"
    result = worlds.bench("run", "--method", method, "--json", runs=runs)
    assert result.code == 0, result.err
    assert result.json["status"] == "complete" and result.json["suite"]["name"] == "mini+3of4"
    assert result.json["clips"]["total"] == 3
    warnings = [line for line in result.err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1 and "3 of 4 test clips" in warnings[0] and "'mini+3of4'" in warnings[0]
    (folder,) = runs.glob("mini+3of4-*/plain/*")
    pictures = [path.stat().st_mtime_ns for path in sorted((folder / "images").iterdir())]
    assert worlds.bench("run", "--method", method, "--json", runs=runs).json == result.json
    assert [path.stat().st_mtime_ns for path in sorted((folder / "images").iterdir())] == pictures
    (row,) = worlds.bench("table", "--suite", "mini+3of4", "--json", runs=runs).json
    assert row["method"] == "plain"
    empty = worlds.bench("table", runs=runs)
    assert "Nothing to show yet" in empty.out and "`bench table --suite mini+3of4-" in empty.err

    world.have(*TEST)
    whole = worlds.bench("run", "--method", method, "--json", runs=runs)
    assert "warning" not in whole.err
    assert whole.json["suite"]["name"] == "mini"
    assert whole.json["suite"]["fingerprint"] == load_suite("mini").fingerprint() != result.json["suite"]["fingerprint"]
    assert folder.joinpath("record.json").exists(), "the older run stays"


def test_other_clips_are_another_board_and_full_coverage_is_the_published_one() -> None:
    published = load_suite("vggsound")
    ids = [f"clip-{k}" for k in range(published.data.test)]
    assert published.with_clips("test", ids) is published
    some, others = published.with_clips("test", ids[:-9]), published.with_clips("test", ids[9:])
    assert some.name == others.name == "vggsound+15437of15446" and some.base == "vggsound"
    assert len({one.fingerprint() for one in (published, some, others)}) == 3
    assert published.with_clips("test", ids[:-9][::-1]) == some, "order does not count"
    assert "15,437 of 15,446" in some.title and some.data.train == published.data.train


def test_a_limit_takes_from_what_is_there(world: World) -> None:
    job = world.have(*TEST[:3]).plan(method="sd-text", limit=2)
    assert job.plan.suite.name == "mini+3of4" and len(job.test) == 2


def test_fits_know_their_clips_and_boards_do_not(world: World) -> None:
    def fit(job: Run) -> str:
        assert job.plan.fit_identity and job.plan.fit_folder and job.plan.fit_folder.path.parent.name == "mini"
        return job.plan.fit_identity

    ui = Silent()
    few = world.have(*TEST[:2], *TRAIN[:2]).plan(ui)
    assert len(few.train) == 2 and "2 of 3 training clips" in ui.warnings[0] and len(ui.warnings) == 1
    more_test = world.have(*TEST[:3]).plan()
    assert fit(more_test) == fit(few) and more_test.train == few.train, "a fit serves whatever is tested"
    assert (few.plan.suite.name, more_test.plan.suite.name) == ("mini+2of4", "mini+3of4")
    more_train = world.have(*TRAIN).plan()
    assert fit(more_train) != fit(few) and more_train.train != few.train
    assert more_train.plan.identity == more_test.plan.identity, "the same board"
    whole = world.have(*TEST).plan()
    assert fit(whole) == fit(more_train) and whole.plan.suite == whole.plan.fit_suite == load_suite("mini")


def test_a_fit_is_made_with_the_suite_that_its_identity_names(world: World) -> None:
    job = world.have(*TEST[:3], *TRAIN[:2]).plan()
    made = job.make(job.test, to_fit=True)
    assert made.run.suite == job.plan.fit_suite != job.plan.suite and made.run.data is not None


def test_a_fit_that_trains_nothing_needs_no_training_clip(world: World, tmp_path: Path) -> None:
    import torch

    from audiotoken.embedder import Embedder

    file = tmp_path / "embedder_learned_embeds.bin"
    torch.save(Embedder(288, 128).state_dict(), file)
    asked = ("--method", "audiotoken", "--set", f"embedder={file}", "--json")
    world.have(*TEST[:2])
    before = worlds.bench("run", *asked, runs=tmp_path / "runs")
    assert before.code == 0, before.err
    assert "training clips" not in before.err and before.json["cost"]["fit_steps"] == 0
    world.have(*TRAIN)
    assert worlds.bench("run", *asked, runs=tmp_path / "runs").json == before.json
    assert len(list((tmp_path / "runs" / "mini").glob("audiotoken-*"))) == 1


def test_without_usable_data_the_way_out_is_told_before_any_work(world: World, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for method in ("sd-text", "audiotoken"):
        result = worlds.bench("run", "--method", method, runs=runs)
        assert result.code == 2 and len(result.err.splitlines()) == 1
        assert re.search(r"contains no prepared VGGSound: run `bench prepare vggsound", result.err)
    world.have(*TRAIN)
    result = worlds.bench("run", "--method", "sd-text", runs=runs)
    assert result.code == 2 and "contains no test clip" in result.err
    assert not list(runs.rglob("*.png"))


def test_suites_without_a_list_of_clips_are_left_alone() -> None:
    mini: Suite = load_suite("mini")
    assert as_present(mini, "test") is mini


# ------------------------------------------------------------------------------------------- other clips later


def scored(folder: Path, lost: bool = True) -> worlds.Result:
    """The run in `folder`, scored again after its record was lost."""
    if lost:
        (folder / "record.json").unlink()
    return worlds.bench("score", folder, "--trust-method", "--json")


def test_a_run_keeps_its_clips_when_more_arrive(world: World, tmp_path: Path) -> None:
    world.have(*TEST[:3], *TRAIN[:2])
    method, runs = worlds.method_file(tmp_path, worlds.NOISE, more="    fits = True\n" + FIT), tmp_path / "runs"
    command = ("run", "--method", method, "--json")
    before = worlds.bench(*command, runs=runs).json
    limited = worlds.bench(*command, "--limit", "2", runs=runs).json
    (home,) = runs.glob("mini+3of4-*")
    two, folder = sorted((home / "plain").iterdir(), key=lambda path: "limit2" not in path.name)
    pictures = worlds.pictures(folder)
    world.have(*TEST, *TRAIN)
    for path, record in ((folder, before), (two, limited)):
        result = scored(path)
        assert result.code == 0, result.err
        for part in ("suite", "metrics", "clips", "identity", "warnings"):
            assert result.json[part] == record[part], part
    lines = [line for line in result.err.splitlines() if "of suite" in line]
    assert len(lines) == 1 and "3 of 4 test clips" in lines[0] and "4 are there now" in lines[0]
    assert "the same `bench run` makes a run on them, of suite 'mini'" in lines[0]
    assert worlds.pictures(folder) == pictures and not (runs / "mini" / "plain").exists()
    (row,) = [
        row for row in worlds.bench("table", "--suite", "mini+3of4", "--json", runs=runs).json if not row["limit"]
    ]
    assert row["method"] == "plain"


FIT = """
    def fit(self, train):
        from benchmark.method import FitReport
        return FitReport(len(train), 0)
"""


def test_a_run_whose_clips_are_gone_says_so_and_stays(world: World, tmp_path: Path) -> None:
    world.have(*TEST)
    method, runs = worlds.method_file(tmp_path, worlds.GREY), tmp_path / "runs"
    assert worlds.bench("run", "--method", method, runs=runs).code == 0
    (folder,) = (runs / "mini" / "plain").glob("seed0-*")
    kept = (folder / "record.json").read_bytes()
    for path in (tmp_path / "videos").glob(f"{TEST[0][0]}_*"):
        path.unlink()
    shutil.rmtree(tmp_path / "vggsound")
    world.have()
    result = scored(folder, lost=False)
    (line,) = result.err.splitlines()
    assert result.code == 2 and "made on 4 test clips, 2 of which are not there any more" in line
    assert "for a run on the 2 that are there use `bench run`" in line
    assert (folder / "record.json").read_bytes() == kept and len(worlds.pictures(folder)) == 4


def test_what_is_exported_is_what_is_there(world: World, tmp_path: Path) -> None:
    world.have(*TEST[:3], *TRAIN)
    result = worlds.bench("export", "-o", tmp_path / "clips")
    assert result.code == 0, result.err
    warnings = [line for line in result.err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1 and "3 of 4 test clips are present: only those are written" in warnings[0]
    assert sorted(path.stem for path in (tmp_path / "clips").glob("*.wav")) == sorted(world.plan().test.ids)
    whole = worlds.bench("export", "-o", tmp_path / "train", "--split", "train")
    assert whole.code == 0 and "training clips" not in whole.err and len(list((tmp_path / "train").glob("*.wav"))) == 3


# -------------------------------------------------------------------------------------------------------- bench doctor


def test_doctor_says_what_is_there(world: World, tmp_path: Path) -> None:
    result = worlds.bench("doctor")
    assert result.code == 1 and "missing" in result.out and "bench prepare vggsound" in result.out
    assert "`bench prepare`" in result.err
    world.have(*TEST[:3], *TRAIN[:2])
    result = worlds.bench("doctor")
    assert result.code == 0
    (line,) = [line for line in result.out.splitlines() if line.startswith("clips")]
    for word in ("incomplete", "3 of 4 test clips", "2 of 3 training clips", "suite mini+3of4", str(tmp_path)):
        assert word in line
    assert "labels of vggsound; frames: middle (training), middle (test)" in result.out
    world.have(*TEST, *TRAIN)
    clips = worlds.bench("doctor", "--json").json["clips"]
    assert (clips["state"], clips["test"], clips["train"], clips["board"]) == ("there", 4, 3, "mini")


def test_doctor_says_what_is_not_as_the_suite_wants_it(world: World, tmp_path: Path) -> None:
    world.have(*TEST)
    mini = load_suite("mini")
    data = mini.data.model_copy(update={"labels": "vggsounder", "train_frame": "clip-best"})
    report = doctor.examine(mini.model_copy(update={"data": data}), Silent())
    assert not report.complete and report.clips and report.clips.state == "wrong"
    assert ["VGGSounder's labels" in report.clips.problems[0], "clip-best" in report.clips.problems[1]] == [True, True]
    shard = next((tmp_path / "vggsound" / "shards").glob("*.tar"))
    shard.write_bytes(shard.read_bytes()[:-1])
    vggsound._index.cache_clear()  # another process would look
    result = worlds.bench("doctor", "--json")
    assert result.code == 1 and result.json["clips"]["state"] == "wrong"
    assert "has" in result.json["clips"]["problems"][0] and str(shard) in result.json["clips"]["problems"][0]
    (tmp_path / "vggsound" / "dataset.json").unlink()
    assert worlds.bench("doctor", "--json").json["clips"]["state"] == "unfinished"
