"""The verbs of the embedded suite's workshop: mini pretrain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import output
from benchmark.cli.options import AsJson, Device
from benchmark.utils.device import find_device
from benchmark.utils.env import cache_dir
from benchmark.utils.progress import Console, clock
from benchmark.utils.terminal import print_table


def pretrain(
    stages: Annotated[
        list[str] | None, typer.Argument(metavar="STAGE", help="Stages to train; without any, all in order.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, metavar="N", help="Shorten every stage to N steps.")] = None,
    weights: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the networks are written, and those needed are read.")
    ] = Path("mini-weights"),
    work: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Checkpoints, to continue from. \\[default: work/ below --weights]"),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Make the networks of the mini suite from nothing. Continues where it was stopped."""
    from benchmark.mini.pretrain.stages import pretrain as make

    ui = Console()
    with output.stdout_is_for_results():
        place = find_device(device)
        reports = make(stages or [], weights, work or weights / "work", cache_dir(), ui.say, steps=steps, device=place)
    if as_json:
        output.print_json(list(reports.values()))
        return
    rows = [
        [
            stage,
            str(r["steps"]),
            clock(r["seconds"]),
            f"{r['bytes'] / 1e6:.2f} MB",
            r["sha256"][:12],
            output.shown(r["held_out"]),
        ]
        for stage, r in reports.items()
    ]
    print_table(["stage", "steps", "time", "size", "sha256", "held out"], rows)
