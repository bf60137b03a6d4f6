"""The verb that makes a method hear changed clips, one variation after the other: stress."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.cli import output
from benchmark.cli.exit_codes import say
from benchmark.cli.options import AsJson, Data, Device, Limit, Runs, Seed, Set, SuiteName, settings_of
from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_line, rendered, wide

if TYPE_CHECKING:
    from benchmark.leaderboard.tables import Sheet
    from benchmark.runs.stress import Share, Stressed

MOST_DRAWN = 3
"""How many classes are named of those that were drawn."""


@dataclass(frozen=True, kw_only=True)
class StressOptions:
    """Which run on the unchanged clips the others are compared with."""

    suite: SuiteName = "mini"
    data: Data = None
    limit: Limit = None
    seed: Seed = 0
    device: Device = "auto"
    runs: Runs = None
    set_: Set = None


def stress(
    options: StressOptions,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A method, or path/to/file.py:Class.")],
    variation: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=VALUE",
            help="Only this change of the test clips; repeatable. `bench list variations`. \\[default: noise, two "
            "sources, cut, reversed, and nothing to hear]",
        ),
    ] = None,
    output_: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Also a figure: a .png, .svg or .pdf.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What a method makes of noise, of two sources, of cut sounds, and of nothing: a run of each, with one fit."""
    from benchmark.leaderboard import plots
    from benchmark.leaderboard.conditions import Condition, compare_conditions
    from benchmark.leaderboard.curves import draw_curves
    from benchmark.leaderboard.tables import rich_table
    from benchmark.runs.request import RunRequest
    from benchmark.runs.stress import stress as run_all
    from benchmark.suite import load_suite
    from benchmark.utils.files import write_atomic

    kind = None if output_ is None else plots.kind_of(output_, "--output")
    settings = settings_of(options.set_)
    request = RunRequest(
        method=method,
        suite=options.suite,
        data=options.data,
        limit=options.limit,
        seed=options.seed,
        settings=settings,
        device=options.device,
        runs=options.runs,
    )
    headline = load_suite(options.suite).headline
    with output.stdout_is_for_results():
        found = run_all(request, variation, Console())
        first = found[0].stored
        assert first is not None
        title = f"{first.record.method.name} under stress on {first.record.suite.name} {first.record.suite.version}"
        table = compare_conditions([Condition(one.name, _series(one), one.stored) for one in found], headline, title)
    if as_json:
        rows = [{**_plain(one), "metrics": values} for one, values in zip(found, table.to_dicts(), strict=True)]
        output.print_json(rows)
    else:
        sheets = [table.sheet(), _drawn(found), *([_sources(found)] if any(one.sources for one in found) else [])]
        for sheet in sheets:
            sys.stdout.write(rendered(rich_table(sheet, wide())) + "\n")
    if output_ is not None and kind is not None:
        write_atomic(output_, draw_curves(table.panels(), kind, title))
        say(f"written to {output_}") if as_json else print_line(output_)
    lost = [one for one in found if not one.complete]
    for one in lost:
        say(f"{one.name}: {one.failed or 'some clips failed'}: see {one.folder}; the same command tries again")
    if lost:
        raise typer.Exit(1)


def _series(one: Stressed) -> str:
    return "" if one.variation is None else one.variation.kind


def _drawn(found: Sequence[Stressed]) -> Sheet:
    """What the images show: how many classes, and which ones most."""
    from benchmark.leaderboard.tables import DASH, Sheet

    lines = []
    for one in found:
        about = "the test clips" if one.variation is None else one.variation.about
        if one.drawn is None:
            lines.append((one.name, about, DASH, DASH, DASH))
            continue
        entropy = one.drawn
        bits = f"{entropy.bits:.2f} [{entropy.low:.2f}, {entropy.high:.2f}]"
        lines.append((one.name, about, bits, f"{entropy.effective:.1f}", _most(one)))
    most = next(one.drawn.most for one in found if one.drawn is not None)
    return Sheet(
        title="What is drawn",
        header=("Heard", "What that is", "Entropy, bits", "Classes", "Drawn most often"),
        rows=tuple(lines),
        left=frozenset({0, 1}),
        prose=frozenset({4}),
        notes=(
            f"Entropy of the classes that aic finds in the images: 0 is one class for all, {most:.2f} all classes "
            "alike. Classes is the number of equally frequent ones of that entropy.",
        ),
        name="drawn",
    )


def _most(one: Stressed) -> str:
    counts = one.drawn.counts if one.drawn else ()
    order = sorted(range(len(counts)), key=lambda index: -counts[index])[:MOST_DRAWN]
    return ", ".join(f"{one.labels[index]} {100 * counts[index] / sum(counts):.0f} %" for index in order)


def _sources(found: Sequence[Stressed]) -> Sheet:
    """Which of two sources the images show."""
    from benchmark.leaderboard.tables import Sheet
    from benchmark.runs.stress import SHOWN

    lines = []
    for one in found:
        for name, shares in ((one.name, one.sources), ("  the clip alone", one.sources_before)):
            if shares is not None:
                lines.append((name, *(_share(shares[what]) for what in SHOWN)))
    return Sheet(
        title="Two sources: which one the image shows, % of images",
        header=("Heard", *SHOWN),
        rows=tuple(lines),
        notes=(
            "Both: the two sources are the two classes nearest to the image. The clip alone: the same count of the "
            "images of the unchanged clips, which is what the other source owes to chance.",
        ),
        name="sources",
    )


def _share(share: Share) -> str:
    interval = "" if share.low is None or share.high is None else f" [{share.low:.1f}, {share.high:.1f}]"
    return f"{share.value:.1f}{interval}"


def _plain(one: Stressed) -> dict[str, Any]:
    drawn = one.drawn
    shares = {"sources": one.sources, "sources_before": one.sources_before}
    return {
        "variation": None if one.variation is None else one.variation.name,
        "heard": None if one.variation is None else one.variation.about,
        "silences": one.variation is not None and one.variation.silences,
        "suite": one.suite,
        "run": str(one.folder),
        "status": one.stored.record.status if one.stored else "failed",
        "failed": one.failed,
        "drawn": None
        if drawn is None
        else {
            "bits": drawn.bits,
            "low": drawn.low,
            "high": drawn.high,
            "most": drawn.most,
            "classes": dict(zip(one.labels, drawn.counts, strict=True)),
        },
        **{key: value and {what: asdict(share) for what, share in value.items()} for key, value in shares.items()},
    }
