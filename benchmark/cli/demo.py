"""The verb that shows a page: demo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from benchmark.cli import output
from benchmark.cli.options import Device, Runs, Seed, Set, SuiteName, settings_of
from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_line


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """Which methods draw."""

    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", metavar="NAME", help="A method; repeatable. \\[default: audiotoken]"),
    ] = None
    suite: SuiteName = "mini"
    seed: Seed = 0
    device: Device = "auto"
    runs: Runs = None
    set_: Set = None


def demo(
    options: DemoOptions,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, metavar="N", help="Port of the page. \\[default: a free one]")
    ] = None,
    nearest: Annotated[
        bool, typer.Option("--nearest/--no-nearest", help="Look for the training clip nearest to each picture.")
    ] = True,
) -> None:
    """A page in your browser: drop or record a sound, and see what methods draw. Fits what is not fitted yet."""
    settings = settings_of(options.set_)

    from benchmark.demo.page import check_installed, serve
    from benchmark.demo.studio import Studio
    from benchmark.runs.request import RunRequest

    check_installed()
    asked = [
        RunRequest(
            method=method,
            suite=options.suite,
            seed=options.seed,
            settings=settings,
            device=options.device,
            runs=options.runs,
        )
        for method in options.method or ["audiotoken"]
    ]
    ui = Console()
    with output.stdout_is_for_results():
        studio = Studio(asked, ui, nearest=nearest)
        studio.prepare()
        page = serve(studio, port=port, block=False)
    print_line(page.local_url)
    ui.say("Ctrl+C ends it")
    page.block_thread()
