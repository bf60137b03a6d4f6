"""The verbs for authors of methods: new-method, validate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import output
from benchmark.cli.options import AsJson
from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_line, print_table


def new_method(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it: words joined by '-'.")],
    output_: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="A new folder. \\[default: NAME, here]"),
    ] = None,
    generator: Annotated[
        bool,
        typer.Option("--generator", metavar="", help="It makes images itself instead of conditioning the backbone."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a small installable package with a method that works, its card and a test. Prints the files."""
    from benchmark.method_tools.scaffold import new_method as write

    written = write(name, output_, generator)
    if as_json:
        output.print_json([{"file": str(path)} for path in written])
        return
    for path in written:
        print_line(path)
    Console().say(f"next: pip install -e {written[0].parent}, then bench validate {name}")


def validate(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A method, or path/to/file.py:Class.")],
    as_json: AsJson = False,
) -> None:
    """Check in about a minute that a method keeps the contract, with the networks of mini and a few clips."""
    from benchmark.registries import find_method

    with output.stdout_is_for_results():
        found = find_method(method)
        from benchmark.method_tools.validate import validate as check

        checks = check(found, None if ".py:" in method else method)
    if as_json:
        output.print_json([{"check": one.name, "result": one.result, "reason": one.reason} for one in checks])
    else:
        print_table(["check", "result", "reason"], [[one.name, one.result, one.reason] for one in checks])
    if any(one.result == "fail" for one in checks):
        raise typer.Exit(1)
