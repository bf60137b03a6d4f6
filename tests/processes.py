"""Python programs in processes of their own, forked from one that has imported the libraries.

A new interpreter spends four to ten seconds of a slow core on importing torch, diffusers and transformers. A fork of a
process that has done so is as fresh (modules, environment, folder, output and signals are its own) and starts at once.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import signal
import sys
import time
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

LIMIT_SECONDS = 600.0
"""A program of some seconds that is not done then, hangs."""
PRELOADED = [
    *("torch", "diffusers", "transformers", "open_clip", "pandas", "pyarrow.parquet", "scipy.linalg", "soundfile"),
    *("torch._dynamo", "diffusers.models.unets.unet_2d_condition", "peft", "safetensors.torch", "soxr", "matplotlib"),
    *("benchmark.cli.app", "benchmark.runs.steps", "benchmark.mini.networks", "metrics.compute", "audiotoken.method"),
]


class Ended(NamedTuple):
    """What became of a program; the code is None where it was killed by the time limit."""

    code: int | None
    out: str
    err: str
    seconds: float

    @property
    def lines(self) -> list[str]:
        """What it said of a problem."""
        return [line for line in self.err.splitlines() if line.startswith(("warning:", "bench:"))]


class Program:
    """`python ARGUMENTS`, begun: a file, `-m MODULE` or `-c CODE`, each with the arguments that follow it.

    Args:
        arguments: As they follow the name of the interpreter.
        place: Folder for what the program prints.
        environment: Variables beside those of this process, or in their place.
        cwd: Its working directory; this process's if None.
    """

    def __init__(
        self, *arguments: object, place: Path, environment: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self._out, self._err = place / "out.txt", place / "err.txt"
        for path in (self._out, self._err):
            path.unlink(missing_ok=True)
        variables = {**os.environ, **(environment or {})}
        files = str(self._out), str(self._err)
        given = ([str(argument) for argument in arguments], variables, str(cwd or Path.cwd()), files)
        self._process: BaseProcess = context.Process(target=_main, args=given)
        self._began = time.monotonic()
        self._process.start()

    def end(self, after: float = LIMIT_SECONDS) -> Ended:
        """Wait for its end, and kill its whole process group `after` so many seconds."""
        self._process.join(after)
        killed = self._process.is_alive()
        if killed:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid or 0, signal.SIGKILL)
            self._process.kill()  # it may not have led a group yet
        self._process.join()
        files = (self._out, self._err)
        texts = [path.read_text(encoding="utf-8", errors="replace") if path.exists() else "" for path in files]
        return Ended(None if killed else self._process.exitcode, *texts, time.monotonic() - self._began)


def python(*arguments: object, place: Path, environment: Mapping[str, str] | None = None, cwd: Path) -> Ended:
    """Run a program in the folder `cwd` to its end."""
    ended = Program(*arguments, place=place, environment=environment, cwd=cwd).end()
    assert ended.code is not None, f"no end after {LIMIT_SECONDS:.0f} s: {ended.err}"
    return ended


def _main(arguments: list[str], environment: dict[str, str], cwd: str, files: tuple[str, str]) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for path, number in zip(files, (1, 2), strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    kind, *rest = arguments
    name = rest[0] if kind in ("-m", "-c") else kind
    sys.argv = [kind if kind == "-c" else name, *(rest[1:] if kind in ("-m", "-c") else rest)]
    sys.path.insert(0, str(Path(name).resolve().parent) if kind not in ("-m", "-c") else cwd)
    if kind == "-m":
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    elif kind == "-c":
        main = type(sys)("__main__")
        sys.modules["__main__"] = main
        exec(compile(name, "<string>", "exec"), vars(main))
    else:
        runpy.run_path(name, run_name="__main__")
