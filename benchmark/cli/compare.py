"""The verb that puts two results side by side: compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli import output
from benchmark.cli.options import BoardOptions, Format, check_metrics
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Console

if TYPE_CHECKING:
    from benchmark.leaderboard.board import Row
    from benchmark.records.store import StoredRecord


def compare(
    options: BoardOptions,
    a: Annotated[str, typer.Argument(metavar="A", help="A row of the board, or a run's folder or record.")],
    b: Annotated[str, typer.Argument(metavar="B", help="What it is compared with: the same.")],
    metric: Annotated[
        list[str] | None, typer.Option("--metric", metavar="ID", help="Compare in this metric; repeatable.")
    ] = None,
) -> None:
    """Two rows or two runs: every metric's difference, its interval, and whether it is more than chance."""
    check_metrics(metric)
    how = options.chosen_format

    from benchmark.cli.board import records_of
    from benchmark.leaderboard import compare as leaderboard
    from benchmark.leaderboard import tables
    from benchmark.leaderboard.build import build_board
    from benchmark.records.store import Store
    from benchmark.suite import load_suite

    runs = {name: _run(name) for name in (a, b) if _is_path(name)}
    suites = {one.record.suite.name for one in runs.values()} or {options.suite}
    if len(suites) > 1:
        raise UserError(f"{a} and {b} are runs of different suites: {' and '.join(sorted(suites))}")
    (suite,) = suites
    columns = metric or list(load_suite(suite.partition("+")[0]).metrics)
    fingerprint = next((one.record.suite.fingerprint for one in runs.values()), None)
    for one in runs.values():
        if one.record.suite.fingerprint != fingerprint:
            raise UserError(f"{a} and {b} follow different protocols of {suite}: their numbers do not compare")
    stored = records_of(Store(options.runs), suite, Console()) if len(runs) < 2 else []
    board = build_board([*stored, *runs.values()], columns, suite=suite, fingerprint=fingerprint)

    def row(name: str) -> Row:
        if name not in runs:
            try:
                return leaderboard.row_called(board.rows, name)
            except UserError as error:
                if not runs:
                    raise
                raise UserError(f"{next(iter(runs))} is a run of {suite}, among whose rows: {error}") from error
        (only,) = build_board([runs[name]], columns, suite=suite, fingerprint=fingerprint).rows
        return only

    found = leaderboard.compare_rows(board, row(a), row(b))
    if how is Format.text:
        output.write_folded(lambda width: tables.rich_table(found.sheet(), width), options)
    else:
        output.write(leaderboard.RENDERERS[how](found), options.output)


def _is_path(name: str) -> bool:
    return name.endswith(".json") or len(Path(name).parts) > 1 or (Path(name) / "record.json").is_file()


def _run(name: str) -> StoredRecord:
    from benchmark.records.record import RunRecord
    from benchmark.records.store import StoredRecord

    path = Path(name)
    path = path / "record.json" if path.is_dir() else path
    return StoredRecord(RunRecord.load(path), path, "runs")
