"""The verb that looks after what lies on disk: runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import output
from benchmark.cli.options import AsJson, Runs
from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_table


def runs(
    runs: Runs = None,
    remove: Annotated[
        list[Path] | None,
        typer.Option("--remove", metavar="RUN", help="Delete the folder of a run or a fit; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """All runs and fits on disk, unfinished and failed ones too, with their size."""
    from benchmark.records.store import Store
    from benchmark.runs import listing

    store = Store(runs)
    for path in remove or ():
        freed = listing.remove(store, path)
        Console().say(f"removed {path}, {freed / 1e6:.1f} MB")
    found = listing.list_runs(store)
    if as_json:
        output.print_json([{**vars(one), "path": str(one.path)} for one in found])
        return
    if not found:
        Console().say(f"no run in {store.root}: `bench run --method NAME` makes one")
        return
    rows = [
        [str(one.path), one.kind, one.state, str(one.images or ""), f"{one.bytes / 1e6:.1f} MB", one.date[:16]]
        for one in found
    ]
    total = sum(one.bytes for one in found)
    print_table(["folder", "", "state", "images", "size", "made"], rows, right=(3, 4))
    print(f"\n{len(found)} folder{'s' * (len(found) != 1)}, {total / 1e6:.1f} MB")
