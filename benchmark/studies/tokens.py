"""Is one token enough? A method that trains a token, with 1, 2, 4 and 8 of them.

    python -m benchmark.studies.tokens
    python -m benchmark.studies.tokens --method wav2clip-trained --k 1 2 4 --seeds 0 1 2 -o tokens
    python -m benchmark.studies.tokens --steps 150 --limit 104

A run for each number of tokens and seed, with the suite's budget unless `--steps` says otherwise; runs that are
finished, of this study or of `bench run --set tokens=K`, are used again. The table has the mean over seeds and the 95 %
interval over clips of each metric, an asterisk where a value differs from that of the first number (over the same clips
where there are scores of clips, 5 %), the parameters that are trained and the seconds of the fit. `-o` writes the table
and the curves to a folder, `--write PAGE` puts the table between the marks `tokens METHOD` of a page.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.curves import Point, draw_curves
from benchmark.leaderboard.significance import compare
from benchmark.records.store import StoredRecord
from benchmark.registries import find_method
from benchmark.runs import steps
from benchmark.runs.plan import Plan
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.studies.pages import fill
from benchmark.suite import load_suite
from benchmark.utils.errors import BenchError, UserError
from benchmark.utils.files import write_atomic
from benchmark.utils.progress import UI, Console
from benchmark.utils.terminal import print_line, print_table

if TYPE_CHECKING:
    from benchmark.leaderboard.board import Board, Cell, Column, Row

METRICS = ("ais", "ais.winrate.sameclass", "iis", "iis.winrate.sameclass", "aic")


@dataclass(frozen=True)
class Value:
    """A metric of one number of tokens."""

    value: float | None
    low: float | None
    high: float | None
    std: float | None
    """Sample standard deviation over seeds; None for one seed."""
    differs: bool = False
    """Whether it differs from that of the first number beyond chance."""


@dataclass(frozen=True)
class Tokens:
    """What became of one number of tokens."""

    tokens: int
    seeds: tuple[int, ...]
    values: Mapping[str, Value]
    """By metric id."""
    parameters: int | None
    """Number of trained parameters."""
    fit_seconds: float | None
    """Wall-clock seconds of a fit, mean over seeds; None where a fit was interrupted."""


def metrics_of(suite: str) -> list[str]:
    """Return the metrics of the table: those of clips, and the suite's first Fréchet distance."""
    distance = next((name for name in load_suite(suite).metrics if name.startswith("fd.")), None)
    return [*METRICS, *([] if distance is None else [distance])]


def measure(requests: Sequence[RunRequest], metrics: Sequence[str], ui: UI) -> Board:
    """Run what is not finished of `requests`, one suite's, and return the board of all.

    Raises:
        UserError: The method trains no token, or a request is refused; before any work is done.
        BenchError: A run failed.
    """
    plans = [Plan.of(request, ui) for request in requests]
    records = []
    for number, (plan, request) in enumerate(zip(plans, requests, strict=True), 1):
        ui.say(f"run {number} of {len(plans)}: {plan.name}, tokens={request.settings['tokens']}, seed {plan.seed}")
        # One at a time: a backbone of full size fits into a device's memory once.
        record = steps.run(Run(plan, ui))
        records.append(StoredRecord(record, plan.folder.record_path, "runs"))
    return build_board(records, metrics, suite=plans[0].suite.name)


def requests_of(given: RunRequest, counts: Sequence[int], seeds: Sequence[int]) -> list[RunRequest]:
    """Return the request of each number of tokens and seed.

    Raises:
        UserError: The method has no setting `tokens`.
    """
    method = find_method(given.method) if isinstance(given.method, str) else given.method
    if "tokens" not in method.Settings.model_fields:
        raise UserError(f"method {method.card.name!r} trains no token of a text encoder: try audiotoken")
    return [
        replace(given, seed=seed, settings={**given.settings, "tokens": count})
        for count in dict.fromkeys(counts)
        for seed in dict.fromkeys(seeds)
    ]


def curve(board: Board) -> list[Tokens]:
    """Return the rows of a board by their number of tokens, ascending."""
    rows = sorted(board.rows, key=_count)
    return [
        Tokens(
            _count(row),
            row.seeds,
            {column.id: _value(row, rows[0], column.id) for column in board.columns},
            row.fit.parameters,
            row.fit.seconds,
        )
        for row in rows
    ]


def _count(row: Row) -> int:
    return int(row.settings.get("tokens", 1))


def _value(row: Row, first: Row, metric: str) -> Value:
    cell: Cell = row.cells[metric]
    one, other = row.sample(metric), first.sample(metric)
    contrast = None if row is first or one is None or other is None else compare(one, other)
    return Value(cell.value, cell.low, cell.high, cell.std, contrast is not None and contrast.significant)


def table(board: Board, found: Sequence[Tokens]) -> tuple[list[str], list[list[str]]]:
    """Return the heading and the rows of the table, as texts."""
    header = ["tokens", *(column.header for column in board.columns), "trained parameters", "fit, s"]
    rows = [
        [
            str(one.tokens),
            *(_shown(column, one.values[column.id]) for column in board.columns),
            "–" if one.parameters is None else f"{one.parameters:,}",
            "–" if one.fit_seconds is None else f"{one.fit_seconds:.0f}",
        ]
        for one in found
    ]
    return header, rows


def _shown(column: Column, value: Value) -> str:
    interval = "" if value.low is None else f" [{column.show(value.low)}, {column.show(value.high)}]"
    return f"{column.show(value.value)}{'*' if value.differs else ''}{interval}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["--:"] * len(header), *([cell.replace("*", "\\*") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(folder: Path, board: Board, found: Sequence[Tokens], method: str) -> list[Path]:
    """Write tokens.json, tokens.md and, where a metric has a value, tokens.png to a folder; return their paths."""
    written = [folder / "tokens.json", folder / "tokens.md"]
    write_atomic(written[0], as_json(method, board, found) + "\n")
    write_atomic(written[1], markdown(*table(board, found)) + "\n")
    panels = {
        column: [Point(str(one.tokens), "tokens", *_ends(one.values[column.id])) for one in found]
        for column in board.filled
    }
    if panels:
        written.append(folder / "tokens.png")
        write_atomic(written[2], draw_curves(panels, "png", f"{method}: number of tokens"))
    return written


def _ends(value: Value) -> tuple[float | None, float | None, float | None]:
    return value.value, value.low, value.high


def as_json(method: str, board: Board, found: Sequence[Tokens]) -> str:
    """Return all values as JSON."""
    facts: dict[str, Any] = {"method": method, "suite": board.suite, "tokens": [asdict(one) for one in found]}
    return json.dumps(facts, indent=2)


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.tokens", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--method", default="audiotoken", help="a method that trains a token (default: %(default)s)")
    parser.add_argument("--k", type=int, nargs="+", default=[1, 2, 4, 8], help="numbers of tokens (default: 1 2 4 8)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of the runs (default: 0)")
    parser.add_argument("--suite", default="mini", help="suite that is run on (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="training steps (default: the suite's budget)")
    parser.add_argument("--limit", type=int, help="number of test clips (default: all)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps or auto (default: %(default)s)")
    parser.add_argument("--runs", type=Path, help="where runs live (default: ./runs)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("-o", "--out", type=Path, help="folder for the table and the curves")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page that the table is put into")
    given = parser.parse_args(arguments)
    shown = ui or Console()
    request = RunRequest(
        method=given.method,
        suite=given.suite,
        limit=given.limit,
        settings={} if given.steps is None else {"steps": given.steps},
        device=given.device,
        runs=given.runs,
    )
    try:
        board = measure(requests_of(request, given.k, given.seeds), metrics_of(given.suite), shown)
        found = curve(board)
        if given.write is not None:
            fill(given.write, f"tokens {given.method}", markdown(*table(board, found)))
        written = [] if given.out is None else write(given.out, board, found, given.method)
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if given.json:
        print_line(as_json(given.method, board, found))
        return 0
    header, rows = table(board, found)
    print_table(header, rows, title=f"{given.method}: number of tokens", right=range(len(header)))
    print_line("[low, high]: 95 % interval over clips; *: differs from the first line beyond chance (5 %)")
    for path in written:
        print_line(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
