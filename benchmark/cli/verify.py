"""The verbs about trust: verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import output
from benchmark.cli.exit_codes import say
from benchmark.cli.options import AsJson, Data, Device
from benchmark.utils.progress import Console

MOST = 50
"""Findings of one run that are printed; --json has all."""


def verify(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Records, or folders of runs.")],
    data: Data = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The images, if they are not beside the record.")
    ] = None,
    device: Device = "auto",
    no_cache: Annotated[
        bool, typer.Option("--no-cache", metavar="", help="Compute clips and embeddings anew, in an empty cache.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score the stored pictures of a run again, and compare everything that its record says. Exit 1 if it differs."""
    from benchmark.verification.verify import Means
    from benchmark.verification.verify import verify as check

    means = Means(data=data, images=images, device=device, cached=not no_cache)
    with output.stdout_is_for_results():
        reports = [check(path, Console(), means) for path in runs]
    if as_json:
        output.print_json([report.to_dict() for report in reports])
    else:
        for report in reports:
            print(f"{report.target}: {report.verdict}")
            for finding in report.findings[:MOST]:
                print(f"  {finding.line}")
            if (rest := len(report.findings) - MOST) > 0:
                print(f"  ... and {rest} more (--json lists them all)")
            for line in report.unchecked:
                print(f"  not checked: {line}")
    if any(not report.holds for report in reports):
        say("not everything is as the records say")
        raise typer.Exit(1)
