"""Keep the figures of a study, with what made them: `python -m benchmark.studies.keep FILE MODULE [ARGUMENT...]`.

    python -m benchmark.studies.keep results/studies/report-card.json benchmark.studies.report_card
    python -m benchmark.studies.keep results/studies/stress.json benchmark stress audiotoken

The module is run as `python -m MODULE ARGUMENT... --json`. What it prints goes into FILE beside the command, the
suite's fingerprint and the provenance that a run's record has: commit, packages, machine. A command that fails keeps
nothing.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from benchmark.records.provenance import Provenance, collect
from benchmark.records.record import SuiteRef
from benchmark.suite import load_suite
from benchmark.utils.errors import BenchError, UserError
from benchmark.utils.files import write_atomic


class Kept(BaseModel):
    """A study's figures and what made them."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    command: str
    """The command that prints the figures, without `--json`."""
    suite: SuiteRef
    """The suite that the figures are of."""
    seconds: float
    """Wall-clock time of the command."""
    provenance: Provenance
    """Code, packages and machine."""
    figures: Any
    """What the command printed."""


def run(module: str, arguments: Sequence[str], suite: str) -> Kept:
    """Run a module's command line and return what it printed.

    Args:
        module: The module, as after `python -m`.
        arguments: Its arguments; `--json` is added.
        suite: Name of the suite that the figures are of.

    Raises:
        UserError: The command failed, or printed no JSON.
    """
    known, before, began = load_suite(suite), collect(), time.perf_counter()
    shown = "bench" if module == "benchmark" else f"python -m {module}"
    command = " ".join([shown, *map(shlex.quote, arguments)])
    asked = [*arguments, *([] if "--json" in arguments else ["--json"])]
    done = subprocess.run([sys.executable, "-m", module, *asked], stdout=subprocess.PIPE, text=True, encoding="utf-8")
    if done.returncode:
        raise UserError(f"`{command}` ended with exit code {done.returncode}: nothing is kept")
    try:
        figures = json.loads(done.stdout)
    except ValueError:
        raise UserError(f"`{command} --json` printed no JSON: nothing is kept") from None
    after = collect()
    changed = (before.commit, before.dirty) != (after.commit, after.dirty)
    return Kept(
        command=command,
        suite=SuiteRef(name=known.name, version=known.version, fingerprint=known.fingerprint()),
        seconds=round(time.perf_counter() - began, 1),
        provenance=before.model_copy(update={"dirty": True}) if changed else before,
        figures=figures,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.keep", description=(__doc__ or "").partition(":")[0]
    )
    parser.add_argument("file", type=Path, help="where the figures are kept, as JSON")
    parser.add_argument("--suite", default="mini", help="suite that they are of (default: %(default)s)")
    parser.add_argument("module", help="a study's module, or `benchmark` for a verb of bench")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    given = parser.parse_args(arguments)
    try:
        kept = run(given.module, given.arguments, given.suite)
        given.file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(given.file, kept.model_dump_json(indent=1) + "\n")
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(given.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
