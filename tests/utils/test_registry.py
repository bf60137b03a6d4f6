from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.utils.errors import UserError
from benchmark.utils.registry import Registry, load_file


def test_objects_and_lazy_targets_come_back_the_same_each_time():
    registry = Registry[object]("thing")
    marker = object()
    registry.register("here", marker)
    registry.register("path", "pathlib:Path.cwd", aliases=["p"])
    assert registry.get("here") is marker
    assert registry.get("p") == registry.get("path") == Path.cwd
    assert registry.names() == ["here", "path"]
    assert "p" in registry and "q" not in registry
    assert dict(registry.items()) == {"here": marker, "path": Path.cwd}
    assert registry.origin("p") == "pathlib:Path.cwd"
    registry.register("cls", Path)
    assert registry.origin("cls").endswith(":Path")


def test_listing_imports_no_target(tmp_path, monkeypatch):
    (tmp_path / "module_that_must_stay_out.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry[object]("thing")
    registry.register("lazy", "module_that_must_stay_out:x")
    assert registry.names() == ["lazy"] and "lazy" in registry and registry.origin("lazy")
    assert "module_that_must_stay_out" not in sys.modules


def test_unknown_names_get_a_suggestion():
    registry = Registry[int]("method")
    registry.register("audiotoken", 1)
    for call in (registry.get, registry.origin):
        with pytest.raises(UserError, match="unknown method 'audiotokn': did you mean 'audiotoken'"):
            call("audiotokn")


@pytest.mark.parametrize(("name", "aliases"), [("taken", []), ("short", []), ("new", ["taken"]), ("new", ["short"])])
def test_duplicates_raise_and_leave_nothing_behind(name, aliases):
    registry = Registry[int]("method")
    registry.register("taken", 1, aliases=["short"])
    with pytest.raises(UserError, match="is taken by"):
        registry.register(name, 2, aliases)
    assert registry.names() == ["taken"] and registry.get("short") == 1


@pytest.mark.parametrize("target", ["module", "module:", ":name", ""])
def test_malformed_targets_are_refused(target):
    with pytest.raises(UserError, match="not of the form"):
        Registry[int]("method").register("x", target)


@pytest.mark.parametrize("target", ["no_such_module_at_all:x", "pathlib:NoSuchThing"])
def test_a_target_that_cannot_load_names_itself(target):
    registry = Registry[int]("method")
    registry.register("x", target)
    with pytest.raises(UserError, match=f"method 'x' from {target} cannot be loaded"):
        registry.get("x")


def make_distribution(folder: Path, name: str, points: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)


def test_entry_points_are_listed_lazily_and_loaded_on_use(tmp_path, monkeypatch):
    make_distribution(tmp_path, "outsider", "[bench.test_group]\noutside = outsider_module:Thing\n")
    (tmp_path / "outsider_module.py").write_text("class Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    calls = []
    real = importlib.metadata.entry_points
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **k: calls.append(k) or real(**k))
    registry = Registry[type]("method", "bench.test_group")
    registry.register("inside", int)
    assert calls == []
    assert registry.names() == ["inside", "outside"]
    assert "outsider_module" not in sys.modules
    assert registry.origin("outside") == "outsider_module:Thing (outsider 1.0)"
    assert registry.get("outside").__module__ == "outsider_module"
    assert len(calls) == 1


def test_an_entry_point_may_not_take_a_name_unless_it_is_the_same_thing(tmp_path, monkeypatch):
    make_distribution(tmp_path, "ours", "[bench.test_group]\nname = os:getcwd\n")
    monkeypatch.syspath_prepend(tmp_path)
    same = Registry[object]("method", "bench.test_group")
    same.register("name", "os:getcwd")
    assert same.names() == ["name"]
    other = Registry[object]("method", "bench.test_group")
    other.register("name", "os:getpid")
    import os

    assert other.names() == ["name"] and other.get("name") is os.getpid
    ((name, origin, why),) = other.refused()
    assert (name, origin) == ("name", "os:getcwd (ours 1.0)") and "is taken by os:getpid" in why


def test_load_file_finds_classes_that_need_their_module_and_siblings(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "sibling_of_mine.py").write_text("VALUE = 7\n")
    file = tmp_path / "mine.py"
    file.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom sibling_of_mine import VALUE\n"
        "@dataclass\nclass Mine:\n    x: int = VALUE\n"
    )
    first = load_file(f"{file}:Mine")
    assert first().x == 7
    assert load_file(f"{file}:Mine") is first
    file.write_text("class Mine: pass\n")
    assert load_file(f"{file}:Mine") is not first


def test_load_file_says_what_is_wrong(tmp_path):
    file = tmp_path / "m.py"
    file.write_text("from pathlib import Path\nclass Method: pass\n")
    with pytest.raises(UserError, match="path/to/file.py:Class"):
        load_file(str(file))
    with pytest.raises(UserError, match="does not exist"):
        load_file(f"{tmp_path / 'absent.py'}:Method")
    with pytest.raises(
        UserError, match=r"unknown object in .*m\.py' 'Methd': did you mean 'Method'\? \(known: Method\)"
    ):
        load_file(f"{file}:Methd")
    broken = tmp_path / "broken.py"
    broken.write_text("x = 1 / 0\n")
    for _ in range(2):
        with pytest.raises(UserError, match="cannot be loaded: ZeroDivisionError"):
            load_file(f"{broken}:x")


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (
            "benchmark.utils.registry, benchmark.records.provenance, benchmark.records.record, benchmark.records.store",
            ("torch", "pandas", "pyarrow", "numpy", "scipy", "jinja2"),
        ),
        ("benchmark.leaderboard.build", ("torch", "pandas", "pyarrow", "scipy", "jinja2")),
    ],
)
def test_the_light_modules_import_nothing_heavy(modules, heavy):
    code = f"import sys, {modules}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
