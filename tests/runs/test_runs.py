"""The whole way fit -> generate -> score -> record on a small manifest: killed, repeated, starved, badly fed."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import soundfile
import worlds
from PIL import Image
from processes import python
from worlds import GREY, NOISE, bench, method_file, things

from benchmark import registries, suite
from benchmark.data.manifest import load_manifest
from benchmark.media.audio import write_wav
from benchmark.media.images import load_image
from benchmark.records.record import RunRecord
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.runs.seeds import MAX_SEED, image_seed
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent

ROOT = Path(__file__).parents[2]
FEW = {"steps": 2, "batch_size": 4}


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.fixture
def small(base: Path, tmp_path: Path) -> Path:
    """A manifest of four test clips."""
    return worlds.write_manifest(tmp_path / "four.csv", rows(base, range(4)))


def rows(base: Path, indices: Any) -> list[worlds.Row]:
    """Rows of test clips with absolute paths, for a manifest anywhere."""
    folder = things(base).parent
    found = [worlds.row(folder, "test", k) for k in indices]
    return [(name, str(folder / a), str(folder / i), label, split) for name, a, i, label, split in found]


def job(method: str, data: Path | None = None, runs: Path | None = None, **more: Any) -> Run:
    return Run.of(RunRequest(**{"suite": "mini", "method": method, "data": data, "runs": runs, **more}), Silent())


def folder_of(runs: Path) -> Path:
    (path,) = runs.glob("*/*/seed*/plan.json")
    return path.parent


# ------------------------------------------------------------------------------------------------------------- killed

# `bench` itself, killed by the system at a chosen moment.
ATTEMPT = """
import json, os, signal, sys
import audiotoken.training, benchmark.mini.wiring
from benchmark import suite
from benchmark.cli import app
from benchmark.runs import plan

audiotoken.training.SAVE_SECONDS = 0  # a checkpoint after each step
mini = suite.load_suite("mini")
mini = mini.model_copy(update={"generation": mini.generation.model_copy(update={"batch_size": 4})})
suite.load_suite = plan.load_suite = lambda name: mini
replace = os.replace

def killed(pattern, count, after):
    def call(source, target):
        nonlocal count
        count -= os.path.basename(target).endswith(pattern)
        if count == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return call

kill, arguments = json.loads(sys.argv[1])
if kill:
    os.replace = killed(*kill)
sys.exit(app.main(arguments))
"""

# The name of a file that is about to appear (or just has): it ends in this, for the n-th time in the attempt.
KILLS: list[tuple[str, int, bool]] = [
    ("training.pt", 3, True),
    ("fit.json", 2, False),
    ("-26.png", 1, False),
    ("generate.json", 2, False),
    ("score.json", 3, False),
]


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(base: Path, tmp_path: Path) -> None:
    arguments = [
        "run",
        "--method",
        "audiotoken",
        "--data",
        str(things(base)),
        "--set",
        "steps=6",
        "--set",
        "batch_size=4",
    ]

    def attempt(name: str, kill: tuple[str, int, bool] | None = None) -> str:
        """Return what it said."""
        environment = {"BENCH_RUNS": str(tmp_path / name), "BENCH_CACHE": str(tmp_path / f"{name}-cache")}
        given = json.dumps([kill, arguments])
        done = python("-c", ATTEMPT, given, place=tmp_path, environment=environment, cwd=ROOT)
        assert done.code == (-signal.SIGKILL if kill else 0), (name, kill, done.err)
        return done.err

    said = "".join([*(attempt("killed", kill) for kill in KILLS), attempt("killed"), attempt("whole")])
    assert re.findall(r"continuing at step (\d) of 6", said) == ["3", "6"]

    killed, whole = folder_of(tmp_path / "killed"), folder_of(tmp_path / "whole")
    fits = [next(runs.glob("*/audiotoken-*/embedder.safetensors")) for runs in (killed.parents[2], whole.parents[2])]
    assert fits[0].read_bytes() == fits[1].read_bytes()
    assert len(worlds.pictures(whole)) == 12 and worlds.pictures(killed) == worlds.pictures(whole)
    pandas.testing.assert_frame_equal(*(pandas.read_parquet(p / "scores.parquet") for p in (killed, whole)))
    records = [RunRecord.load(path / "record.json") for path in (killed, whole)]
    assert records[0].metrics == records[1].metrics and records[0].per_class == records[1].per_class
    assert records[0].identity == records[1].identity and records[0].status == "complete"
    # What a killed process measured of itself is gone; a part is not reported as the whole.
    assert records[0].cost.fit_seconds is None and records[0].cost.generate_seconds is None
    assert records[1].cost.fit_seconds and records[1].cost.generate_seconds and records[1].cost.fit_steps == 6
    assert not list((tmp_path / "killed").rglob("*.old-*"))


# ----------------------------------------------------------------------------------------------------------- repeated


def test_a_finished_run_is_not_done_again(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, record = worlds.finished(base, "audiotoken", **FEW)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    def fail(*_: object) -> None:
        raise AssertionError("a network was asked for")

    for registry in (registries.BACKBONES, registries.SCORERS, registries.ENCODERS):
        monkeypatch.setattr(registry, "get", fail)
    assert worlds.finished(base, "audiotoken", **FEW) == (folder, record)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    again = bench("score", folder, "--json")
    assert again.code == 0 and again.json == record


def test_what_is_asked_for_names_the_folder(base: Path, tmp_path: Path) -> None:
    asked = [
        {},
        {"seed": 1},
        {"limit": 8},
        {"settings": {"steps": "2"}},
        {"settings": {"lambda_a": "0"}},
        {"method": "shuffled"},
        {"data": things(base)},
    ]
    plans = [job(**{"method": "audiotoken", "runs": tmp_path, **one}) for one in asked]
    folders = [one.plan.folder.path.relative_to(tmp_path).as_posix() for one in plans]
    assert folders[:3] == ["mini/audiotoken/seed0", "mini/audiotoken/seed1", "mini/audiotoken/seed0-limit8"]
    assert re.fullmatch("mini/audiotoken/seed0-[0-9a-f]{8}", folders[3])
    assert folders[5] == "mini/shuffled/seed0"
    assert re.fullmatch("mini\\+things-[0-9a-f]{8}/audiotoken/seed0", folders[6])
    for name in ("identity", "generate_identity"):
        assert len({getattr(one.plan, name) for one in plans}) == len(set(folders)) == len(asked)
    # A limit leaves the fit alone, and so does asking for the floor instead.
    fits = [one.plan.fit_folder.path for one in plans if one.plan.fit_folder]
    assert fits[0] == fits[2] == fits[5] and len(set(fits)) == 5
    # Saying what is so anyway is not another run.
    budget = suite.load_suite("mini").budget
    same = job("audiotoken", runs=tmp_path, settings={"steps": str(budget.steps), "lambda_b": "0.0"})
    assert same.plan.folder.path == plans[0].plan.folder.path
    assert same.plan.generate_identity == plans[0].plan.generate_identity
    assert job("reference", seed=3).plan.identity == job("reference").plan.identity
    assert not list(tmp_path.iterdir())


def test_where_there_are_no_train_rows_the_fit_is_that_of_the_suite(base: Path, small: Path, tmp_path: Path) -> None:
    of_suite, of_rows = job("audiotoken", runs=tmp_path), job("audiotoken", small, tmp_path)
    assert of_rows.plan.fit_folder and of_suite.plan.fit_folder
    assert of_rows.plan.fit_folder.path == of_suite.plan.fit_folder.path
    assert of_rows.plan.fit_identity == of_suite.plan.fit_identity
    own = job("audiotoken", things(base), tmp_path)
    assert own.plan.fit_identity != of_suite.plan.fit_identity and own.train.ids[0] == "train-00"


def test_another_file_of_the_same_method_makes_other_pictures_beside_the_old_ones(small: Path, tmp_path: Path) -> None:
    for body in (GREY, GREY.replace("90", "91")):
        method = method_file(tmp_path, body)
        assert bench("run", "--method", method, "--data", small, runs=tmp_path / "runs").code == 0
    images = list((tmp_path / "runs").rglob("test-00.png"))
    colours = {load_image(path).getpixel((5, 5)) for path in images}
    assert colours == {(90, 120, 150), (91, 120, 150)} and len(images) == 2
    assert all((path.parents[1] / "record.json").is_file() for path in images)


def test_what_was_lost_is_made_again(small: Path, tmp_path: Path) -> None:
    method = method_file(tmp_path, NOISE)
    command = ["run", "--method", method, "--data", small, "--json"]
    record = bench(*command, runs=tmp_path / "runs").json
    folder = folder_of(tmp_path / "runs")
    made = worlds.pictures(folder)
    (folder / "images" / "test-02.png").unlink()
    rescored = bench("score", folder, "--trust-method")
    assert rescored.code == 1 and "no finished images" in rescored.err.splitlines()[-1]
    assert bench(*command, runs=tmp_path / "runs").json == record
    assert worlds.pictures(folder) == made and not list(folder.glob("*.old-*"))
    for name in ("record.json", "scores.parquet"):
        (folder / name).unlink()
        again = bench("score", folder, "--trust-method", "--json")
        assert again.code == 0 and (folder / name).exists() and again.json["metrics"] == record["metrics"]


def test_a_run_can_be_scored_from_anywhere(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    method_file(tmp_path, GREY)
    assert bench("run", "--method", "plain.py:Plain", "--data", "four.csv", "--runs", "here").code == 0
    folder = folder_of(tmp_path / "here")
    monkeypatch.chdir(tmp_path.parent)
    assert bench("score", folder, "--trust-method").code == 0
    plan = json.loads((folder / "plan.json").read_text())
    wrong = [json.dumps(plan | {key: value}) for key, value in {"method": 1, "settings": [], "limit": "2"}.items()]
    for broken in ("[]", "{}", "no json", '{"suite": "mini"}', "[" * 50_000, *wrong):
        (folder / "plan.json").write_text(broken)
        result = bench("score", folder)
        assert result.code == 2 and f"{folder} is not a run" in result.err and len(result.err.splitlines()) == 1


def test_a_metric_that_was_added_stays(small: Path, tmp_path: Path) -> None:
    command = ["run", "--method", "reference", "--data", small, "--json"]
    assert "aic.r@2" not in bench(*command, runs=tmp_path).json["metrics"]
    more = bench("score", folder_of(tmp_path), "--metric", "aic.r@2", "--metric", "aic.r@3", "--json")
    assert more.json["metrics"]["aic.r@2"]["value"] == 100 and "aic.r@3" in more.json["metrics"]
    assert bench(*command, runs=tmp_path).json == more.json


# ---------------------------------------------------------------------------------------------------------- full disk


@pytest.mark.parametrize("full", ["fit.json", "test-03.png", "scores.parquet", "record.json"])
def test_a_full_disk_loses_nothing(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str) -> None:
    method = "audiotoken" if full == "fit.json" else method_file(tmp_path, NOISE)
    few = ["--set", "steps=2", "--set", "batch_size=4"] if full == "fit.json" else []
    command = ["run", "--method", method, "--data", things(base), *few, "--json"]
    if full == "fit.json":
        command[0] = "fit"
    replace, left = os.replace, 3 if full == "fit.json" else 1

    def put(source: str, target: str) -> None:
        nonlocal left
        left -= Path(target).name == full
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", put)
    starved = bench(*command, runs=tmp_path / "runs")
    assert starved.code == 1 and starved.out == ""
    (line,) = [line for line in starved.err.splitlines() if line.startswith("bench:")]
    assert "no space left on the disk" in line and full in line
    assert not list(tmp_path.rglob("*.part"))
    kept = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.suffix in (".png", ".pt")}
    assert kept or full == "fit.json"

    left = -1
    done = bench(*command, runs=tmp_path / "runs")
    assert done.code == 0, done.err
    if full == "fit.json":
        assert "continuing at step 2 of 2" in done.err
        return
    assert len(worlds.pictures(folder_of(tmp_path / "runs"))) == 12
    assert {path: path.read_bytes() for path in kept} == kept
    other = bench(*command, runs=tmp_path / "other")
    assert other.json["metrics"] == done.json["metrics"]


def test_a_full_disk_before_anything_was_made(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mkdir(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    result = bench("run", "--method", method_file_in(tmp_path), "--data", small, runs=tmp_path / "runs")
    assert result.code == 1 and "no space left on the disk" in result.err


def method_file_in(folder: Path) -> str:
    """As `method_file`, where no folder can be made."""
    path = folder / "plain.py"
    path.write_text(worlds.PLAIN.format(name="plain", sees="", body=f"        {GREY}"))
    return f"{path}:Plain"


# -------------------------------------------------------------------------------------------- methods good and bad


def test_a_collapsed_generator_is_at_chance(base: Path, tmp_path: Path) -> None:
    result = bench("run", "--method", method_file(tmp_path, GREY), "--data", things(base), "--json", runs=tmp_path)
    metrics = result.json["metrics"]
    for name in ("ais", "iis", "ais.winrate.sameclass", "iis.winrate.sameclass"):
        assert metrics[name]["value"] == pytest.approx(50, abs=1e-9), name
        assert metrics[name]["chance"] == 50 and metrics[name]["n"] == 12
    assert metrics["aic"]["value"] == pytest.approx(100 / 6)  # it is always one class, and the classes are equal


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return [Image.new('RGB', (64, 64))] * (len(clips) - 1)", "gave 3 images for 4 clips"),
        ("return []", "gave 0 images for 4 clips"),
        ("import numpy as np\nreturn [np.full((64, 64, 3), np.nan)] * 4", "gave no image for clip 'test-00'"),
        ("return [None] * 4", "gave no image for clip 'test-00'"),
        ("return [Image.new('RGB', (64, 64))] * 3 + [7]", "gave no image for clip 'test-03'"),
        (
            "import torch\nbackbone = self.run.backbone\nembeds = backbone.encode_prompts(['x'] * 4) * float('nan')\n"
            "return backbone.sample(embeds, seeds)",
            "NaN or infinite",
        ),
    ],
)
def test_what_is_no_picture_is_no_result(small: Path, tmp_path: Path, body: str, words: str) -> None:
    result = bench("run", "--method", method_file(tmp_path, body), "--data", small, "--json", runs=tmp_path / "runs")
    assert result.code == 1 and result.out == ""
    (line,) = [line for line in result.err.splitlines() if line.startswith("bench:")]
    assert words in line
    assert not list((tmp_path / "runs").rglob("record.json")) and not list((tmp_path / "runs").rglob("*.png"))


def test_methods_of_one_seed_share_their_noise(small: Path, tmp_path: Path) -> None:
    seen = {}
    for name, seed in (("one", 0), ("two", 0), ("one", 1)):
        body = f"open({str(tmp_path / 'seeds')!r}, 'a').write(''.join(f'{{s}} ' for s in seeds))\n" + GREY
        command = ["generate", "--method", method_file(tmp_path, body, name), "--data", small, "--seed", seed]
        assert bench(*command, runs=tmp_path / "runs").code == 0
        seen[name, seed] = [int(text) for text in (tmp_path / "seeds").read_text().split()]
        (tmp_path / "seeds").unlink()
    clips, part = [f"test-{k:02d}" for k in range(4)], suite.load_suite("mini").generation.seed
    assert seen["one", 0] == seen["two", 0] == [image_seed(part, 0, clip, 0) for clip in clips]
    assert seen["one", 1] == [image_seed(part, 1, clip, 0) for clip in clips]


def test_every_picture_has_a_seed_of_its_own() -> None:
    assert image_seed(2305, 0, "mini-test-00000", 0) == 6223935779213569085
    seeds = {image_seed(*key) for key in np.ndindex(3, 3, 5, 3)}  # type: ignore[arg-type]
    assert len(seeds) == 135 and all(0 <= seed < 2**63 for seed in seeds)
    assert image_seed(1, 1, "a/1", 0) != image_seed(1, 1, "a", 1)


def test_a_method_is_fitted_with_the_largest_seed(base: Path, tmp_path: Path) -> None:
    few = ["--set", "steps=1", "--set", "batch_size=2"]
    command = ["fit", "--method", "audiotoken", "--data", things(base), *few, "--seed"]
    assert bench(*command, MAX_SEED, runs=tmp_path).code == 0
    result = bench(*command, MAX_SEED + 1, runs=tmp_path)
    assert result.code == 2 and str(MAX_SEED + 1) in result.err and len(result.err.splitlines()) == 1


def test_a_training_that_explodes_is_one_line(base: Path, tmp_path: Path) -> None:
    few = ["--set", "steps=4", "--set", "batch_size=2", "--set", "learning_rate=1e6"]
    result = bench("run", "--method", "audiotoken", "--data", things(base), *few, runs=tmp_path)
    assert result.code == 1 and "learning_rate" in result.err.splitlines()[-1]
    assert not list(tmp_path.rglob("embedder.safetensors")) and not list(tmp_path.rglob("*.png"))


# ------------------------------------------------------------------------------------------------------ what is given


def test_untidy_clips_are_scored_and_counted(base: Path, tmp_path: Path) -> None:
    given = rows(base, range(4))
    write_wav(tmp_path / "silent.wav", worlds.SILENCE)
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "eight.flac", rng.uniform(-0.5, 0.5, (30_000, 8)), 44_100)
    soundfile.write(tmp_path / "blip.ogg", rng.uniform(-0.5, 0.5, 800), 8_000)
    Image.fromarray(rng.integers(0, 256, (30, 90, 4), dtype=np.uint8), "RGBA").save(tmp_path / "wide.png")
    Image.new("P", (200, 20)).save(tmp_path / "palette.png")
    more = [
        ("silent", "silent.wav", given[0][2], "nothing", "test"),
        ("eight", "eight.flac", "wide.png", "a label {with} braces", "test"),
        ("blip", "blip.ogg", "palette.png", "ein Geräusch 鳥", "test"),
    ]
    data = worlds.write_manifest(tmp_path / "untidy.csv", [*given, *more])
    result = bench("run", "--method", "sd-text", "--data", data, "--json", runs=tmp_path / "runs")
    assert result.code == 0
    record = result.json
    assert record["clips"] == {"total": 7, "failed": 0, "silent": 1, "skipped": []}
    (warning,) = [line for line in record["warnings"] if line.startswith("silent clips")]
    assert warning.endswith(": 1 (silent)")
    assert any("silent" in line and given[0][0] in line for line in record["warnings"] if line != warning), (
        "one picture"
    )
    assert f"warning: {warning}" in result.err
    scores = pandas.read_parquet(folder_of(tmp_path / "runs") / "scores.parquet").set_index("clip")
    assert np.isfinite(scores[["ais", "iis", "aic"]].to_numpy()).all()


def test_a_bad_manifest_is_refused_whole_and_before_any_work(base: Path, tmp_path: Path) -> None:
    (name, *rest), *good = rows(base, range(4))
    bad = [
        (name, "nowhere.wav", *rest[1:]),
        ("../up", *rest),
        ("a:b", *rest),
        ("x", "nowhere.wav", "nowhere.png", "", "test"),
    ]
    data = worlds.write_manifest(tmp_path / "bad.csv", [*bad, *good])
    for verb in ("run", "fit", "generate"):
        result = bench(verb, "--method", "audiotoken", "--data", data, runs=tmp_path / "runs")
        lines = [line for line in result.err.splitlines() if line.startswith("bench:")]
        assert result.code == 2 and result.out == "" and len(lines) == 6
        for line, start in zip(lines, [2, 3, 4, 5, 5, 5], strict=True):
            assert line.startswith(f"bench: bad.csv:{start}: "), line
        assert not (tmp_path / "runs").exists()

    done = bench("run", "--method", "reference", "--data", data, "--skip-bad", "--json", runs=tmp_path / "runs")
    assert done.code == 0
    skipped = done.json["clips"]["skipped"]
    assert [line.partition(":")[0] for line in skipped] == ["line 2", "line 3", "line 4", "line 5"]
    assert all(reason in skipped[3] for reason in ("nowhere.wav", "nowhere.png", "label"))
    assert "rows of the manifest that were left out (--skip-bad): 4" in done.json["warnings"]
    assert done.json["clips"]["total"] == 3 and "left out: line 3, '../up'" in done.err
    again = bench("score", folder_of(tmp_path / "runs"), "--json")
    assert again.json == done.json


def test_a_limit_takes_the_classes_in_turn(base: Path, tmp_path: Path) -> None:
    data = worlds.write_manifest(tmp_path / "m.csv", rows(base, [0, 26, 1, 27, 2]))
    assert job("reference", data, limit=4).test.ids == ("test-00", "test-01", "test-02", "test-26")
    record = bench("run", "--method", "reference", "--data", data, "--limit", 2, "--json", runs=tmp_path).json
    assert record["limit"] == 2 and record["clips"]["total"] == record["metrics"]["iis"]["n"] == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"method": "audiotokn"}, ["'audiotokn'", "'audiotoken'"]),
        ({"suite": "minni"}, ["'minni'", "'mini'"]),
        ({"limit": 0}, ["0", "at least 1"]),
        ({"seed": -1}, ["-1"]),
        ({"seed": MAX_SEED + 1}, [str(MAX_SEED + 1)]),
        ({"device": "tpu"}, ["'tpu'", "cpu"]),
        ({"settings": {"step": "2"}}, ["step='2'", "steps"]),
        ({"settings": {"steps": "2.5"}}, ["steps='2.5'"]),
        ({"settings": {"steps": "0"}}, ["steps='0'"]),
        ({"settings": {"learning_rate": "1e38"}}, ["learning_rate='1e38'"]),
        ({"settings": {"learning_rate": "inf"}}, ["learning_rate='inf'"]),
        ({"settings": {"lambda_a": "nan"}}, ["lambda_a='nan'"]),
        ({"settings": {"cl_reduction": "sum"}}, ["'sum'", "'batch'"]),
        ({"method": "reference", "settings": {"steps": "2"}}, ["steps='2'", "none"]),
        ({"data": Path("nowhere.csv")}, ["nowhere.csv"]),
    ],
)
def test_wrong_use_is_a_line_that_names_it(tmp_path: Path, more: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        job(**{"method": "audiotoken", "runs": tmp_path / "runs", **more})
    assert len(caught.value.problems) == 1 and all(word in str(caught.value) for word in words)
    assert not (tmp_path / "runs").exists()


def test_a_device_that_is_not_there_is_a_users_mistake(small: Path, tmp_path: Path) -> None:
    import torch

    if torch.backends.mps.is_available():
        pytest.skip("this machine has one")
    result = bench("run", "--method", "sd-text", "--data", small, "--device", "mps", runs=tmp_path / "runs")
    assert result.code == 2 and "--device mps" in result.err and not (tmp_path / "runs").exists()


# ------------------------------------------------------------------------------------------------------- on the world


@pytest.mark.parametrize("method", ["sd-text", "reference"])
def test_the_embedded_world(base: Path, method: str) -> None:
    result = bench("run", "--method", method, "--limit", 8, "--json", runs=base / "runs")
    assert result.code == 0, result.err
    record = result.json
    assert record["suite"]["fingerprint"] == suite.load_suite("mini").fingerprint()
    assert record["method"]["name"] == method and record["seed"] == (0 if method == "sd-text" else None)
    assert record["limit"] == record["clips"]["total"] == 8 and record["status"] == "complete"
    metrics = record["metrics"]
    assert set(metrics) == set(suite.load_suite("mini").metrics)
    for name, value in metrics.items():
        assert value["direction"] == ("down" if name.partition(".")[0] in ("fid", "fd", "kid") else "up")
        assert value["failed"] == 0 and value["version"] >= 1
        assert (value["value"] is None) == bool(value["reason"])
        if value["value"] is not None:
            assert value["n"] == 8
            if value["low"] is not None and name != "fd.clip":
                assert value["low"] <= value["value"] <= value["high"]
    assert metrics["ais"]["chance"] == metrics["iis"]["chance"] == 50
    assert metrics["aic"]["chance"] == pytest.approx(100 / 25) and metrics["aic.r@5"]["chance"] == pytest.approx(
        500 / 25
    )
    assert metrics["ais.winrate.sameclass"]["reason"] == "no class has two clips"
    weights = suite.load_suite("mini").weights
    assert metrics["ais"]["scorers"] == {"image_audio_space": weights["clip"], "audio": weights["wav2clip"]}
    assert metrics["aic.audio"]["value"] is not None
    if method == "reference":
        assert metrics["iis"]["value"] == 100 and metrics["fd.clip"]["value"] is metrics["fid"]["value"] is None
        assert "reference frames themselves" in metrics["fid"]["reason"] and metrics["fd.clip"]["reason"]
    else:
        assert metrics["fd.clip"]["value"] > 0
        assert record["cost"]["generate_seconds"] > 0 and record["cost"]["peak_memory_bytes"] > 1e8
    assert record["weights"] == weights and record["cost"]["fit_seconds"] is None
    table = bench("table", "--json", runs=base / "runs")
    assert method in {row["method"] for row in table.json}


def test_what_a_person_sees(base: Path) -> None:
    bench("run", "--method", "reference", "--limit", 8, runs=base / "runs")
    shown = bench("run", "--method", "reference", "--limit", 8, runs=base / "runs")
    assert shown.code == 0 and "reference, limit 8 on mini" in shown.out and "100.0" in shown.out
    assert str(base / "runs" / "mini" / "reference" / "seedless-limit8" / "record.json") in shown.out
    listed = bench("generate", "--method", "reference", "--limit", 8, runs=base / "runs")
    assert listed.code == 0 and listed.out.strip() == str(base / "runs/mini/reference/seedless-limit8/images")
    assert bench("fit", "--method", "reference", runs=base / "runs").err.strip() == "reference has nothing to fit"


def test_a_clip_set_is_read_once_for_a_plan(base: Path) -> None:
    made = job("reference", things(base))
    assert made.test is made.test and made.test.ids == load_manifest(things(base)).test.ids
    assert made.plan.generated is False
