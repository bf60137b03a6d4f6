"""One or several runs: made one after the other, and what they gave."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from benchmark.cli import output
from benchmark.cli.board import records_of
from benchmark.cli.exit_codes import explain, full_disk, say
from benchmark.utils import distributed
from benchmark.utils.progress import UI
from benchmark.utils.terminal import print_line, rendered, wide

if TYPE_CHECKING:
    from benchmark.records.record import RunRecord
    from benchmark.runs.request import RunRequest
    from benchmark.runs.run import Run

T = TypeVar("T")


def plan_all(asked: Sequence[RunRequest], ui: UI) -> list[Run]:
    """Return one run a request, all checked before any work starts; without randomness there is one for all seeds."""
    from benchmark.runs.run import Run

    jobs = [Run.of(request, ui) for request in asked]
    return list({job.plan.folder.path: job for job in jobs}.values())


def carry_out(jobs: Sequence[Run], step: Callable[[Run], T]) -> list[T | None]:
    """Take a step of every run, one after the other; of several, one that fails does not lose the others.

    Returns:
        What the step gave, in the order of the runs; None for one that failed, whose reason has been said.

    Raises:
        Exception: The only run failed; or the disk is full, or several processes work together, so that the others
            would fail too.
    """
    if len(jobs) == 1 or distributed.world() > 1:
        return [step(job) for job in jobs]
    results: list[T | None] = []
    for job in jobs:
        try:
            results.append(step(job))
        except Exception as error:
            if full_disk(error) is not None:
                raise
            say(f"{job.plan.folder.path} failed, and the others are not affected:")
            explain(error)
            results.append(None)
    return results


def tell(
    jobs: Sequence[Run], records: Sequence[RunRecord | None], as_json: bool, ui: UI, page: Path | None = None
) -> None:
    """Print what the runs gave, and the `page` that shows it; exit 1 if one failed or is not complete."""
    made = [(job, record) for job, record in zip(jobs, records, strict=True) if record is not None]
    if as_json:
        plain = [json.loads(record.to_json()) for _, record in made]
        output.print_json(plain[0] if len(jobs) == len(plain) == 1 else plain)
    elif made:
        if len(jobs) > 1:
            _summary(jobs, records)
        else:
            ((job, record),) = made
            output.print_record(record)
            print_line(f"pictures  {job.plan.folder.images}\nrecord    {job.plan.folder.record_path}\n")
        _board(made[0][0], ui)
        if page:
            print_line(f"\nreport    {page}")
    for job, record in made:
        if record.status != "complete":
            failed = f", {record.clips.failed} of {record.clips.total} clips failed" if record.clips.failed else ""
            say(f"the run is {record.status}{failed}: see {job.plan.folder.record_path}; the same command tries again")
    if lost := len(jobs) - len(made):
        say(f"{lost} of {len(jobs)} runs failed: the same command continues with them, and uses the others as they are")
    if lost or any(record.status != "complete" for _, record in made):
        raise typer.Exit(1)


def _summary(jobs: Sequence[Run], records: Sequence[RunRecord | None]) -> None:
    """A line a run: what tells it from the others, its headline metrics, how it went, and where it is."""
    from benchmark.leaderboard.board import Column
    from benchmark.leaderboard.tables import Sheet, rich_table

    settings = [job.plan.request.settings for job in jobs]
    keys = dict.fromkeys(key for own in settings for key in own)
    told = [key for key in keys if len({str(own.get(key)) for own in settings}) > 1]
    metrics = jobs[0].plan.suite.headline
    columns = []
    for metric in metrics:
        found = next((value for one in records if one and (value := one.metrics.get(metric))), None)
        columns.append(Column(metric, metric, found.direction if found else None, found.unit if found else None))
    rows = []
    for job, own, record in zip(jobs, settings, records, strict=True):
        of = record.metrics if record else {}
        values = [column.show(of[column.id].value if column.id in of else None) for column in columns]
        seed = "fixed" if job.plan.seed is None else str(job.plan.seed)
        state = "failed" if record is None else record.status
        told_apart = [*(output.shown(own.get(key)) for key in told), seed, state]
        rows.append((*told_apart, *values, str(job.plan.folder.path)))
    header = (*told, "seed", "", *(column.header for column in columns), "folder")
    names = len(told) + 2
    left = frozenset({*range(names), len(header) - 1})
    title = f"{len(jobs)} runs of {jobs[0].plan.name}"
    sheet = Sheet(title, header, tuple(rows), left=left, names=names)
    sys.stdout.write(rendered(rich_table(sheet, wide())) + "\n")


def _board(job: Run, ui: UI) -> None:
    """The board that a run is on."""
    from benchmark.leaderboard import formats
    from benchmark.leaderboard.build import build_board

    plan = job.plan
    own = records_of(plan.store, plan.suite.name, ui)
    board = build_board(own, plan.suite.headline, suite=plan.suite.name, fingerprint=plan.suite.fingerprint())
    sys.stdout.write(rendered(formats.to_rich(board, wide())))
