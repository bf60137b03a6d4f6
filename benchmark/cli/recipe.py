"""The verb recipe: a published data set becomes a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import output
from benchmark.cli.options import AsJson
from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_line


@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """How a data set becomes a manifest."""

    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for manifest, sounds, frames.")]
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Other images: <clip id>.jpg, <clip id>/*.jpg, or <label>/*.jpg."),
    ] = None
    train_frames: Annotated[
        int, typer.Option(min=1, metavar="K", help="Frames of a training clip, a row of the manifest each.")
    ] = 1
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=0, help="Processes. \\[default: all cores]")] = None


def recipe(
    options: RecipeOptions,
    name: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="audiocaps, esc50, greatest-hits, landscape, ravdess, vegas or voxceleb."
        ),
    ],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="The data set's folder, as it is published.")],
    as_json: AsJson = False,
) -> None:
    """Make a manifest of one of the field's data sets. Continues where it was stopped. Prints the manifest."""
    from benchmark.data.recipes.write import Cooking, write_recipe

    asked = Cooking(
        name=name,
        root=root,
        output=options.output,
        images=options.images,
        train_frames=options.train_frames,
        jobs=options.jobs,
    )
    ui = Console()
    with output.stdout_is_for_results():
        path, summary = write_recipe(asked, ui)
    if as_json:
        output.print_json(summary)
        return
    counts = ", ".join(f"{count:,} {split}" for split, count in summary["clips"].items())
    ui.say(f"{counts} clips of {summary['labels']} labels; the list of clips is {summary['list'][:12]}")
    print_line(path)
