"""An option that does not apply is refused, on every verb; options that verbs share mean the same everywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import worlds
from PIL import Image
from worlds import bench

from benchmark.suite import load_suite


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.mark.parametrize(
    "option",
    [
        ("--suite", "mini"),
        ("--data", "m.csv"),
        ("--limit", "3"),
        ("--seed", "1"),
        ("--set", "a=1"),
        ("--runs", "elsewhere"),
        ("--skip-bad",),
        ("--name", "x"),
        ("--sees", "audio"),
    ],
)
def test_a_finished_run_settles_what_it_was(base, option):
    folder, _ = worlds.finished(base, "reference")
    result = bench("score", folder, *option)
    assert result.code == 2 and option[0] in result.err and len(result.err.splitlines()) == 1
    assert "leave it out" in result.err


def test_the_environment_is_no_option(base, monkeypatch):
    folder, record = worlds.finished(base, "reference")
    monkeypatch.setenv("BENCH_RUNS", "elsewhere")
    result = bench("score", folder, "--json")
    assert result.code == 0 and result.json == record


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--method", "sd-text", "--skip-bad"), ["--skip-bad", "--data"]),
        (("fit", "--method", "audiotoken", "--skip-bad"), ["--skip-bad"]),
        (("generate", "--method", "sd-text", "--skip-bad"), ["--skip-bad"]),
        (("run", "--method", "sd-text", "--dry-run", "--runs", "x"), ["--runs", "dry run"]),
        (("run", "--method", "sd-text", "--dry-clips", "2"), ["--dry-run"]),
        (("run", "--method", "sd-text", "--track", "tensorboard"), ["--track", "sd-text"]),
        (("run", "--method", "reference", "--samples-every", "5"), ["--samples-every", "reference"]),
        (("table", "--metric", "ais", "--all-metrics"), ["--metric", "--all-metrics"]),
        (("show", "aic", "--suite", "vggsound"), ["--suite"]),
        (("score", "--method", "sd-text", "--name", "x"), ["--name"]),
        (("export", "--labels", "true", "-o", "x"), ["'true'", "takes no value"]),
    ],
)
def test_what_does_not_apply_is_refused(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = bench(*arguments)
    assert (result.code, result.out) == (2, "") and len(result.err.splitlines()) == 1
    for word in words:
        assert word in result.err
    assert not list(tmp_path.iterdir())


def test_pictures_have_neither_seed_nor_settings(tmp_path):
    (tmp_path / "mine").mkdir()
    result = bench("score", tmp_path / "mine", "--seed", "1", "--set", "a=1")
    assert result.code == 2 and [line.split()[1] for line in result.err.splitlines()] == ["--seed", "--set"]


def test_many_files_of_one_fault_are_ten_lines_and_a_count(base, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(folder / "mini-test-00000.png")
    result = bench("score", folder, runs=tmp_path / "runs")
    lines = result.err.splitlines()
    lines = [line for line in lines if line.startswith("bench: ")]
    assert result.code == 2 and len(lines) == 11
    assert lines[0] == "bench: mini-test-00001.png is missing: every test clip needs one"
    assert lines[-1] == f"bench: ... and {load_suite('mini').data.test - 11} more like it"


@pytest.mark.parametrize(("suffix", "kind"), [("jpg", "JPEG"), ("webp", "WEBP")])
def test_another_format_is_named_as_what_is_wrong(base, tmp_path, suffix, kind):
    folder = tmp_path / "mine"
    folder.mkdir()
    for number in range(12):
        Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(folder / f"test-{number:02d}.{suffix}")
    result = bench("score", folder, "--data", worlds.things(base), runs=tmp_path / "runs")
    (line,) = [line for line in result.err.splitlines() if line.startswith("bench: ")]
    assert result.code == 2 and f"the images are {kind} files" in line and "PNG is expected" in line


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("~/x.wav", "'~' is not expanded"),
        ("file:///x.wav", "file:// address"),
        ("https://example.org/x.wav", "nothing is downloaded"),
        ("C:\\\\x\\\\y.wav", "Windows path"),
        ("audio\\\\y.wav", "Windows path"),
    ],
)
def test_a_foreign_path_in_a_manifest_gets_a_hint(base, tmp_path, value, hint):
    name, _, image, label, split = worlds.row(worlds.things(base).parent, "test", 0)
    image = str(worlds.things(base).parent / image)
    data = worlds.write_manifest(tmp_path / "m.csv", [(name, value.replace("\\\\", "\\"), image, label, split)])
    result = bench("run", "--method", "reference", "--data", data, runs=tmp_path / "runs")
    (line,) = [line for line in result.err.splitlines() if line.startswith("bench: ")]
    assert result.code == 2 and "does not exist" in line and hint in line


def test_a_misspelt_setting_gets_a_hint(tmp_path):
    result = bench("run", "--method", "audiotoken", "--set", "lamda_c=0.1", runs=tmp_path)
    assert result.code == 2 and "did you mean 'lambda_c'?" in result.err


def test_a_file_without_a_class_says_what_is_missing(tmp_path):
    path = Path(worlds.method_file(tmp_path, worlds.GREY).removesuffix(":Plain"))
    result = bench("run", "--method", path, runs=tmp_path / "runs")
    assert result.code == 2 and f"write {path}:Plain" in result.err and len(result.err.splitlines()) == 1


def test_show_gives_the_steps_and_rate_of_the_suite():
    mini, full = (
        {
            name: one["default"]
            for name, one in bench("show", "audiotoken", "--suite", suite, "--json").json["settings"].items()
        }
        for suite in ("mini", "vggsound")
    )
    assert mini["steps"] == load_suite("mini").budget.steps and mini["learning_rate"] == 8e-4
    assert full["steps"] == 30_000 and full["learning_rate"] == 1.6e-4


def test_looking_suites_up_touches_no_weights(monkeypatch):
    from benchmark.weights import locate

    def fail(*_: object) -> None:
        raise AssertionError("weights were looked for")

    for name in ("located", "hash_of", "hash_at", "hub_root"):
        monkeypatch.setattr(locate, name, fail)
    assert bench("list", "suites").code == 0
    assert bench("show", "vggsound").code == 0 and bench("list", "scorers").code == 0


def test_memory_is_that_of_the_device_that_was_named(monkeypatch):
    import torch

    from benchmark.utils.device import peak_memory

    asked = []
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: asked.append(device) or 12345)
    assert peak_memory("cuda:1") == 12345 and asked == ["cuda:1"]
    assert peak_memory("cpu") > 10_000_000


# ------------------------------------------------------------------------------------------------------------ plug-ins


def announce(folder: Path, name: str, points: dict[str, str], code: str) -> None:
    """An installed distribution with one module, which announces methods."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = "\n".join(f"{key} = {value}" for key, value in points.items())
    (info / "entry_points.txt").write_text(f"[bench.methods]\n{lines}\n")
    (folder / f"{name}.py").write_text(code)


BROKEN = {
    "leaves": "import sys\nsys.exit(0)",
    "interrupts": "class Stop(KeyboardInterrupt): pass\nraise Stop()",
    "generator": "raise GeneratorExit",
    "nocard": "from benchmark import Method\nclass M(Method):\n    def generate(self, clips, seeds): ...",
    "nomethod": "class M: ...",
    "nothing": "",
    "badcard": (
        "from benchmark import Method, MethodCard\nclass M(Method):\n"
        "    card = MethodCard(name='badcard', summary='s', sees=('smell',), licence='l')\n"
        "    def generate(self, clips, seeds): ..."
    ),
}


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    from benchmark import registries
    from benchmark.utils.registry import Registry

    site = tmp_path / "site"
    for name, code in BROKEN.items():
        announce(site, f"plug_{name}", {name: f"plug_{name}:M"}, code)
    announce(site, "thief", {"reference": "thief:M"}, BROKEN["nocard"])
    announce(site, "twin_one", {"twin": "twin_one:M"}, BROKEN["nocard"])
    announce(site, "twin_two", {"twin": "twin_two:M"}, BROKEN["nocard"])
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(registries, "METHODS", Registry("method", "bench.methods"))


def test_a_broken_plug_in_is_a_row_with_its_reason_and_hides_nobody(plugins):
    result = bench("list", "methods", "--json")
    assert result.code == 0, result.err
    rows = {}
    for row in result.json:
        rows.setdefault(row["name"], []).append(row)
    assert {"audiotoken", "sd-text", "wav2clip"} <= set(rows) and rows["audiotoken"][0]["sees"] == ["audio"]
    for name, words in {
        "leaves": "it ends the program (SystemExit: 0)",
        "interrupts": "Stop",
        "generator": "GeneratorExit",
        "nocard": "has no card",
        "nomethod": "is not a subclass",
        "nothing": "has no attribute 'M'",
        "badcard": "sees.0: ",
        "twin": "is announced by",
    }.items():
        assert words in rows[name][0]["summary"], name
        failed = bench("show", name)
        assert failed.code == 2 and words in failed.err, name
    assert "training_data: field required" in rows["badcard"][0]["summary"]
    # this project's own names cannot be taken
    assert sorted(bool(row["sees"]) for row in rows["reference"]) == [False, True]
    assert "the ceiling" in bench("show", "reference").out


def test_a_bad_card_harms_no_other_class_of_its_file(tmp_path):
    path = Path(worlds.method_file(tmp_path, worlds.GREY).removesuffix(":Plain"))
    bad = "\nclass Bad(Method):\n    card = MethodCard(name=3, summary='s', sees=('smell',), licence='l')\n"
    bad += "    generate = Plain.generate\n"
    path.write_text(path.read_text() + bad)
    assert bench("show", f"{path}:Plain").code == 0
    result = bench("show", f"{path}:Bad")
    assert result.code == 2 and len(result.err.splitlines()) == 1
    for words in (
        "name: input should be a valid string, not 3",
        "sees.0: ",
        "'smell'",
        "training_data: field required",
    ):
        assert words in result.err
