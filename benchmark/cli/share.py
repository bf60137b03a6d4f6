"""The verb that prepares a model for others: push."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import output
from benchmark.cli.options import AsJson, Device, TrustMethod
from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_line


def push(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a complete run.")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new folder; its name is the model's.")],
    device: Device = "auto",
    trust_method: TrustMethod = False,
    as_json: AsJson = False,
) -> None:
    """Write a run's model as a repository for the Hugging Face hub: diffusers' layout and a card. Uploads nothing."""
    from benchmark.sharing.push import push as write

    with output.stdout_is_for_results():
        folder = write(run, to, Console(), device=device, trust_method=trust_method)
    output.print_json({"folder": str(folder)}) if as_json else print_line(folder)
