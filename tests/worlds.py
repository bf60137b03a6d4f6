"""Small data sets made of the world's own clips, methods that cost nothing, and `bench` run in this process."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmark.media.audio import write_wav
from benchmark.media.images import save_png
from benchmark.mini.data import make_picture, make_sound
from benchmark.mini.world import label_of

CLASSES = 6
TRAIN = [start + k for start in (0, 26, 52) for k in range(CLASSES)]
TEST = [start + k for start in (0, 26) for k in range(CLASSES)]
SILENCE = np.zeros(16_000, np.float32)

Row = tuple[str, str, str, str, str]


def row(folder: Path, split: str, index: int) -> Row:
    """The manifest's row of a clip of the world, whose files are written below `folder` if they are not there yet."""
    name = f"{split}-{index:02d}"
    sound, picture = folder / "audio" / f"{name}.wav", folder / "images" / f"{name}.png"
    if not picture.exists():
        write_wav(sound, make_sound(split, index) / np.float32(32768))
        save_png(picture, make_picture(split, index))
    return name, f"audio/{name}.wav", f"images/{name}.png", label_of(index), split


def write_manifest(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "audio", "image", "label", "split"), *rows])
    return path


def things(base: Path) -> Path:
    """A manifest below `base` of 18 clips to fit on and 12 to score, of 6 classes; made on the first call."""
    folder = base / "things"
    path = folder / "things.csv"
    if not path.exists():
        rows = [row(folder, "train", k) for k in TRAIN] + [row(folder, "test", k) for k in TEST]
        write_manifest(path, rows)
    return path


@dataclass(frozen=True)
class Result:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as strict JSON."""

        def refuse(name: str) -> None:
            raise AssertionError(f"{name} in the output")

        return json.loads(self.out, parse_constant=refuse)


def bench(*arguments: object, runs: Path | None = None) -> Result:
    """Run `bench ARGUMENTS` in this process, with its runs in `runs`; a run makes no report unless it is asked to."""
    from benchmark.cli import app

    if arguments[0] == "run" and not {"--report", "--dry-run"} & {*arguments}:
        arguments = (*arguments, "--no-report")
    environment = {"COLUMNS": "500", **({} if runs is None else {"BENCH_RUNS": str(runs)})}  # lines are not folded
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch.object(app, "quiet_libraries"),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = app.main([str(argument) for argument in arguments])
    return Result(code, out.getvalue(), err.getvalue())


def finished(base: Path, method: str, data: Path | None = None, **settings: Any) -> tuple[Path, dict[str, Any]]:
    """The folder and the record of a run on `things` (or `data`): made on the first call, and shared by all tests."""
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    runs = base / "runs"
    result = bench("run", "--method", method, "--data", data or things(base), *given, "--json", runs=runs)
    assert result.code == 0, result.err
    record = result.json
    for path in runs.glob(f"{record['suite']['name']}*/{record['method']['name']}/*/record.json"):
        if json.loads(path.read_text()) == record:
            return path.parent, record
    raise AssertionError("the record that was printed is not stored")


PLAIN = '''
from PIL import Image
from benchmark.method import ConditioningMethod, Conditioning, Method, MethodCard

class Plain(Method):
    """Costs nothing: a picture of one colour."""

    card = MethodCard(name="{name}", summary="for tests", sees=({sees}), licence="none", training_data="none")

    def generate(self, clips, seeds):
{body}
'''


def method_file(folder: Path, body: str, name: str = "plain", sees: Sequence[str] = ("audio",), more: str = "") -> str:
    """`path/to/file.py:Plain`, a method with `body` as its `generate`."""
    lines = "\n".join(f"        {line}" for line in body.strip("\n").split("\n"))
    text = PLAIN.format(name=name, sees="".join(f"{sight!r}, " for sight in sees), body=lines) + more
    path = folder / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return f"{path}:Plain"


GREY = "return [Image.new('RGB', (64, 64), (90, 120, 150)) for clip in clips]"

# Each clip has a picture of its own, which depends on its seed.
NOISE = """
import numpy as np
return [np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8) for seed in seeds]
"""


def pictures(folder: Path) -> Mapping[str, bytes]:
    """The finished pictures of a run by name."""
    return {path.name: path.read_bytes() for path in sorted((folder / "images").glob("*.png"))}


PRINT_PEAK = """
import resource, sys
from pathlib import Path
status = Path("/proc/self/status")
if status.exists():  # of Linux' maxrss a child begins with its parent's
    print(next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1e3)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3))
"""
"""Code that prints the peak of a process's memory in MB."""
