"""The verbs that look things up: list, show, doctor."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from benchmark.cli import describe, output
from benchmark.cli.exit_codes import say
from benchmark.cli.options import AsJson, SuiteName, refuse
from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_line, print_table


class Kind(StrEnum):
    """What can be listed."""

    suites = "suites"
    methods = "methods"
    metrics = "metrics"
    scorers = "scorers"


def list_(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="suites, methods, metrics or scorers.")],
    as_json: AsJson = False,
) -> None:
    """List suites, methods, metrics or scorers."""
    makers = {
        Kind.suites: describe.list_suites,
        Kind.methods: describe.list_methods,
        Kind.metrics: describe.list_metrics,
        Kind.scorers: describe.list_scorers,
    }
    with output.stdout_is_for_results():
        rows = makers[kind]()
    if as_json:
        output.print_json(rows)
    elif rows:
        shown = [[output.shown(value) for value in row.values()] for row in rows]
        print_table([key.replace("_", " ") for key in rows[0]], shown)


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A suite, a method, a metric, a run's folder or record.")],
    suite: SuiteName = "mini",
    as_json: AsJson = False,
) -> None:
    """What a suite, a method or a metric is, or what a run gave."""
    from benchmark.records.record import RunRecord

    with output.stdout_is_for_results():
        found = describe.find(name, suite)
    if isinstance(found, RunRecord) or "settings_on" not in found:
        refuse("is for the settings of a method", "suite")
    if isinstance(found, RunRecord):
        output.print_record(found) if not as_json else output.print_json(json.loads(found.to_json()))
    elif as_json:
        output.print_json(found)
    else:
        output.print_facts(found)


def doctor(suite: SuiteName = "mini", as_json: AsJson = False) -> None:
    """What a suite needs, and whether it is on this machine; exit 1 if something is missing."""
    from benchmark.doctor import examine
    from benchmark.suite import load_suite

    with output.stdout_is_for_results():
        report = examine(load_suite(suite), Console())
    if as_json:
        output.print_json(report.to_dict())
    else:
        rows = [
            [
                need.name,
                need.state + (" (optional)" if need.optional and need.state == "missing" else ""),
                f"{need.size / 1e9:.2g} GB" if need.size else "–",
                need.licence,
                need.use,
                need.detail,
            ]
            for need in report.needs
        ]
        header = ["network", "state", "size", "licence", "for", "where"]
        print_table(header, rows, title=f"suite {report.suite}")
        print()
        for place, line in enumerate(report.clips.lines() if report.clips else ()):
            print_line(f"{'' if place else 'clips':<10}{line}")
        print(f"to fetch  {report.to_fetch / 1e9:.2g} GB\nfree      {report.free / 1e9:.0f} GB")
        print_line(f"device    {report.device}")
        for note in report.notes:
            print_line(f"note: {note}")
    if not report.complete:
        if report.to_fetch or any(need.state == "wrong" for need in report.needs):
            say(f"suite {suite} is not complete: `bench fetch --suite {suite}` gets what is missing")
        else:
            say(f"suite {suite} has no clips that it can be run on: `bench prepare` makes them")
        raise typer.Exit(1)
