"""The verbs about results: table, paper, publish."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from benchmark.cli import output
from benchmark.cli.exit_codes import say
from benchmark.cli.layout import LayoutOptions, names_of
from benchmark.cli.options import AsJson, BoardOptions, Format, check_metrics
from benchmark.cli.verify import Signers
from benchmark.utils.env import PACKAGE
from benchmark.utils.errors import UserError
from benchmark.utils.progress import UI, Console
from benchmark.utils.terminal import print_line

if TYPE_CHECKING:
    from benchmark.leaderboard.board import Board
    from benchmark.records.store import Store, StoredRecord
    from benchmark.suite import Suite


def table(
    options: BoardOptions,
    look: LayoutOptions,
    data: Annotated[Path | None, typer.Option(metavar="CSV", help="The board of this manifest's clips.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", metavar="ID", help="A column; repeatable. The first one ranks.")
    ] = None,
    all_metrics: Annotated[
        bool, typer.Option("--all-metrics", metavar="", help="A column for every metric of the suite.")
    ] = False,
    from_: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="PLACE", help="Also another group's bundle, or folder of results; repeatable."),
    ] = None,
    allowed_signers: Signers = None,
    literature: Annotated[
        bool,
        typer.Option(
            "--literature", metavar="", help="Published numbers below it; with --metric, those of that very metric."
        ),
    ] = False,
) -> None:
    """The board of a suite: the packaged records and your own runs; with --from those of other groups beside them."""
    check_metrics(metric)
    if allowed_signers is not None and not from_:
        raise UserError("--allowed-signers is for the bundles of --from: give one, or leave it out")
    ways = {"--metric": metric, "--all-metrics": all_metrics, "--columns": look.columns}
    if len(given := [option for option, value in ways.items() if value]) > 1:
        raise UserError(f"{' and '.join(given)} contradict each other: give one of them")
    how = options.chosen_format
    look.check(how)
    names = names_of(look.name)

    from benchmark.cli.describe import unfinished_runs
    from benchmark.leaderboard.build import build_board
    from benchmark.records.store import Store

    store, ui = Store(options.runs), Console()
    which = which_board(options.suite, data, store, ui)
    columns = look.metrics() or metric or (which.base.metrics if all_metrics else which.base.headline)
    unfinished = () if look.method else unfinished_runs(store, which.folder)
    notes = [f"Not finished: {line}." for line in unfinished]
    with contextlib.ExitStack() as stack:
        records = which.records
        if from_:
            from benchmark.verification.groups import merge

            records, left_out = merge(records, from_, which.name, which.fingerprint, allowed_signers, stack)
            notes += left_out
        board = build_board(
            records,
            columns,
            suite=which.name,
            fingerprint=which.fingerprint,
            notes=notes,
            methods=look.method or (),
            names=names,
        )
        board = _with_more(board, records, look, columns if look.judges else ())
    board = replace(board, layout=look.layout())
    if not board.rows:
        for name in store.suites():
            if name.startswith(f"{which.name}+"):
                say(f"on other clips, or not all of them, there is `bench table --suite {name}`")
    from benchmark.leaderboard import formats

    if not literature and how is Format.text:
        output.write_folded(lambda width: formats.to_rich(board, width), options)
    elif not literature:
        output.write(formats.RENDERERS[how](board), options.output)
    else:
        from benchmark.leaderboard import literature as numbers

        published, shown = numbers.load_literature(), look.metrics() or metric
        if how is Format.text:
            output.write_folded(lambda width: numbers.beside_rich(board, published, shown, width), options)
        else:
            output.write(numbers.beside(board, published, shown, how), options.output)


def _with_more(board: Board, records: Sequence[StoredRecord], look: LayoutOptions, judged: Sequence[str]) -> Board:
    """Return a board with the columns of heard shares that `look` asks for, and what judges make of columns."""
    from benchmark.leaderboard.build import build_board

    if not board.rows:
        return board
    suite: dict[str, Any] = {"suite": board.suite, "fingerprint": board.fingerprint}
    if shares := look.shares():
        from benchmark.leaderboard import heard

        whole = build_board(records, [heard.COLUMNS[name] for name in shares], **suite)
        board = heard.with_shares(board, whole, shares)
    if judged:
        from benchmark.leaderboard import opinions

        by = opinions.judged([one for one in records if one.record.suite.name == board.suite], judged)
        metrics = [metric for some in by.values() for metric in some.values()]
        others = build_board(records, metrics, methods=look.method or (), names=names_of(look.name), **suite)
        board = replace(board, legend=(*board.legend, *opinions.notes(others, by)))
    return board


def board_of(
    suite: str, metrics: Sequence[str] | None, runs: Path | None, methods: Sequence[str], names: Mapping[str, str]
) -> Board:
    """Return the board of a suite with some rows, under some names; without metrics with its headline."""
    from benchmark.leaderboard.build import build_board
    from benchmark.records.store import Store

    which = which_board(suite, None, Store(runs), Console())
    return build_board(
        which.records,
        metrics or which.base.headline,
        suite=which.name,
        fingerprint=which.fingerprint,
        methods=methods,
        names=names,
    )


def paper(options: BoardOptions) -> None:
    """The paper's table, published beside measured, and what became of each of its claims."""
    how = options.chosen_format

    from benchmark.leaderboard import paper_claims as pages
    from benchmark.records.store import Store

    which = which_board(options.suite, None, Store(options.runs), Console())
    built = pages.build_paper(which.records, which.base, name=which.name, fingerprint=which.fingerprint)
    if how is Format.text:
        output.write_folded(lambda width: pages.to_rich(built, width), options)
    else:
        output.write(pages.render(built, how), options.output)


def publish(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of complete runs.")],
    replace: Annotated[
        bool, typer.Option("--replace", metavar="", help="Put it in the place of another result.")
    ] = False,
    results: Annotated[
        Path | None, typer.Option(metavar="DIR", help="\\[default: results/ of the checkout]", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy the records of complete runs to results/, to be committed."""
    from benchmark.leaderboard.clip_scores import clip_scores
    from benchmark.leaderboard.possible import check
    from benchmark.records import store

    results = results or _checkout_results()
    written: list[Path] = []
    problems: list[str] = []
    for path in runs:
        try:
            run = store.RunFolder(path)
            stored = store.StoredRecord(run.record(), run.record_path, "runs")
            check(stored)
            clip_scores(stored, ())
            copies = store.publish(run, results, replace)
        except UserError as error:
            problems += error.problems
            continue
        written += copies
        if not copies:
            Console().say(f"{path} is published already")
    if as_json:
        output.print_json([{"file": str(path)} for path in written])
    else:
        for path in written:
            print_line(path)
    if problems:
        raise UserError(problems)


def _checkout_results() -> Path:
    if not (PACKAGE.parent / "pyproject.toml").is_file():
        raise UserError(
            "this package is not run from a checkout, so it has no results/ to publish to: give --results DIR"
        )
    return PACKAGE.parent / "results"


class _Which(NamedTuple):
    """Which board was asked for."""

    base: Suite
    name: str
    fingerprint: str | None
    """None where there is no record of a derived suite."""
    folder: str
    """The folder of its runs; for a derived suite without a fingerprint its name."""
    records: list[StoredRecord]


def which_board(suite: str, data: Path | None, store: Store, ui: UI) -> _Which:
    """The board of a suite's name, of a folder's name (`mini+manifest-0123abcd`), or of the clips in a manifest."""
    from benchmark.records.store import suite_folder
    from benchmark.suite import load_suite

    base, is_derived, _ = suite.partition("+")
    protocol = load_suite(base)
    if data is not None:
        from benchmark.data.manifest import load_manifest

        if is_derived:
            raise UserError(f"--suite {suite} names a manifest already: leave --data out")
        manifest = load_manifest(data, skip_bad=True)
        derived = protocol.with_manifest(manifest.name, manifest.identity, manifest.counts)
        name, fingerprint = derived.name, derived.fingerprint()
        return _Which(protocol, name, fingerprint, suite_folder(name, fingerprint), records_of(store, name, ui))
    if not is_derived:
        return _Which(protocol, suite, protocol.fingerprint(), suite, records_of(store, suite, ui))
    suite_name, start = suite, ""
    if (found := re.fullmatch(r"(.+)-([0-9a-f]{8})", suite)) and suite in store.suites():
        suite_name, start = found[1], found[2]
    records = records_of(store, suite_name, ui)
    own = [one for one in records if one.record.suite.fingerprint.startswith(start)]
    # several manifests may share a name: the newest run decides
    newest = max(own, key=lambda one: one.record.provenance.date, default=None)
    chosen = None if newest is None else newest.record.suite.fingerprint
    return _Which(protocol, suite_name, chosen, suite_folder(suite_name, chosen or start), records)


def records_of(store: Any, suite: str, ui: UI) -> list[StoredRecord]:
    """Return the packaged records of a suite and those in `store`; what cannot be read is warned of."""
    from benchmark.leaderboard.possible import only_possible
    from benchmark.records.store import packaged_records

    packaged, own = only_possible(packaged_records(suite)), only_possible(store.records(suite))
    for problem in [*packaged.problems, *own.problems]:
        ui.warn(f"left out of the table: {problem}")
    return [*packaged.records, *own.records]
