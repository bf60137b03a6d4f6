"""The paper's claims on more test clips than the suite has, with the fits of its own runs.

    python -m benchmark.studies.claims --clips 3744
    python -m benchmark.studies.claims --clips 936 --seeds 0 --json

A claim that 468 clips leave open may be decided by more of them: `mini` can make as many as are asked for, the suite's
own first. Every method that a claim names is run on them with each seed (`bench run --variation clips=N`), and the
claims are judged as `bench paper` judges them. Networks that are fitted already are used again, and so are finished
runs; the number of clips is to be chosen before the first look.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.leaderboard.dots import Dot
from benchmark.leaderboard.paper_claims import build_paper, load_claims, render, to_rich
from benchmark.records.store import StoredRecord
from benchmark.runs import steps
from benchmark.runs.plan import Plan
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.studies import figures
from benchmark.utils.errors import BenchError
from benchmark.utils.progress import UI, Console
from benchmark.utils.terminal import rendered, wide

if TYPE_CHECKING:
    from benchmark.leaderboard.paper_claims import Paper


def requests_of(clips: int, seeds: Sequence[int], runs: Path | None, device: str) -> list[RunRequest]:
    """Return the runs that the claims need: of each method that one of them names, and of each seed."""
    named = dict.fromkeys(one for claim in load_claims().claims for one in (claim.better, claim.worse) if one)
    return [
        RunRequest(method=method, variation=f"clips={clips}", seed=seed, runs=runs, device=device)
        for method in named
        for seed in seeds
    ]


def measure(requests: Sequence[RunRequest], ui: UI) -> Paper:
    """Run what is not finished, and judge the claims by the records.

    Raises:
        UserError: A request is refused; before any work is done.
        BenchError: A run failed.
    """
    plans = {plan.folder.path: plan for plan in (Plan.of(request, ui) for request in requests)}
    records = []
    for number, plan in enumerate(plans.values(), 1):  # a method without seeds has one run
        ui.say(f"run {number} of {len(plans)}: {plan.name}")
        records.append(StoredRecord(steps.run(Run(plan, ui)), plan.folder.record_path, "runs"))
    suite = next(iter(plans.values())).suite
    return build_paper(records, suite, name=suite.name, fingerprint=suite.fingerprint())


def panels(paper: Paper) -> dict[str, list[Dot]]:
    """Return the dots of a figure: by measure, what each claim puts ahead minus what it puts behind."""
    found: dict[str, list[Dot]] = {}
    for one in paper.verdicts:
        if (contrast := one.contrast) is not None and one.column is not None:
            name = f"{one.claim.better} - {one.claim.worse}"
            dots = found.setdefault(one.column.header, [])
            dots.append(Dot(name, contrast.difference, contrast.low, contrast.high))
    return found


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line, and return the exit code."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.claims", description=about)
    parser.add_argument("--clips", type=int, required=True, metavar="N", help="number of test clips")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds (default: 0 1 2)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps or auto (default: %(default)s)")
    parser.add_argument("--runs", type=Path, help="where runs live (default: ./runs)")
    figures.add_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    try:
        paper = measure(requests_of(given.clips, given.seeds, given.runs, given.device), ui or Console())
        figures.write(given.plot, panels(paper), line=0)
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    sys.stdout.write(render(paper, "json") if given.json else rendered(to_rich(paper, wide())) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
