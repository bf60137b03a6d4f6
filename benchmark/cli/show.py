"""The verbs that look things up: list, show, doctor."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli import describe, output
from benchmark.cli.exit_codes import say
from benchmark.cli.options import AsJson, SuiteName, refuse
from benchmark.utils.errors import UserError, unknown
from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_line, print_table, rendered, wide

if TYPE_CHECKING:
    from benchmark.records.record import RunRecord

DASH = "–"


class Kind(StrEnum):
    """What can be listed."""

    suites = "suites"
    methods = "methods"
    metrics = "metrics"
    scorers = "scorers"
    variations = "variations"


def list_(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="suites, methods, metrics, scorers or variations.")],
    as_json: AsJson = False,
) -> None:
    """List suites, methods, metrics, scorers or variations of the test clips."""
    makers = {
        Kind.suites: describe.list_suites,
        Kind.methods: describe.list_methods,
        Kind.metrics: describe.list_metrics,
        Kind.scorers: describe.list_scorers,
        Kind.variations: describe.list_variations,
    }
    with output.stdout_is_for_results():
        rows = makers[kind]()
    if as_json:
        output.print_json(rows)
    elif rows:
        shown = [[output.shown(value) for value in row.values()] for row in rows]
        print_table([key.replace("_", " ") for key in rows[0]], shown)


@dataclass(frozen=True, kw_only=True)
class DetailOptions:
    """What of a run is looked at more closely."""

    per_class: Annotated[
        bool, typer.Option("--per-class", metavar="", help="Of a run: the mean of every class, metric by metric.")
    ] = False
    worst: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Of a run: the N clips that --metric finds worst.")
    ] = None
    metric: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Which metric; classes are then sorted by it. \\[default: the suite's first]"),
    ] = None
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PNG", help="With --worst: a sheet of the clips' images."),
    ] = None

    def check(self) -> None:
        """Raise UserError where options do not go together."""
        if self.per_class and self.worst is not None:
            raise UserError("--per-class and --worst contradict each other: give one of them")
        if self.metric is not None and not (self.per_class or self.worst):
            refuse("is for --per-class and --worst", "metric")
        if self.output is not None and self.worst is None:
            refuse("is for --worst", "output")
        if self.output is not None and self.output.suffix.lower() != ".png":
            raise UserError(f"{self.output}: the sheet is a PNG file: give --output a name that ends in .png")


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A suite, a method, a metric, a run's folder or record.")],
    detail: DetailOptions,
    suite: SuiteName = "mini",
    as_json: AsJson = False,
) -> None:
    """What a suite, a method or a metric is, or what a run gave."""
    from benchmark.records.record import RunRecord

    detail.check()
    with output.stdout_is_for_results():
        found = describe.find(name, suite)
    if isinstance(found, RunRecord) or "settings_on" not in found:
        refuse("is for the settings of a method", "suite")
    if not isinstance(found, RunRecord):
        refuse(f"is for a run with a record, and {name} is none", "per_class", "worst", "metric", "output")
        output.print_json(found) if as_json else output.print_facts(found)
    elif detail.per_class:
        _print_classes(found, detail.metric, as_json)
    elif detail.worst is not None:
        _print_worst(found, Path(name), detail, as_json)
    else:
        output.print_json(json.loads(found.to_json())) if as_json else output.print_record(found)


def _print_classes(record: RunRecord, metric: str | None, as_json: bool) -> None:
    """The mean of every class: in the order of the record, or with a metric from the worst class to the best."""
    from benchmark.leaderboard.board import Column
    from benchmark.leaderboard.tables import Sheet, rich_table

    scores = record.per_class
    if not scores:
        raise UserError("this record holds no means of classes: `bench score RUN` adds them")
    if metric is not None and metric not in scores:
        raise unknown("metric with means of classes", metric, list(scores))
    labels = list(next(iter(scores.values())))
    if metric is not None:
        sign = 1 if record.metrics[metric].direction == "up" else -1
        means = scores[metric]
        labels.sort(key=lambda label: (means[label] is None, sign * (means[label] or 0.0)))
    if as_json:
        output.print_json([{"label": label, **{one: scores[one][label] for one in scores}} for label in labels])
        return
    order = sorted(output.in_suite_order(record), key=lambda one: one != metric)
    columns = [Column(one, one, v.direction, v.unit) for one in order if one in scores and (v := record.metrics[one])]
    rows = tuple((label, *(column.show(scores[column.id].get(label)) for column in columns)) for label in labels)
    name = record.method.name + ("" if record.seed is None else f", seed {record.seed}")
    sheet = Sheet(f"{name} by class", ("Class", *(column.header for column in columns)), rows)
    sys.stdout.write(rendered(rich_table(sheet, wide())))


def _print_worst(record: RunRecord, place: Path, detail: DetailOptions, as_json: bool) -> None:
    """The clips with the worst scores, and where their images are; with an output a sheet of these."""
    from benchmark.leaderboard.board import Column
    from benchmark.media.images import save_png
    from benchmark.runs import worst

    metric = detail.metric or output.in_suite_order(record)[0]
    path = place / "record.json" if place.is_dir() else place
    clips = worst.worst_clips(record, path, metric, detail.worst or 1)
    column = Column(metric, metric, record.metrics[metric].direction, record.metrics[metric].unit)
    if detail.output is not None:
        title = f"{record.method.name}: the {len(clips)} clips with the worst {column.header}"
        save_png(detail.output, worst.contact_sheet(clips, title, column.digits))
    if as_json:
        output.print_json([{**vars(one), "images": [str(path) for path in one.images]} for one in clips])
    else:
        rows = [[column.show(one.score), one.clip, one.label, "\n".join(map(str, one.images)) or DASH] for one in clips]
        print_table([column.header, "clip", "label", "image"], rows, right=[0])
    if detail.output is not None:
        Console().say(f"written to {detail.output}")


def doctor(
    suite: SuiteName = "mini",
    files: Annotated[
        bool, typer.Option("--files", metavar="", help="Also each released file: size, sha256, addresses, place.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What a suite needs, and whether it is on this machine; exit 1 if something is missing."""
    from benchmark.doctor import examine
    from benchmark.suite import load_suite
    from benchmark.weights import listing

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
        for line in listing.text(file for need in report.needs for file in need.files) if files else ():
            print_line(line)
        if files:
            print()
        for place, line in enumerate(report.clips.lines() if report.clips else ()):
            print_line(f"{'' if place else 'clips':<10}{line}")
        print(f"to fetch  {report.to_fetch / 1e9:.2g} GB\nfree      {report.free / 1e9:.0f} GB")
        print_line(f"device    {report.device}")
        for note in report.notes:
            print_line(f"note: {note}")
    if not report.complete:
        if report.to_fetch or any(need.state == "wrong" for need in report.needs):
            say(
                f"suite {suite} is not complete: `bench fetch --suite {suite}` gets what is missing, and "
                f"`bench fetch --suite {suite} --to DIR` on another machine gets it where there is no network"
            )
        else:
            say(f"suite {suite} has no clips that it can be run on: `bench prepare` makes them")
        raise typer.Exit(1)
