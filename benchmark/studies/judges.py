"""Would other judges give the same order? Ranks of methods by the suite's scorers and by networks from outside.

    python -m benchmark.studies.judges runs/mini/audiotoken/seed0 runs/mini/wav2clip/seed0
    python -m benchmark.studies.judges --suite mini

Runs that are named are scored by the judges first (`bench score RUN --metric iis@effnetlite0 ...` does the same);
without any, all records of the suite that hold such scores are taken. For every column there is Kendall's tau between
two judges over the methods, each method's rank by each judge with its 95 % interval over clips, and the pairs of
methods that two judges order differently beyond chance. A lead that only the suite's own scorer sees is one of the
scorer's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmark.fullscale.judges import LISTENERS
from benchmark.leaderboard.dots import Dot
from benchmark.leaderboard.opinions import OWN, Opinion, opinions
from benchmark.runs import steps
from benchmark.runs.plan import Plan
from benchmark.runs.run import Run
from benchmark.studies import figures
from benchmark.studies.boards import board_of
from benchmark.suite import load_suite
from benchmark.utils.errors import BenchError, UserError
from benchmark.utils.progress import UI, Console
from benchmark.utils.terminal import print_line, print_table
from metrics.definitions import EARS

SEEN = ("iis", "iis.winrate.sameclass", "aic")
HEARD = ("ais", "ais.winrate.sameclass")
TAGGED = "aic.audio"


def columns_of(own: Sequence[str], judges: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the metric of each judge by column, for the columns that more than one judge has.

    Args:
        own: Metrics that the suite itself computes; its first Fréchet distance is compared with that of each judge.
        judges: Names of the judges beside the suite's scorers.
    """
    ears = {judge: f"{TAGGED}@{judge}" for judge in judges if judge in EARS}
    judges = [judge for judge in judges if judge not in ears]
    found = {name: {OWN: name} | {judge: f"{name}@{judge}" for judge in judges} for name in SEEN}
    found[TAGGED] = {OWN: TAGGED} | ears
    found |= {
        name: {OWN: name} | {judge: f"{name}@{judge}" for judge in judges if judge in LISTENERS} for name in HEARD
    }
    distance = next((name for name in own if name.startswith("fd.")), None)
    if distance is not None:
        found["fd"] = {OWN: distance} | {judge: f"fd.{judge}" for judge in judges}
    return {name: by for name, by in found.items() if len(by) > 1}


def _scored(folders: Sequence[Path], metrics: Sequence[str], ui: UI, trust_method: bool) -> None:
    """Score the runs by what their records lack of `metrics`."""
    for folder in folders:
        run = Run(Plan.from_folder(folder, ui, trust_method=trust_method), ui)
        if set(metrics) - set(run.plan.folder.record().metrics):
            steps.score(run, metrics)


def _print(found: Sequence[Opinion]) -> None:
    for one in found:
        judges = list(one.values)
        rows = []
        for name in one.values[OWN]:
            cells = []
            for judge in judges:
                cell, place = _number(one.values[judge][name]), one.ranks.get(judge, {}).get(name)
                cells.append(cell if place is None else f"{cell}  {place.rank:g} [{place.low:g}, {place.high:g}]")
            rows.append([name, *cells])
        print_table(["method", *judges], rows, title=f"{one.column}: value and rank by judge", right=(1,))
        print_line("; ".join(f"tau of {pair}: {_tau(tau)}" for pair, tau in one.tau.items()))
        for line in one.reversed:
            print_line(f"disagree: {line}")
        print_line("")
    disagreeing = [one.column for one in found if not one.agrees]
    print_line(f"columns on which judges disagree beyond chance: {', '.join(disagreeing) or 'none'}")


def panels(found: Sequence[Opinion]) -> dict[str, list[Dot]]:
    """Return the dots of a figure of ranks with their intervals: a panel a column and judge."""
    return {
        f"{one.column}: rank by {judge}": [
            Dot(name, place.rank, place.low, place.high) for name, place in places.items()
        ]
        for one in found
        for judge, places in one.ranks.items()
    }


def _number(value: float) -> str:
    # A distance in a space of unit vectors is small.
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _tau(tau: float | None) -> str:
    return "none" if tau is None else f"{tau:.2f}"


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.judges", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("run", nargs="*", type=Path, help="folder of a finished run; seeds of one method are averaged")
    parser.add_argument("--suite", default="mini", help="suite whose records are taken (default: %(default)s)")
    parser.add_argument(
        "--judge", action="append", help="a judge beside the suite; repeatable (default: effnetlite0, imagebind)"
    )
    parser.add_argument("--trust-method", action="store_true", help="execute the Python files that the folders name")
    figures.add_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    shown = ui or Console()
    try:
        suite = load_suite(given.suite.partition("+")[0])
        columns = columns_of(suite.metrics, given.judge or ["effnetlite0", "imagebind"])
        metrics = list(dict.fromkeys(metric for by in columns.values() for metric in by.values()))
        _scored(given.run, metrics, shown, given.trust_method)
        found = opinions(board_of(given.run, given.suite, metrics, shown), columns)
        if not found:
            raise UserError(
                "fewer than two methods are scored by these judges: name the folders of finished runs of two methods"
            )
        figures.write(given.plot, panels(found))
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if given.json:
        print(json.dumps([asdict(one) | {"agrees": one.agrees} for one in found], indent=2))
    else:
        _print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
