"""The verb that scores a finished fit on clips that nobody has seen: fresh."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import output
from benchmark.cli.options import AsJson, Device, TrustMethod
from benchmark.utils import distributed
from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_line, rendered, wide


def fresh(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=2**32 - 1, metavar="N", help="Seed of the clips. \\[default: one that nobody could foresee]"
        ),
    ] = None,
    device: Device = "auto",
    trust_method: TrustMethod = False,
    output_: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Also a figure: a .png, .svg or .pdf.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a finished fit on fresh clips, and compare: what was memorised or tuned does not carry over."""
    from benchmark.leaderboard.dots import draw_dots
    from benchmark.leaderboard.memory import memory
    from benchmark.leaderboard.plots import kind_of
    from benchmark.leaderboard.tables import rich_table
    from benchmark.records.store import RunFolder, StoredRecord
    from benchmark.runs import steps
    from benchmark.runs.fresh import fresh_run
    from benchmark.utils.files import write_atomic

    kind = None if output_ is None else kind_of(output_, "--output")
    ui = Console()
    drawn = distributed.agree(secrets.randbelow(2**32)) if seed is None else seed
    with output.stdout_is_for_results():
        job = fresh_run(folder, drawn, ui, device, trust_method=trust_method)
        public = StoredRecord(RunFolder(folder).record(), RunFolder(folder).record_path, "runs")
        if seed is None:
            ui.say(f"fresh clips of seed {drawn}: --seed {drawn} makes them again")
        record = steps.run(job)
        made = StoredRecord(record, job.plan.folder.record_path, "runs")
        found = memory(public, made, drawn, job.plan.suite.headline)
    drawn_to = None
    if output_ is not None and kind is not None and (panels := found.dots()):
        write_atomic(output_, draw_dots(panels, kind))
        drawn_to = output_
    if as_json:
        output.print_json({**found.to_dict(), "run": str(job.plan.folder.path), "status": record.status})
    else:
        sys.stdout.write(rendered(rich_table(found.sheet(), wide())) + "\n")
        if drawn_to is not None:
            print_line(f"figure    {drawn_to}")
        print_line(f"pictures  {job.plan.folder.images}\nrecord    {job.plan.folder.record_path}")
    if record.status != "complete":
        raise typer.Exit(1)
