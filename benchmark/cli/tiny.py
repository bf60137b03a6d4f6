"""The verb tiny: networks and videos of the suite vggsound-tiny."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import output
from benchmark.cli.options import AsJson
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_line

LABELS = ("dog barking", "church bell ringing", "helicopter", "dog barking", "church bell ringing")
"""Of the videos of a split: names of VGGSound, two of them twice, as a pool of one class needs two clips."""


def tiny(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for networks, videos and lists (200 MB).")],
    as_json: AsJson = False,
) -> None:
    """Write what the suite vggsound-tiny needs: the path of vggsound in minutes. Prints the commands that follow."""
    from benchmark.data.synthetic_videos import write_videos
    from benchmark.fullscale import tiny_networks

    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: name a folder")
    place, ui = folder.absolute(), Console()
    weights, videos = place / "weights", place / "videos"
    with output.stdout_is_for_results():
        tiny_networks.write(weights, ui.say)
        ui.say(f"writing {2 * len(LABELS)} videos")
        listed, annotated = write_videos(videos, place, LABELS)
    if as_json:
        paths = {"weights": weights, "data": place / "data", "videos": videos, "list": listed, "vggsounder": annotated}
        output.print_json({name: str(path) for name, path in paths.items()})
        return
    settings = {"BENCH_WEIGHTS": weights, "BENCH_DATA": place / "data", "BENCH_RUNS": place / "runs"}
    print_line("export " + " ".join(f"{name}={shlex.quote(str(path))}" for name, path in settings.items()))
    lists = ["--list", str(listed), "--vggsounder", str(annotated)]
    print_line(shlex.join(["bench", "prepare", "vggsound-tiny", str(videos), *lists]))
    print_line("bench doctor --suite vggsound-tiny")
    print_line("bench run --suite vggsound-tiny --method audiotoken")
