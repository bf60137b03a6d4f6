"""The verb that makes a site of results: report; and the same at the end of `bench run`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli import output
from benchmark.cli.options import AsJson, Data, Runs, SuiteName
from benchmark.utils.progress import UI, Console
from benchmark.utils.terminal import print_line

if TYPE_CHECKING:
    from benchmark.runs.run import Run


def report(
    suite: SuiteName = "mini",
    data: Data = None,
    runs: Runs = None,
    output_: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Where to. \\[default: RUNS/reports/SUITE]", show_default=False
        ),
    ] = None,
    embed: Annotated[
        bool,
        typer.Option(
            "--embed", help="Embed images again whose embeddings the cache has lost: then each shows its class."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """A site to look at and to listen to: leaderboard, plots, every clip with all methods' images. Prints its page."""
    from benchmark.cli.board import which_board
    from benchmark.cli.describe import unfinished_runs
    from benchmark.records.store import Store
    from benchmark.report.make import make
    from benchmark.report.sources import default_folder, gather

    store, ui = Store(runs), Console()
    with output.stdout_is_for_results():
        which = which_board(suite, data, store, ui)
        notes = [f"Not finished: {line}." for line in unfinished_runs(store, which.folder)]
        sources = gather(which.name, which.fingerprint, which.records, store, ui, notes=notes)
        folder = output_ or default_folder(store, which.name, sources.board.fingerprint)
        page = make(sources, folder, ui, embed)
    if as_json:
        output.print_json({"report": str(page), "rows": len(sources.rows), "remarks": list(sources.remarks)})
    else:
        print_line(page)


def after_run(jobs: Sequence[Run], ui: UI) -> Path | None:
    """Make the report of the suite that was run, beside its runs; None, and one warning, where that fails.

    A run that is done stays done, whatever becomes of its report.
    """
    from benchmark.cli.board import records_of
    from benchmark.report.make import make, unchanged
    from benchmark.report.sources import default_folder, gather
    from benchmark.report.varied import varied_records

    try:
        plan = jobs[0].plan
        name, fingerprint = plan.suite.name, plan.suite.fingerprint()
        records = records_of(plan.store, name, ui)
        folder = default_folder(plan.store, name, fingerprint)
        if page := unchanged([*records, *varied_records(plan.store, name, ui)], folder):
            return page
        sources = gather(name, fingerprint, records, plan.store, ui, clips=jobs[0].all_test, plan=plan)
        return make(sources, folder, ui)
    except Exception as error:
        ui.warn(
            f"no report: {' '.join(str(error).split()) or type(error).__name__}; `bench report` makes it, or says more"
        )
        return None
