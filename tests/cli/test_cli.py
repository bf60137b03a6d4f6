"""The wiring of the command line. What does the work is replaced by stand-ins here, and tested elsewhere."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boards
import pytest

import benchmark
from benchmark import registries
from benchmark.cli import app
from benchmark.records.record import RunRecord, run_identity
from benchmark.records.store import Store
from benchmark.runs.request import RunRequest
from benchmark.suite import load_suite
from benchmark.utils.errors import RunError, UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_RUNS", raising=False)
    monkeypatch.setattr(app, "quiet_libraries", lambda: None)
    # The board of these tests holds only what they make.
    monkeypatch.setattr("benchmark.records.store.packaged_results", lambda: None)


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = app.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


MADE = {**boards.MADE, "commit": "c" * 40, "dirty": False}


def make_record(suite: Any, method: str, seed: int | None, limit: int | None, **changes: Any) -> RunRecord:
    """A made-up record: its numbers are results of nothing."""
    value = {"value": 75.0, "low": 70.0, "high": 80.0, "n": 540, "unit": "%", "direction": "up", "chance": 50.0}
    nothing = {"value": None, "reason": "no Inception weights", "n": 0, "unit": "distance", "direction": "down"}
    data: dict[str, Any] = {
        "status": "complete",
        "suite": {"name": suite.name, "version": suite.version, "fingerprint": suite.fingerprint()},
        "method": {"name": method, "card": {}, "settings": {}},
        "seed": seed,
        "limit": limit,
        "metrics": {"ais": {**value, "version": 1}, "fid": {**nothing, "version": 1}},
        "clips": {"total": 540, "silent": 4},
        "provenance": {"generate": [MADE], "score": [MADE]},
        "identity": run_identity(suite.fingerprint(), method, {}, seed, limit),
    }
    return RunRecord.model_validate({**data, **changes})


class FakePlan:
    """A plan without anything behind it."""

    made: list[FakePlan] = []

    def __init__(self, request: RunRequest, method: str) -> None:
        self.request, self.name, self.limit = request, method, request.limit
        self.suite = load_suite(request.suite)
        self.seed = None if method == "reference" else request.seed
        self.store = Store(request.runs)
        self.folder = self.store.run(self.suite.name, method, self.seed, limit=self.limit)
        self.failures: dict[str, str] = {}
        self.made.append(self)

    @classmethod
    def of(cls, request: RunRequest, ui: Any) -> FakePlan:
        assert isinstance(request.method, str)
        registries.METHODS.origin(request.method)
        return cls(request, request.method)

    @classmethod
    def from_folder(cls, path: Path, ui: Any, device: str, *, trust_method: bool) -> FakePlan:
        return cls(RunRequest(method=path.parent.name, runs=path.parents[2], device=device), path.parent.name)


@dataclass
class FakeRun:
    plan: FakePlan
    ui: Any

    @classmethod
    def of(cls, request: RunRequest, ui: Any) -> FakeRun:
        return cls(FakePlan.of(request, ui), ui)


def fake_run(job: FakeRun) -> RunRecord:
    print("a library that prints")
    plan = job.plan
    record = make_record(plan.suite, plan.name, plan.seed, plan.limit)
    plan.folder.path.mkdir(parents=True)
    record.save(plan.folder.record_path)
    return record


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A stand-in for benchmark.runs.steps, and for the plans that it works on."""
    import benchmark.runs.plan
    import benchmark.runs.run

    FakePlan.made = []
    module = types.ModuleType("benchmark.runs.steps")
    module.__dict__.update(
        run=fake_run,
        fit=lambda job: Path("fits") / job.plan.name,
        generate=lambda job: job.plan.folder.images,
        score=lambda job, metrics=None: fake_run(job),
    )
    monkeypatch.setitem(sys.modules, "benchmark.runs.steps", module)
    monkeypatch.setattr(benchmark.runs, "steps", module, raising=False)
    monkeypatch.setattr(benchmark.runs.run, "Run", FakeRun)
    # These runs have no clips to show.
    monkeypatch.setattr("benchmark.cli.run.after_run", lambda jobs, ui: Path("reports") / jobs[0].plan.name)
    monkeypatch.setattr(benchmark.runs.plan, "Plan", FakePlan)
    return module


# ---------------------------------------------------------------------------------------------------------- imports


def test_help_imports_nothing_heavy():
    code = (
        "import sys, benchmark, benchmark.cli.app; code = benchmark.cli.app.main(['run', '--help'])\n"
        "print('HEAVY', [m for m in ('torch', 'numpy', 'pandas', 'jinja2', 'transformers') if m in sys.modules], code)"
    )
    out = python(code)
    assert "--skip-bad" in out
    assert out.rpartition("HEAVY ")[2].strip() == "[] 0"


@pytest.mark.parametrize("arguments", [["table"], ["list", "suites"], ["list", "metrics"], ["show", "mini"]])
def test_looking_things_up_imports_no_torch(arguments):
    out = python(f"import sys, benchmark.cli.app as c; c.main({arguments!r}); print('torch' in sys.modules)")
    assert out.splitlines()[-1] == "False"


def test_version_is_found_lazily():
    assert python("import sys, benchmark; print('importlib.metadata' in sys.modules)") == "False\n"
    assert isinstance(benchmark.__version__, str)
    with pytest.raises(AttributeError, match="nonsense"):
        benchmark.nonsense  # noqa: B018


# -------------------------------------------------------------------------------------------------------- wrong use


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], ["'rnu'", "'run'"]),
        (["run", "--metod", "x"], ["--metod", "--method"]),
        (["run"], ["--method"]),
        (["run", "--method", "audiotoken", "--limit", "0"], ["--limit", "0"]),
        (["run", "--method", "audiotoken", "--limit", "x"], ["--limit", "'x'"]),
        (["list", "foo"], ["'foo'", "methods"]),
        (["table", "--suite", "mimi"], ["'mimi'", "did you mean 'mini'"]),
        (["table", "--metric", "aiss"], ["'aiss'", "did you mean 'ais'"]),
        (["table", "--format", "pdf"], ["pdf", "latex"]),
        (["table", "--json", "--format", "md"], ["--json", "md"]),
        (["table", "--suite", "mini+a", "--data", "b.csv"], ["--data"]),
        (["score", "--metric", "aiss", "--method", "audiotoken"], ["'aiss'", "'ais'"]),
        (["score"], ["--method"]),
        (["score", "runs/x", "--method", "audiotoken"], ["one of them"]),
        (["show", "audiotokn"], ["'audiotokn'", "'audiotoken'"]),
        (["show", "runs/mini/nothing/seed0"], ["runs/mini/nothing/seed0"]),
        (["run", "--method", "audiotokn"], ["'audiotokn'", "did you mean 'audiotoken'"]),
        (["run", "--method", "audiotoken", "--suite", "minni"], ["'minni'", "'mini'"]),
        (["run", "--method", "audiotoken", "--set", "steps"], ["'steps'", "KEY=VALUE"]),
        (["run", "--method", "audiotoken", "--set", "=4"], ["'=4'", "KEY=VALUE"]),
        (["run", "--method", "audiotoken", "--set", "a=1", "--set", "a=2"], ["a=", "more than once"]),
        (["publish", "runs/mini/none/seed0"], ["runs/mini/none/seed0"]),
    ],
)
def test_wrong_use_is_one_line_that_names_it(bench, runner, arguments, words):
    code, out, err = bench(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("bench: ") and err.count("\n") == 1
    for word in words:
        assert word in err


def test_every_problem_has_its_own_line(bench):
    code, _, err = bench("table", "--metric", "aiss", "--metric", "fidd")
    assert code == 2
    assert [line[:22] for line in err.splitlines()] == ["bench: unknown metric "] * 2


@pytest.mark.parametrize("arguments", [[], ["mini"]])
def test_without_a_verb_there_is_help(bench, arguments):
    code, out, err = bench(*arguments)
    assert code == 2 and "Usage: bench" in out and err == ""


def test_a_run_ends_with_its_report_unless_told_otherwise(bench, runner):
    _, out, _ = bench("run", "--method", "audiotoken")
    assert out.splitlines()[-1] == f"report    {Path('reports') / 'audiotoken'}"
    _, out, _ = bench("run", "--method", "audiotoken", "--no-report")
    assert "reports" not in out


def test_nothing_is_done_when_one_of_the_seeds_is_wrong(bench, runner, monkeypatch):
    ran = []
    runner.run = ran.append

    def of(request: RunRequest, ui: Any) -> FakePlan:
        if request.seed == 1:
            raise UserError("bad seed")
        return FakePlan(request, "audiotoken")

    monkeypatch.setattr(FakePlan, "of", of)
    assert bench("run", "--method", "audiotoken", "--seed", 0, "--seed", 1)[0] == 2
    assert ran == []


# -------------------------------------------------------------------------------------------------- what goes wrong


def failing(error: BaseException) -> Callable[[Any], Any]:
    def run(plan: Any) -> Any:
        raise error

    return run


def chained(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError(["line 3: a", "line 7: b"]), 2, ["bench: line 3: a\nbench: line 7: b\n"]),
        (RunError("the method returned 3 pictures for 4 clips"), 1, ["bench: the method returned 3 pictures"]),
        (ZeroDivisionError("division by zero"), 1, ["internal error: ZeroDivisionError: division by zero", "--debug"]),
        (AssertionError(), 1, ["internal error: AssertionError;"]),
        (ValueError("one\ntwo"), 1, ["ValueError: one two"]),
        (OSError(errno.ENOSPC, "No space left on device", "a.png"), 1, ["no space left", "a.png", "is kept"]),
        (chained(RuntimeError("x"), OSError(errno.ENOSPC, "full")), 1, ["no space left", "same command continues"]),
        (RuntimeError("I/O error: No space left on device (os error 28)"), 1, ["bench: no space left"]),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), 1, ["/x/y", "Permission denied"]),
        (KeyboardInterrupt(), 130, ["interrupted", "is kept"]),
    ],
)
def test_errors_are_plain_lines(bench, runner, error, code, words):
    runner.run = failing(error)
    got, out, err = bench("run", "--method", "audiotoken")
    assert (got, out) == (code, "")
    assert "Traceback" not in err
    for word in words:
        assert word in err
    if not isinstance(error, UserError):
        assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--debug", "run"], ["run", "--debug"]])
def test_debug_shows_the_traceback_and_keeps_the_exit_code(bench, runner, arguments):
    runner.run = failing(UserError("a bad row"))
    code, _, err = bench(*arguments, "--method", "audiotoken")
    assert code == 2 and "Traceback" in err and err.endswith("bench: a bad row\n")


def test_ctrl_c_is_a_line_and_130():
    code = (
        "import signal, sys, time, benchmark.utils.registry as r, benchmark.cli.app as c\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def names(self): print('ready', file=sys.stderr, flush=True); time.sleep(60)\n"
        "r.Registry.names = names; sys.exit(c.main(['list', 'methods']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None and process.stderr.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.startswith("bench: interrupted") and err.count("\n") == 1


def test_a_closed_pipe_is_no_traceback():
    command = f"{sys.executable} -m benchmark list metrics --json | true"
    run = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert run.stderr == ""


# --------------------------------------------------------------------------------------------------------- the verbs


def test_run_prints_the_record_and_the_board(bench, runner):
    code, out, err = bench("run", "--method", "audiotoken")
    assert code == 0
    assert "audiotoken, seed 0 on mini" in out and "complete" in out
    assert "[70.0, 80.0]" in out and "no Inception weights" in out and "4 silent" in out
    assert "runs/mini/audiotoken/seed0/images" in out and "runs/mini/audiotoken/seed0/record.json" in out
    board = out.rpartition("record.json")[2]
    assert "75.0" in board and "Seeds" in board
    # what a library prints is no result
    assert "a library that prints" not in out and "a library that prints" in err


def test_run_gives_the_options_to_the_plan(bench, runner):
    code, _, _ = bench(
        "run",
        "-m",
        "audiotoken",
        "-s",
        "mini",
        "--data",
        "m.csv",
        "--limit",
        8,
        "--seed",
        3,
        "--device",
        "cpu",
        "--runs",
        "here",
        "--set",
        "steps=5",
        "--set",
        "name = a=b",
        "--skip-bad",
    )
    plan = FakePlan.made[0]
    assert code == 0 and (plan.name, plan.seed, plan.limit) == ("audiotoken", 3, 8)
    asked = plan.request
    assert (asked.data, asked.device, asked.skip_bad) == (Path("m.csv"), "cpu", True)
    assert asked.settings == {"steps": "5", "name": "a=b"}
    assert Path("here/mini/audiotoken/seed3-limit8/record.json").is_file()


def test_runs_can_be_named_by_the_environment(bench, runner, monkeypatch):
    monkeypatch.setenv("BENCH_RUNS", "there")
    assert bench("run", "--method", "audiotoken")[0] == 0
    assert Path("there/mini/audiotoken/seed0/record.json").is_file()


def test_json_is_the_record_and_nothing_else(bench, runner):
    code, out, _ = bench("run", "--method", "audiotoken", "--json")
    assert code == 0
    assert RunRecord.from_json(out) == RunRecord.load(Path("runs/mini/audiotoken/seed0/record.json"))


def test_several_seeds_are_several_runs_in_one_row(bench, runner):
    code, out, _ = bench("run", "--method", "audiotoken", "--seed", 0, "--seed", 1, "--seed", 0, "--json")
    assert code == 0 and [record["seed"] for record in json.loads(out)] == [0, 1]
    (row,) = json.loads(bench("table", "--json")[1])
    assert (row["method"], row["seeds"], row["rank"]) == ("audiotoken", [0, 1], 1)


def test_a_seed_that_fails_does_not_lose_the_others(bench, runner):
    def run(job: FakeRun) -> RunRecord:
        if job.plan.seed == 1:
            raise RunError("the loss is not a number")
        return fake_run(job)

    runner.run = run
    code, out, err = bench("run", "--method", "audiotoken", "--seeds", 3)
    assert code == 1 and "seed1 failed" in err and "the loss is not a number" in err and "1 of 3 runs failed" in err
    summary = [line.split() for line in out.partition("3 runs of audiotoken")[2].splitlines() if "runs/mini/" in line]
    assert [line[:2] for line in summary] == [["0", "complete"], ["1", "failed"], ["2", "complete"]]
    (row,) = json.loads(bench("table", "--json")[1])
    assert row["seeds"] == [0, 2], "a failure is no number"


def test_a_full_disk_ends_all_of_several_runs(bench, runner):
    tried = []

    def run(job: FakeRun) -> RunRecord:
        tried.append(job.plan.seed)
        raise OSError(errno.ENOSPC, "No space left on device")

    runner.run = run
    code, _, err = bench("run", "--method", "audiotoken", "--seeds", 3)
    assert (code, tried) == (1, [0]) and "no space left" in err


def test_several_values_of_a_setting_are_runs_with_one_summary(bench, runner, monkeypatch):
    class Swept(FakePlan):
        def __init__(self, request: RunRequest, method: str) -> None:
            super().__init__(request, method)
            self.folder = self.store.run(self.suite.name, method, self.seed, changed=dict(request.settings))

    monkeypatch.setattr(FakeRun, "of", classmethod(lambda cls, request, ui: cls(Swept.of(request, ui), ui)))
    code, out, _ = bench(
        "run", "--method", "audiotoken", "--set", "lambda_c=0.01,0.1", "--set", "steps=5", "--seeds", 2
    )
    lines = out.partition("4 runs of audiotoken")[2].splitlines()
    head = next(line.split() for line in lines if "seed" in line)
    assert code == 0 and head[:2] == ["lambda_c", "seed"], "what all runs share does not stand in the summary"
    summary = [line.split() for line in lines if "runs/mini/" in line]
    assert [line[:2] for line in summary] == [["0.01", "0"], ["0.01", "1"], ["0.1", "0"], ["0.1", "1"]]
    assert all(dict(plan.request.settings)["steps"] == "5" for plan in FakePlan.made)


def test_seed_and_seeds_are_not_given_together(bench, runner):
    code, out, err = bench("run", "--method", "audiotoken", "--seed", 0, "--seeds", 3)
    assert (code, out) == (2, "") and "--seed and --seeds contradict each other" in err


def test_a_pipe_folds_where_it_is_asked_to(bench, runner, monkeypatch):
    bench("run", "--method", "audiotoken", "--seeds", 2)
    widths = {}
    for asked in (None, "60", "nonsense"):
        monkeypatch.delenv("COLUMNS") if asked is None else monkeypatch.setenv("COLUMNS", asked)
        widths[asked] = max(map(len, bench("table")[1].splitlines()))
    assert widths["60"] <= 60 < widths[None] == widths["nonsense"]
    assert max(map(len, bench("table", "--width", 70)[1].splitlines())) <= 70
    assert bench("table", "--width", 70, "-o", "t.txt")[0] == 0
    assert max(map(len, Path("t.txt").read_text().splitlines())) <= 70
    code, out, err = bench("table", "--width", 70, "--format", "csv")
    assert (code, out) == (2, "") and "--width is for --format text, not csv" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--columns", "ais", "--metric", "aic"], "--metric and --columns contradict each other"),
        (["--columns", "rank,seeds"], "name at least one metric"),
        (["--columns", "aiss"], "did you mean"),
        (["--no-intervals", "-f", "csv"], "--no-intervals is for tables that people read"),
        (["--caption", "x", "--json"], "--caption is for tables that people read"),
        (["--label", "tab:x"], "--label is for --format latex"),
        (["--label", "}x", "-f", "latex"], "write it with letters"),
        (["--name", "audiotoken"], "write it as METHOD=TEXT"),
        (["--name", "a=b", "--name", "a=c"], "more than once"),
    ],
)
def test_choices_of_a_table_that_mean_nothing_are_refused(bench, options, words):
    code, out, err = bench("table", *options)
    assert (code, out) == (2, "") and words in err and len(err.splitlines()) == 1


def test_a_figure_is_written_by_its_ending(bench, runner):
    bench("run", "--method", "audiotoken")
    assert bench("plot", "ais", "-o", "figure.svg")[:2] == (0, "figure.svg\n")
    assert Path("figure.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert bench("plot", "ais")[1] == "mini-ais.svg\n"
    code, _, err = bench("plot", "ais", "-o", "figure.jpg")
    assert code == 2 and ".png, .svg or .pdf" in err and not Path("figure.jpg").exists()
    code, _, err = bench("plot", "human", "-o", "none.svg")
    assert code == 2 and "no row has a value" in err and not Path("none.svg").exists()


def test_a_method_without_randomness_runs_once(bench, runner):
    _, out, _ = bench("run", "--method", "reference", "--seed", 0, "--seed", 1, "--json")
    assert json.loads(out)["seed"] is None


def test_a_run_that_is_not_complete_exits_1_after_printing(bench, runner):
    def run(job: FakeRun) -> RunRecord:
        failed = {"total": 540, "failed": 2}
        return make_record(job.plan.suite, "audiotoken", 0, None, status="incomplete", clips=failed)

    runner.run = run
    code, out, err = bench("run", "--method", "audiotoken", "--json")
    assert code == 1 and json.loads(out)["status"] == "incomplete"
    assert "incomplete, 2 of 540 clips failed" in err and err.count("\n") == 1


def test_the_steps_alone(bench, runner):
    assert bench("fit", "--method", "audiotoken")[:2] == (0, "fits/audiotoken\n")
    assert bench("generate", "--method", "audiotoken")[:2] == (0, "runs/mini/audiotoken/seed0/images\n")
    out = bench("generate", "--method", "audiotoken", "--json")[1]
    assert json.loads(out) == [{"method": "audiotoken", "images": "runs/mini/audiotoken/seed0/images"}]
    runner.fit = lambda job: None
    code, out, err = bench("fit", "--method", "reference")
    assert (code, out, err) == (0, "", "reference has nothing to fit\n")


def test_score_takes_a_folder_or_what_names_one(bench, runner):
    asked = []
    runner.score = lambda job, metrics=None: asked.append((job.plan.name, metrics)) or fake_run(job)
    assert bench("score", "a/mini/audiotoken/seed0", "--metric", "ais", "--metric", "fid")[0] == 0
    assert bench("score", "--method", "sd-text")[0] == 0
    assert asked == [("audiotoken", ["ais", "fid"]), ("sd-text", None)]


def test_imagine_prints_the_files(bench, monkeypatch):
    asked: dict[str, Any] = {}

    def imagine(files: Any, output: Path, request: RunRequest, ui: Any, images: int) -> tuple[list[Path], list[str]]:
        asked.update(vars(request), images=images, files=files)
        return [output / f"{file.stem}.png" for file in files], []

    module = types.ModuleType("benchmark.runs.imagine")
    module.__dict__["imagine"] = imagine
    monkeypatch.setitem(sys.modules, "benchmark.runs.imagine", module)
    code, out, _ = bench("imagine", "a.wav", "b.mp4", "-o", "out", "--set", "steps=5")
    assert (code, out) == (0, "out/a.png\nout/b.png\n")
    assert {key: asked[key] for key in ("method", "suite", "seed", "images", "settings", "device", "runs")} == {
        "method": "audiotoken",
        "suite": "mini",
        "seed": 0,
        "images": 1,
        "settings": {"steps": "5"},
        "device": "auto",
        "runs": None,
    }


# --------------------------------------------------------------------------------------------------- table and lists


@pytest.mark.parametrize("name", ["mini", "mini+mine"])
def test_an_empty_table_says_so(bench, name):
    code, out, err = bench("table", "--suite", name)
    assert code == 0 and "Nothing to show yet" in out and name in out and err == ""
    assert bench("table", "--suite", name, "--json")[:2] == (0, "[]\n")


def store_record(method: str = "audiotoken", seed: int | None = 0, **changes: Any) -> Path:
    folder = Store().run("mini", method, seed)
    folder.path.mkdir(parents=True)
    make_record(load_suite("mini"), method, seed, None, **changes).save(folder.record_path)
    return folder.path


@pytest.mark.parametrize(
    ("suffix", "start"), [("md", "|"), ("csv", "rank,"), ("tex", r"\begin{table}"), ("html", "<!"), ("json", "[")]
)
def test_the_format_follows_the_files_suffix(bench, suffix, start):
    store_record()
    code, out, err = bench("table", "--output", f"board.{suffix}")
    text = Path(f"board.{suffix}").read_text()
    assert (code, out) == (0, "") and text.startswith(start) and "audiotoken" in text
    assert err == f"written to board.{suffix}\n"


def test_a_table_in_a_pipe_is_not_folded(bench):
    store_record()
    _, out, _ = bench("table", "--all-metrics")
    line = next(line for line in out.splitlines() if "audiotoken" in line)
    assert "75.0 [70.0, 80.0]" in line and "\x1b" not in out
    assert all(metric in out for metric in load_suite("mini").metrics)


def test_columns_can_be_chosen(bench):
    store_record()
    (row,) = json.loads(bench("table", "--metric", "aic.r@3", "--metric", "ais", "--json")[1])
    assert list(row["metrics"]) == ["aic.r@3", "ais"]


def test_a_record_that_cannot_be_read_is_left_out_with_a_warning(bench):
    store_record()
    broken = Store().run("mini", "sd-text", 0)
    broken.path.mkdir(parents=True)
    broken.record_path.write_text("{")
    code, out, err = bench("table", "--json")
    assert code == 0 and [row["method"] for row in json.loads(out)] == ["audiotoken"]
    assert err.startswith("warning: left out of the table: ") and str(broken.record_path) in err


@pytest.mark.parametrize("kind", ["suites", "methods", "metrics", "scorers"])
def test_lists(bench, kind):
    code, out, err = bench("list", kind, "--json")
    rows = json.loads(out)
    assert code == 0 and err == "" and rows and all(isinstance(row["name"], str) for row in rows)
    text = bench("list", kind)[1]
    assert all(row["name"] in text for row in rows)


def test_a_broken_plug_in_does_not_hide_the_other_methods(bench, monkeypatch):
    from benchmark.registries import METHODS
    from benchmark.utils.registry import Registry

    mine: Registry[Any] = Registry("method")
    mine.register("broken", "no_such_module:Method")
    mine.register("reference", METHODS.get("reference"))
    monkeypatch.setattr("benchmark.registries.METHODS", mine)
    rows = json.loads(bench("list", "methods", "--json")[1])
    assert [row["name"] for row in rows] == ["broken", "reference"]
    assert "no_such_module" in rows[0]["summary"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mini", ["fingerprint", "headline", "guidance"]),
        ("reference", ["the ceiling", "frame"]),
        ("audiotoken", ["setting", "default", "lambda_a"]),
        ("aic.r@5", ["direction", "depends on the number of classes"]),
    ],
)
def test_show(bench, name, words):
    code, out, err = bench("show", name)
    assert code == 0 and err == "" and all(word in out for word in words)
    facts = json.loads(bench("show", name, "--json")[1])
    assert facts["name"] == name


def test_show_a_run(bench):
    value = {"value": 75.0, "low": 70.0, "high": 80.0, "n": 9, "unit": "%", "direction": "up", "version": 1}
    folder = store_record(metrics={"aic": value, "iis": value})
    for path in (folder, folder / "record.json"):
        assert "[70.0, 80.0]" in bench("show", path)[1]
        # in the suite's order, not the file's
        assert bench("show", path)[1].index("iis ") < bench("show", path)[1].index("aic ")
        assert RunRecord.from_json(bench("show", path, "--json")[1]).method.name == "audiotoken"


def test_publish_copies_the_good_and_names_the_bad(bench):
    good, bad = store_record(), store_record("sd-text", status="failed")
    code, out, err = bench("publish", good, bad, "--results", "results")
    assert (code, out) == (2, "results/mini/audiotoken-seed0.json\n")
    assert err.startswith(f"bench: {bad}: the run is failed") and err.count("\n") == 1
    code, out, err = bench("publish", good, "--results", "results")
    assert (code, out) == (0, "") and "published already" in err


def test_publish_outside_a_checkout_asks_for_a_folder(bench, monkeypatch, tmp_path):
    monkeypatch.setattr("benchmark.cli.board.PACKAGE", tmp_path / "site-packages" / "benchmark")
    code, _, err = bench("publish", store_record())
    assert code == 2 and "--results" in err


def test_pretrain_gives_its_options_on(bench, monkeypatch):
    asked = []

    def pretrain(stages: Any, weights: Path, work: Path, cache: Path, say: Any, *, steps: Any, device: str) -> Any:
        asked.append((stages, weights, work, steps, device))
        say("vae: step 1")
        return {"vae": {"stage": "vae", "steps": 2, "seconds": 75, "bytes": 1e6, "sha256": "a" * 64, "held_out": {}}}

    module = types.ModuleType("benchmark.mini.pretrain.stages")
    module.__dict__["pretrain"] = pretrain
    monkeypatch.setitem(sys.modules, "benchmark.mini.pretrain.stages", module)
    code, out, err = bench("mini", "pretrain", "vae", "--steps", 2, "--weights", "w", "--device", "cpu")
    assert code == 0 and asked == [(["vae"], Path("w"), Path("w/work"), 2, "cpu")]
    assert "1:15" in out and "1.00 MB" in out and err == "vae: step 1\n"
    assert [report["stage"] for report in json.loads(bench("mini", "pretrain", "--json")[1])] == ["vae"]


def test_a_table_has_heard_shares_and_says_what_judges_make_of_it(bench, tmp_path):
    means = {"sd-text": 50, "ears": 60, "ceiling-words": 75}
    for name, mean in means.items():
        scores = [mean + 5 * (k % 3 - 1) for k in range(40)]
        columns = {"ais": scores, "ais.winrate.sameclass": scores, "ais@calm": scores}
        one = boards.scored(tmp_path / "made", name, columns, fingerprint=load_suite("mini").fingerprint())
        folder = tmp_path / "shares" / "mini" / name / "seed0"
        one.record.save(folder / "record.json")
        one.path.with_name("scores.parquet").rename(folder / "scores.parquet")
    asked = ("table", "--runs", str(tmp_path / "shares"), "--judges", "--columns", "heard.ais,ais")
    code, out, err = bench(*asked, "--method", "ears", "--format", "json")
    assert code == 0, err
    (row,) = json.loads(out)
    assert row["metrics"]["heard.ais"]["value"] == pytest.approx(40) and row["rank"] == 1
    code, out, err = bench(*asked, "--format", "md")
    assert code == 0, err
    assert out.index("ais ↑") < out.index("heard.ais ↑")
    assert "ais: Kendall's tau between judges over 3 rows (suite, calm: 1.00)." in out
    assert "Judges disagree beyond chance on: no column." in out
    assert bench("table", "--columns", "heard.ais")[0] == 2
