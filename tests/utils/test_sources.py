"""Methods that lie in files: what counts as their code, and that no older copy of it is run."""

from __future__ import annotations

import linecache
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.utils.env import PACKAGE
from benchmark.utils.errors import UserError
from benchmark.utils.files import sha256_of
from benchmark.utils.registry import load_file
from benchmark.utils.sources import class_hash, code_hash, helpers_of, source_hash

FILE = """
import json, os.path
import beside_one as one, pack.part
from beside_two import x

class Mine:
    def late(self):
        import beside_late
        import importlib
        return importlib.import_module("beside_named"), exec(open("beside_run.py").read())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A method's file with modules beside it that it imports in every way, and with things that it does not import."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine.py").write_text(FILE)
    for name in ("one", "two", "late", "named", "run"):
        (tmp_path / f"beside_{name}.py").write_text("x = 1\n")
    (tmp_path / "beside_two.py").write_text("import beside_deep\nx = 1\n")
    (tmp_path / "beside_deep.py").write_text("x = 1\n")
    (tmp_path / "pack" / "inner").mkdir(parents=True)
    for name in ("pack/__init__", "pack/part", "pack/inner/more", "stranger"):
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    (tmp_path / "json.txt").write_text("no module")
    return tmp_path


COUNTED = sorted(
    [
        *(f"beside_{name}.py" for name in ("one", "two", "late", "named", "run", "deep")),
        *("pack/__init__.py", "pack/part.py", "pack/inner/more.py"),
    ]
)


def test_helpers_are_the_modules_beside_a_file_that_it_may_import(folder: Path) -> None:
    found = helpers_of(folder / "mine.py")
    assert [path.relative_to(folder).as_posix() for path in found] == COUNTED
    some = {path.name for path in helpers_of(folder / "mine.py", texts=False)}
    assert "beside_late.py" in some and not some & {"beside_named.py", "beside_run.py"}


@pytest.mark.parametrize("name", ["mine.py", *COUNTED])
def test_the_hash_moves_with_the_file_and_with_each_of_them(folder: Path, name: str) -> None:
    before = source_hash(folder / "mine.py")
    (folder / "stranger.py").write_text("x = 2\n")
    assert source_hash(folder / "mine.py") == before
    with open(folder / name, "a", encoding="utf-8") as file:
        file.write("y = 2\n")
    assert source_hash(folder / "mine.py") != before


def test_the_hash_does_not_depend_on_the_place(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other") / "renamed.py"
    for path in folder.rglob("*.py"):
        copy = other.parent / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    other.write_bytes((folder / "mine.py").read_bytes())
    assert source_hash(other) == source_hash(folder / "mine.py")


def test_a_file_alone_has_its_own_sha256_and_one_that_is_not_python_too(tmp_path: Path) -> None:
    for text in ("import json, benchmark, metrics\n", "def broken(:\n", "\0"):
        (tmp_path / "m.py").write_text(text)
        (tmp_path / "metrics.py").write_text("# what `metrics` means is this project's package\n")
        assert source_hash(tmp_path / "m.py") == sha256_of(tmp_path / "m.py")


def test_the_code_that_runs_is_that_of_the_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every change keeps the size, within a second: Python's compiled copies would be taken for current.
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file, helper = tmp_path / "reloaded.py", tmp_path / "helper_of_reloaded.py"
    seen = []
    for own, beside in ((1, 1), (2, 1), (2, 2), (1, 2), (1, 1)):
        file.write_text(f"import helper_of_reloaded\nclass M:\n    x = {own}, helper_of_reloaded.X\n")
        helper.write_text(f"X = {beside}\n")
        for path in (file, helper):
            os.utime(path, (1_700_000_000, 1_700_000_000))
        seen.append(load_file(f"{file}:M").x)
    assert seen == [(1, 1), (2, 1), (2, 2), (1, 2), (1, 1)]


def test_two_neighbours_of_one_name_are_not_mixed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "common_of_two.py").write_text(f"X = {name!r}\n")
        (tmp_path / name / f"{name}.py").write_text("class M:\n    def x(self):\n        import common_of_two\n")
    load_file(f"{tmp_path}/a/a.py:M")
    with pytest.raises(UserError, match="imports 'common_of_two' from beside it, and an earlier method") as caught:
        load_file(f"{tmp_path}/b/b.py:M")
    assert str(tmp_path / "a") in str(caught.value) and len(caught.value.problems) == 1
    load_file(f"{tmp_path}/a/a.py:M")


def test_a_class_that_is_passed_has_the_hash_of_its_file(folder: Path) -> None:
    assert class_hash(load_file(f"{folder / 'mine.py'}:Mine")) == source_hash(folder / "mine.py")
    installed = Path(subprocess.__file__)
    assert helpers_of(installed) == [] and class_hash(subprocess.Popen) == sha256_of(installed)


CELL = "class A:\n    def x(self):\n        return {}\nclass B(A):\n    pass\n"


@pytest.mark.parametrize("kept", [True, False])
def test_a_class_of_a_notebook_has_the_hash_of_its_cells(kept: bool) -> None:
    def cell(number: int, value: int, name: str = "__main__notebook") -> str:
        text, file = CELL.format(value), f"<cell {number} {kept}>"
        if kept:  # as IPython does
            linecache.cache[file] = (len(text), None, text.splitlines(True), file)
        space = {"__name__": name}
        exec(compile(text, file, "exec"), space)
        return class_hash(space["B"])

    assert cell(1, 1) == cell(1, 1)
    assert cell(2, 2) != cell(1, 1), "the base is in the same notebook"


def test_the_hash_of_code_moves_with_files_and_with_libraries(tmp_path: Path) -> None:
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("1"), two.write_text("2")
    same = code_hash([one, two], ["numpy", "no-such-library"])
    assert same == code_hash([one, two], ["numpy"])
    others = [code_hash([one]), code_hash([one, two]), code_hash([one, two], ["pydantic"])]
    two.write_text("3")
    assert len({same, *others, code_hash([one, two], ["numpy"])}) == 5


def test_importing_this_costs_nothing() -> None:
    code = "import sys, benchmark.utils.sources; assert not {'numpy', 'torch', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)})
