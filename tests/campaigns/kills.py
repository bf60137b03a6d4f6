"""Runs that are killed at a random moment and started again: the same result, to the bit."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from campaigns.commands import Sandbox, bench, few_clips
from campaigns.report import Report

TWICE = 0.25
"""Share of the runs that are killed a second time, while they continue."""


def run(place: Path, report: Report) -> None:
    """Kill `count` runs, and compare what they end as with one that nobody disturbed."""
    count, seed = report.asked, report.seed
    data = few_clips(place / "data")
    whole = Sandbox(place / "whole", data)
    bench("--version", place=whole.place, environment={})  # the time of importing is nobody's
    first = whole.run()
    assert first.code == 0, first.err
    expected, rng = whole.result(), random.Random(f"kills {seed}")
    for attempt in range(3 * count):
        if report.total >= count:
            break
        sandbox = Sandbox(place / f"kill-{attempt}", data)
        moments = [rng.uniform(0, first.seconds)] + [rng.uniform(0, first.seconds)] * (rng.random() < TWICE)
        codes = [sandbox.run(after).code for after in moments]
        if codes[0] is not None:
            continue  # it was faster than the first one
        phase = _phase(sandbox)
        last = sandbox.run()
        detail = f"killed after {', '.join(f'{after:.2f} s' for after in moments)} of {first.seconds:.2f} s"
        if last.code is None:
            outcome = "hang"
        elif last.code or not last.out:
            outcome, detail = "traceback", f"{detail}: {last.err[-500:]}"
        elif (found := sandbox.result()) != expected:
            wrong = [name for name in {*found, *expected} if found.get(name) != expected.get(name)]
            outcome, detail = "changed", f"{detail}: {', '.join(sorted(wrong))}"
        elif left := [path.name for path in sandbox.place.rglob("*.part")]:
            outcome, detail = "stuck", f"{detail}: {', '.join(sorted(left))}"
        else:
            outcome = "identical"
        report.add(phase, outcome, detail)
        shutil.rmtree(sandbox.place)


def _phase(sandbox: Sandbox) -> str:
    """How far a killed run had come."""
    steps = {path.stem for folder in (sandbox.fit, sandbox.folder) for path in (folder / "steps").glob("*.json")}
    return next((f"in {step}" for step in ("score", "generate", "fit") if step in steps), "before the first step")
