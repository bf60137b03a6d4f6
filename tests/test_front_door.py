"""`import benchmark as bench`: light, whole, and used as docs/python.md says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import worlds
from processes import python

import benchmark as bench
from benchmark.media.audio import write_wav
from benchmark.mini.data import make_sound
from benchmark.utils.moved import MOVED

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "python.md"


def script(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """`code` as a plain file, run as a newcomer would run it."""
    path = folder / "script.py"
    path.write_text(code, encoding="utf-8")
    return subprocess.run(
        [sys.executable, str(path)],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_the_page_runs_from_top_to_bottom(tmp_path):
    write_wav(tmp_path / "bell.wav", make_sound("test", 0) / 32768.0)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    (tmp_path / "script.py").write_text(code, encoding="utf-8")
    done = python("script.py", place=tmp_path, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "unknown method 'audiotokn': did you mean 'audiotoken'" in done.out
    assert (tmp_path / "bell.png").is_file() and (tmp_path / "runs" / "mini" / "sd-text").is_dir()


def test_the_door_is_light_and_leads_everywhere():
    heavy = "('torch', 'numpy', 'pandas', 'PIL', 'pydantic')"
    code = f"import sys, benchmark; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    for name in bench.__all__:
        assert getattr(bench, name) is not None
    assert set(bench.__all__) <= set(dir(bench))
    page = PAGE.read_text(encoding="utf-8")
    table = page[page.index("## Names") :]
    unnamed = [name for name in bench.__all__ if f"`{name}`" not in table and not name.startswith("_")]
    assert set(unnamed) <= {"DataState", "Sample", "StreamPlace"}


def test_a_script_without_a_guard_makes_the_world(tmp_path):
    code = """
import benchmark as bench
from benchmark.mini import data
data.PARALLEL_FROM = 1
print("once")
clips = data.WorldClips("validation", 70, __import__("pathlib").Path("world"))
print(clips.pictures.shape, clips.sounds.shape)
"""
    done = script(tmp_path, code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "once\n(70, 64, 64, 3) (70, 40000)\n" and done.stderr == ""


def test_a_board_of_chosen_rows():
    rows = ["wav2clip", "imagebind"]
    board = bench.board("mini", ["ais"], methods=rows, names={"imagebind": "B"}, runs="/nonexistent")
    assert [(row.label, row.rank) for row in board.rows] == [("wav2clip", 1), ("B", 2)]


def test_a_record_and_a_board_show_themselves():
    board = bench.board("mini", ["ais", "fd.clip"], runs="/nonexistent")
    shown = board._repr_html_()
    assert shown.startswith("<table>") and "audiotoken-lora" in shown and "ais ↑" in shown and "<li>" in shown
    frame = board.to_pandas()
    assert next(iter(frame["method"])) == "reference" and frame["ais"].between(0, 100).all()
    assert frame.loc[frame["method"] == "reference", "fd.clip"].isna().all()
    record = bench.load_records("mini", runs="/nonexistent")[0]
    assert record.method.name in record._repr_html_() and len(record.clip_scores()) == record.clips.total
    assert len(record.class_scores()) == 25
    for name, value in record.metrics.items():
        if name in record.clip_scores():
            assert record.clip_scores()[name].mean() == pytest.approx(value.value)


def test_names_are_escaped(tmp_path):
    hostile = "<script>alert(1)</script>"
    record = bench.load_records("mini", runs="/nonexistent")[0]
    method = record.method.model_copy(update={"name": hostile})
    shown = record.model_copy(update={"method": method})._repr_html_()
    assert "<script>" not in shown and "&lt;script&gt;" in shown


def test_wrong_use_is_told_before_any_work(tmp_path):
    with pytest.raises(bench.UserError, match="unknown suite 'minni': did you mean 'mini'"):
        bench.board("minni")
    with pytest.raises(bench.UserError, match="unknown metric 'aiss'"):
        bench.board("mini", ["aiss"])
    with pytest.raises(bench.UserError, match="steps"):
        bench.run("audiotoken", settings={"stepz": 3}, runs=tmp_path, ui=bench.Silent())
    record = bench.load_records("mini", runs="/nonexistent")[0].model_copy()
    record._path = None
    with pytest.raises(bench.UserError, match="was not read from a file"):
        record.clip_scores()
    assert not list(tmp_path.iterdir())


def test_a_run_is_that_of_the_command_line(tmp_path, tmp_path_factory):
    data = worlds.things(tmp_path_factory.getbasetemp())
    record = bench.run("reference", data=data, runs=tmp_path, ui=bench.Silent())
    assert len(record.clip_scores()) == 12
    again = worlds.bench("run", "--method", "reference", "--data", data, "--json", runs=tmp_path)
    assert again.code == 0 and again.json["identity"] == record.identity
    assert again.json["provenance"]["score"][-1]["date"] == record.provenance.date, "it was not done again"


@pytest.mark.parametrize("old", sorted(MOVED))
def test_old_names_lead_to_the_new_ones_with_a_warning(old):
    code = f"import warnings, {old} as module; print(len(vars(module)) > 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"`{old}` has moved to" in done.stderr and "FutureWarning" in done.stderr


def test_an_old_command_still_runs(tmp_path):
    done = python("-m", "benchmark.mini.ceiling", "--help", place=tmp_path, cwd=ROOT)
    assert done.code == 0 and "python -m benchmark.studies.ceilings" in done.out
    assert "has moved to `benchmark.studies.ceilings`" in done.err


def test_an_outside_method_of_the_last_version_still_works(tmp_path):
    """What docs/add-a-method.md of version 0.1 told people to import."""
    code = """
from benchmark.method import Conditioning, ConditioningMethod, FitReport, MethodCard, MethodSettings
from benchmark.clips import Clip, ClipSet
from benchmark.text import label_embedding
from benchmark.validate import validate
import benchmark
print(callable(validate), callable(benchmark.validate), callable(label_embedding))
"""
    done = python("-c", code, place=tmp_path, cwd=tmp_path)
    assert done.code == 0 and done.out == "True True True\n", done.err


def test_nothing_of_the_project_itself_uses_an_old_name():
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        for name in bench.__all__:
            getattr(bench, name)
    for package in ("benchmark", "metrics", "audiotoken", "baselines", "tests"):
        for path in (ROOT / package).rglob("*.py"):
            if path.name in ("moved.py", "test_front_door.py"):
                continue
            text = path.read_text(encoding="utf-8")
            for old in MOVED:
                assert not re.search(rf"(?<![\w.]){re.escape(old)}(?![\w])", text) or old == "benchmark.validate", path
