"""What surrounds a command may be broken too: variables, folders, limits. Each is one line with the way out."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from worlds import bench

from benchmark.cli.exit_codes import explain
from benchmark.data.vggsound import data_dir
from benchmark.records.store import Store
from benchmark.utils.env import cache_dir
from benchmark.utils.errors import UserError
from benchmark.weights import locate

ROOT = Path(__file__).parents[2]


def test_a_cache_that_is_a_file_is_named_before_any_work(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("BENCH_CACHE", str(file))
    result = bench("run", "--method", "reference", "--limit", 2, runs=tmp_path / "runs")
    assert (result.code, result.out) == (2, "")
    assert result.err == f"bench: {file}: the cache must be a folder, and this is none: set BENCH_CACHE to a folder\n"
    assert bench("table", runs=tmp_path / "runs").code == 0, "what needs no cache works without one"
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "to be made"))
    assert cache_dir() == tmp_path / "to be made"


def test_without_a_home_the_variable_that_helps_is_named(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as where HOME is unset and the user has no entry
    for name in ("BENCH_CACHE", "BENCH_DATA", "BENCH_RUNS", "BENCH_WEIGHTS", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for find, variable in ((cache_dir, "BENCH_CACHE"), (data_dir, "BENCH_DATA"), (locate.folder, "BENCH_CACHE")):
        with pytest.raises(UserError, match=f"no home folder is known: set HOME, or {variable} to a folder without ~"):
            find()
    with pytest.raises(UserError, match="no home folder is known: set HOME, or BENCH_RUNS"):
        Store(Path("~nobody/runs"))
    assert Store().root == Path("runs")


@pytest.mark.parametrize(
    ("number", "way"),
    [
        (errno.EFBIG, "ulimit -f"),
        (errno.EROFS, "choose another place"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENOTDIR, "move it away, or choose another place"),
        (errno.EISDIR, "move it away"),
        (errno.ENAMETOOLONG, "shorter"),
        (errno.EIO, "the disk"),
        (errno.EACCES, "change its permissions, or choose another place"),
    ],
)
def test_what_the_system_refuses_is_one_line_with_the_way_out(capsys, number, way):
    assert explain(OSError(number, os.strerror(number), "runs/a\x1b[2J.png")) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("bench: runs/a\\u001b[2J.png: ") and err.count("\n") == 1
    assert os.strerror(number) in err and way in err and "internal error" not in err


def test_a_limit_is_found_behind_the_error_of_a_library(capsys):
    error = RuntimeError("cannot serialize")
    error.__cause__ = OSError(errno.EFBIG, "File too large")
    assert explain(error) == 1 and "ulimit -f" in capsys.readouterr().err
    # a mistake of this program stays one, whatever was going on when it was made
    mistake = ZeroDivisionError("division by zero")
    mistake.__context__ = NotADirectoryError(errno.ENOTDIR, "Not a directory", "x")
    assert explain(mistake) == 1 and "internal error: ZeroDivisionError" in capsys.readouterr().err


def test_a_file_that_may_not_grow_leaves_nothing_half_written(tmp_path):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    done = subprocess.run(
        [sys.executable, "-m", "benchmark", "table", "--format", "html", "-o", str(tmp_path / "out" / "table.html")],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "BENCH_RUNS": str(tmp_path / "runs")},
        capture_output=True,
        text=True,
        preexec_fn=limit,
        timeout=120,
    )
    assert done.returncode == 1 and "File too large" in done.stderr and "ulimit -f" in done.stderr
    assert done.stderr.count("\n") == 1 and list((tmp_path / "out").iterdir()) == []
