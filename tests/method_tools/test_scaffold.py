"""What `bench new-method` writes installs, keeps the contract and is found; so does a package written by hand."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import worlds
from worlds import bench, things

from benchmark import registries
from benchmark.method import Method
from benchmark.method_tools import scaffold
from benchmark.utils.registry import Registry

PLUGIN = Path(__file__).parents[1] / "plugin"


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


def announce(project: Path, site: Path) -> None:
    """Put the project on the path `site` as an installer would: its metadata, and its folder by a line of a .pth."""
    declared = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    info = site / f"{declared['name'].replace('-', '_')}-{declared['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {declared['name']}\nVersion: {declared['version']}\n")
    lines = [f"{name} = {target}" for name, target in declared["entry-points"]["bench.methods"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[bench.methods]", *lines]) + "\n")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that makes this process find a project's methods, until the test ends."""
    before = set(sys.modules)

    def install(project: Path) -> None:
        announce(project, tmp_path / "site")
        monkeypatch.syspath_prepend(str(project))
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        fresh: Registry[type[Method]] = Registry("method", "bench.methods")
        for module in (registries, scaffold):
            monkeypatch.setattr(module, "METHODS", fresh)

    yield install
    for name in set(sys.modules) - before:
        if name in ("my_tone", "test_my_tone", "bench_pitch_words"):
            del sys.modules[name]


@pytest.mark.parametrize("more", [[], ["--generator"]], ids=["conditioning", "generator"])
def test_what_is_written_works(tmp_path: Path, installed: Any, more: list[str]) -> None:
    project = tmp_path / "package"
    written = bench("new-method", "my-tone", "-o", project, *more)
    assert written.code == 0, written.err
    assert sorted(Path(line).name for line in written.out.split()) == [
        "README.md",
        "my_tone.py",
        "pyproject.toml",
        "test_my_tone.py",
    ]
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E,F,I,UP,B", "--line-length", "120", "."],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout

    installed(project)
    (row,) = [row for row in bench("list", "methods", "--json").json if row["name"] == "my-tone"]
    assert row["origin"] == "my_tone:MyTone (my-tone 0.1.0)" and row["sees"] == ["audio"]
    # its own test, in this process: another would import and load all libraries again
    own = importlib.import_module("test_my_tone")
    tests = [function for name, function in vars(own).items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


def test_an_outside_package_is_run_by_its_name(base: Path, tmp_path: Path, installed: Any) -> None:
    installed(PLUGIN)
    shown = bench("show", "pitch-words", "--json")
    assert shown.code == 0 and shown.json["settings"]["low"]["default"] == "thunder"
    record = bench(
        "run",
        "--method",
        "pitch-words",
        "--set",
        "low=raining",
        "--data",
        things(base),
        "--json",
        runs=tmp_path / "runs",
    ).json
    assert record["status"] == "complete" and record["method"]["settings"] == {
        "low": "raining",
        "high": "bird chirping",
    }
    (row,) = bench("table", "--data", things(base), "--json", runs=tmp_path / "runs").json
    assert row["method"] == "pitch-words"
    taken = bench("new-method", "pitch-words", "-o", tmp_path / "new")
    assert taken.code == 2 and "bench-pitch-words 0.3.0" in taken.err and not (tmp_path / "new").exists()


def test_the_packages_install(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="packages are built offline with a hatchling that is there already")
    assert bench("new-method", "my-tone", "-o", tmp_path / "package").code == 0
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--no-build-isolation",
            "--target",
            str(tmp_path / "site"),
            str(tmp_path / "package"),
            str(PLUGIN),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "site").glob("*.py")} == {"my_tone.py", "bench_pitch_words.py"}
    points = "\n".join(path.read_text() for path in (tmp_path / "site").glob("*.dist-info/entry_points.txt"))
    assert "my-tone = my_tone:MyTone" in points and "pitch-words = bench_pitch_words:PitchWords" in points


@pytest.mark.parametrize(
    "name", ["audiotoken", "numpy", "class", "json", "My-Method", "my_method", "1st", "a--b", "", "ä", "scipy", "a/b"]
)
def test_names_that_cannot_be_are_refused(tmp_path: Path, name: str) -> None:
    result = bench("new-method", name, "-o", tmp_path / "new")
    assert result.code == 2 and f"{name!r}" in result.err and not (tmp_path / "new").exists()


def test_nothing_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-tone").mkdir()
    result = bench("new-method", "my-tone")
    assert result.code == 2 and "my-tone exists already" in result.err and not list((tmp_path / "my-tone").iterdir())
    assert worlds.bench("new-method", "my-tone", "-o", "other", "--json").json[0] == {"file": "other/my_tone.py"}
