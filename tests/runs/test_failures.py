"""One bad clip of many is counted, not fatal; a method's own failure is named as its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import worlds
from worlds import NOISE, bench, method_file, things

from benchmark.records.record import RunRecord
from benchmark.runs import steps
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.utils.errors import RunError
from benchmark.utils.progress import Silent


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


BAD = "test-02"
ONE_BAD = f"""
from pathlib import Path
for clip in clips:
    if clip.id == {BAD!r} and not Path({{switch!r}}).exists():
        raise ValueError("cannot draw\\nthis one")
{NOISE}
"""


def the_run(runs: Path) -> Path:
    (path,) = runs.glob("*/*/seed*/plan.json")
    return path.parent


def test_a_clip_that_cannot_be_drawn_is_failed_shown_unranked_and_tried_again(base: Path, tmp_path: Path) -> None:
    method = method_file(tmp_path, ONE_BAD.format(switch=str(tmp_path / "mended")))
    command = ("run", "--method", method, "--data", things(base), "--json")
    result = bench(*command, runs=tmp_path / "runs")
    assert result.code == 1, result.err
    record = result.json
    assert record["status"] == "incomplete"
    clips = record["clips"]
    assert (clips["total"], clips["failed"]) == (12, 1)
    reason = clips["failures"][BAD]
    assert "method 'plain' failed in generate()" in reason and "ValueError: cannot draw this one" in reason
    assert "plain.py:" in reason and "\n" not in reason
    assert "1 of 12 clips failed" in result.err and "the same command tries again" in result.err
    for name in ("ais", "iis", "aic", "fd.clip"):
        assert record["metrics"][name]["failed"] == 1 and record["metrics"][name]["value"] is not None
    assert record["metrics"]["ais"]["n"] == 11
    folder = the_run(tmp_path / "runs")
    assert RunRecord.load(folder / "record.json").clips.failures == {BAD: reason}
    made = worlds.pictures(folder)
    assert len(made) == 11 and f"{BAD}.png" not in made
    (row,) = bench("table", "--data", things(base), "--json", runs=tmp_path / "runs").json
    assert row["rank"] is None and row["unranked"] == "incomplete" and row["metrics"]["ais"]["failed"] == 1

    # the same command: the clip is tried again, and nothing is different from a run that never failed
    (tmp_path / "mended").touch()
    again = bench(*command, runs=tmp_path / "runs")
    assert again.code == 0, again.err
    whole = bench(*command, runs=tmp_path / "other")
    assert again.json["metrics"] == whole.json["metrics"] and again.json["clips"] == whole.json["clips"]
    assert again.json["status"] == "complete" and "failures" not in again.json["clips"]
    assert worlds.pictures(folder) == worlds.pictures(the_run(tmp_path / "other"))
    assert not list((tmp_path / "runs").rglob("*.old-*"))


def test_the_step_alone_says_how_many_clips_have_no_image(base: Path, tmp_path: Path) -> None:
    method = method_file(tmp_path, ONE_BAD.format(switch=str(tmp_path / "mended")))
    result = bench("generate", "--method", method, "--data", things(base), runs=tmp_path / "runs")
    assert result.code == 1 and result.out.strip().endswith("images")
    assert "1 clips have no image" in result.err
    shown = bench("show", the_run(tmp_path / "runs"))
    assert shown.code == 0 and "not finished" in shown.out and BAD in shown.out


@pytest.mark.parametrize("part", ["audio", "image"])
def test_a_clip_that_cannot_be_scored_is_failed(base: Path, tmp_path: Path, part: str) -> None:
    job = Run.of(RunRequest(method=method_file(tmp_path, NOISE), data=things(base), runs=tmp_path / "runs"), Silent())
    steps.generate(job)
    original = getattr(job.test[3], part)
    object.__setattr__(job.test[3], part, tmp_path / "gone")
    record = steps.score(job)
    clip = job.test.ids[3]
    assert record.status == "incomplete" and record.clips.failed == 1
    what = {"audio": "its sound", "image": "its true frame"}[part]
    assert list(record.clips.failures) == [clip] and record.clips.failures[clip].startswith(f"{what}: ")
    for name in ("ais", "iis", "aic"):
        assert record.metrics[name].failed == 1 and record.metrics[name].n == 11
    scores = record.at(job.plan.folder.record_path).clip_scores().set_index("clip")
    assert len(scores) == 12 and scores.loc[clip, ["ais", "iis", "aic"]].isna().all()
    # and the next attempt scores it
    object.__setattr__(job.test[3], part, original)
    assert steps.score(job).status == "complete"


def test_where_no_clip_can_be_scored_there_is_no_record(base: Path, tmp_path: Path) -> None:
    job = Run.of(
        RunRequest(method=method_file(tmp_path, NOISE), data=things(base), limit=2, runs=tmp_path / "runs"), Silent()
    )
    steps.generate(job)
    for clip in job.test:
        object.__setattr__(clip, "audio", tmp_path / "gone")
    with pytest.raises(RunError, match="no clip could be scored: its sound: "):
        steps.score(job)
    assert not job.plan.folder.record_path.exists()


EXITS = [
    ("import sys\nsys.exit(0)", "SystemExit: 0"),
    ("raise EOFError", "EOFError"),
    ("raise StopIteration", "StopIteration"),
    ("raise GeneratorExit", "GeneratorExit"),
    ("class Stop(KeyboardInterrupt): pass\nraise Stop('x')", "Stop: x"),
    ("return 7", "gave a int"),
    ("1 / 0", "ZeroDivisionError: division by zero"),
]


@pytest.mark.parametrize(("body", "words"), EXITS)
def test_a_methods_failure_is_named_as_its_own(base: Path, tmp_path: Path, body: str, words: str) -> None:
    method = method_file(tmp_path, body)
    result = bench("run", "--method", method, "--data", things(base), runs=tmp_path / "runs")
    assert result.code == 1 and result.out == ""
    (line,) = [line for line in result.err.splitlines() if line.startswith("bench: ")]
    assert "method 'plain'" in line and words in line and "internal error" not in line
    if body != "return 7":
        assert f"{tmp_path / 'plain.py'}:" in line
    debug = bench("run", "--debug", "--method", method, "--data", things(base), runs=tmp_path / "runs")
    assert debug.code == 1 and "Traceback" in debug.err


@pytest.mark.parametrize("step", ["fit", "load", "setup", "encoders"])
def test_every_step_of_a_method_is_named(base: Path, tmp_path: Path, step: str) -> None:
    methods = {
        "fit": "from benchmark import FitReport; return FitReport(1, 0)",
        "load": "pass",
        "setup": "super().setup(*given)",
        "encoders": "return {}",
    }
    methods[step] = "import sys; sys.exit()"
    more = "    fits = True\n" + "".join(f"    def {name}(self, *given): {code}\n" for name, code in methods.items())
    method = method_file(tmp_path, NOISE, more=more)
    result = bench("run", "--method", method, "--data", things(base), runs=tmp_path / "runs")
    (line,) = [line for line in result.err.splitlines() if line.startswith("bench: ")]
    assert result.code == 1 and f"method 'plain' failed in {step}() ({tmp_path / 'plain.py'}:" in line


def test_ctrl_c_within_a_method_is_still_ctrl_c(base: Path, tmp_path: Path) -> None:
    method = method_file(tmp_path, "raise KeyboardInterrupt")
    result = bench("run", "--method", method, "--data", things(base), runs=tmp_path / "runs")
    assert result.code == 130 and "interrupted" in result.err


# ------------------------------------------------------------------------------------------------- boards of manifests


def test_two_manifests_of_one_name_have_boards_and_folders_of_their_own(base: Path, tmp_path: Path) -> None:
    folder, runs = things(base).parent, tmp_path / "runs"
    paths = []
    for name, numbers in (("a", range(3)), ("b", range(3, 6))):
        rows = [worlds.row(folder, "test", k) for k in numbers]
        rows = [(clip, str(folder / a), str(folder / i), *rest) for clip, a, i, *rest in rows]  # type: ignore[misc]
        paths.append(worlds.write_manifest(tmp_path / name / "manifest.csv", rows))
    method = method_file(tmp_path, NOISE)
    records = [bench("run", "--method", method, "--data", path, "--json", runs=runs).json for path in paths]
    assert records[0]["suite"]["name"] == records[1]["suite"]["name"] == "mini+manifest"
    stored = sorted(runs.glob("*/plain/seed0*/record.json"))
    assert len(stored) == 2 and {json.loads(path.read_text())["identity"] for path in stored} == {
        one["identity"] for one in records
    }
    for path, record in zip(paths, records, strict=True):
        (row,) = bench("table", "--data", path, "--json", runs=runs).json
        assert row["fingerprint"] == record["suite"]["fingerprint"]
        place = next(one for one in stored if json.loads(one.read_text()) == record).parents[2].name
        (row,) = bench("table", "--suite", place, "--json", runs=runs).json
        assert row["fingerprint"] == record["suite"]["fingerprint"]

    # after an edit the board is that of the newest run, and --data decides
    worlds.write_manifest(paths[0], [row.split(",") for row in paths[0].read_text().splitlines()[1:3]])
    assert bench("table", "--data", paths[0], "--json", runs=runs).json == []
    newest: Any = bench("run", "--method", method, "--data", paths[0], "--json", runs=runs).json
    (row,) = bench("table", "--suite", "mini+manifest", "--json", runs=runs).json
    assert row["fingerprint"] == newest["suite"]["fingerprint"] and row["clips"] == 2
    assert len(list(runs.glob("*/plain/seed0*/record.json"))) == 3


def test_an_empty_board_advises_commands_that_work(tmp_path: Path) -> None:
    for suite, words in (
        ("vggsound+4of15446", "`bench run --suite vggsound --method NAME`"),
        ("mini+mine", "`bench run --suite mini --data FILE.csv --method NAME`"),
    ):
        assert words in bench("table", "--suite", suite, runs=tmp_path).out
    for suite, words in (("vggsound+4of15446", "use --suite vggsound"), ("mini+mine", "add --data FILE.csv")):
        result = bench("run", "--suite", suite, "--method", "sd-text", runs=tmp_path)
        assert result.code == 2 and words in result.err and len(result.err.splitlines()) == 1


def test_an_unfinished_run_is_shown_with_how_far_it_is(base: Path, tmp_path: Path) -> None:
    method = method_file(tmp_path, "import sys\nif any(clip.id == 'test-01' for clip in clips): sys.exit()\n" + NOISE)
    rows = [row.split(",") for row in things(base).read_text().splitlines()[1:]]
    folder = things(base).parent
    data = worlds.write_manifest(
        tmp_path / "m.csv", [(c, str(folder / a), str(folder / i), *rest) for c, a, i, *rest in rows]
    )
    assert bench("generate", "--method", method, "--data", data, "--limit", 2, runs=tmp_path / "runs").code == 1
    place = the_run(tmp_path / "runs")
    shown = bench("show", place, "--json")
    assert shown.code == 0 and shown.json["images"] == "1 of 2" and shown.json["state"] == "not finished"
    board = bench("table", "--data", data, runs=tmp_path / "runs")
    assert re.search("Not finished: plain seed0-limit2-[0-9a-f]{8}, 1 of 2 images", " ".join(board.out.split()))
    assert bench("show", tmp_path / "runs" / "nothing").code == 2
