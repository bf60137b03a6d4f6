"""The functions of the front door: what `bench run`, `table` and `imagine` do, for Python and notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from benchmark.utils.progress import UI, Console

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark.leaderboard.board import Board
    from benchmark.method import Method
    from benchmark.method_tools.validate import Check
    from benchmark.records.record import RunRecord
    from benchmark.records.store import StoredRecord


class RunOptions(TypedDict, total=False):
    """The parameters of a run that have a default; `RunRequest` says what each means."""

    suite: str
    data: str | Path | None
    variation: str | None
    seed: int
    limit: int | None
    settings: Mapping[str, Any]
    device: str
    runs: str | Path | None
    skip_bad: bool
    trackers: Sequence[str]
    samples_every: int | None


def run(method: str | type[Method], *, ui: UI | None = None, **options: Unpack[RunOptions]) -> RunRecord:
    """Fit, generate and score a method, each only as far as it is not done yet.

    The same as `bench run`: it continues what was interrupted, shares fits and runs with the command line, and writes
    the same folders.

    Args:
        method: Name of a method, `path/to/file.py:Class`, or the class itself.
        ui: Progress and warnings; None for lines on stderr, `Silent()` for nothing.
        **options: As `RunRequest`: suite ("mini"), data, variation, seed (0), limit, settings, device ("auto"), runs,
            skip_bad.

    Returns:
        The record. It shows itself in a notebook; `record.metrics["ais"].value` is a number, `record.clip_scores()` and
        `record.class_scores()` are data frames.

    Raises:
        UserError: Wrong use or bad input, before any work.
        RunError: The work failed after it began.

    Example:
        >>> import benchmark as bench
        >>> record = bench.run("sd-text", limit=8)  # doctest: +SKIP
        >>> record.metrics["aic"].value  # doctest: +SKIP
        100.0
    """
    from benchmark.runs import steps
    from benchmark.runs.run import Run

    job = Run.of(_request(method, options), ui or Console())
    record = steps.run(job)
    return record.at(job.plan.folder.record_path)


def imagine(
    sounds: str | Path | Sequence[str | Path],
    method: str | type[Method] = "audiotoken",
    *,
    images: int = 1,
    ui: UI | None = None,
    **options: Unpack[RunOptions],
) -> list[Image]:
    """Turn sounds into images with a method's fit: that of a run, the one that ships, or one that is made now.

    Args:
        sounds: One or more sound or video files.
        method: Name of a method, `path/to/file.py:Class`, or the class itself.
        images: Images of each sound.
        ui: Progress and warnings; None for lines on stderr.
        **options: As `run`; there is no data, no variation and no limit.

    Returns:
        The images, sound by sound, at the suite's resolution.

    Raises:
        UserError: A sound cannot be read, or the method needs more than a sound.
    """
    from benchmark.runs.imagine import imagine_images

    files = [sounds] if isinstance(sounds, str | Path) else list(sounds)
    found = imagine_images([Path(file) for file in files], _request(method, options), ui or Console(), images)
    return [image for of_file in found for image in of_file]


def load_records(
    suite: str = "mini", *, runs: str | Path | None = None, packaged: bool = True, ui: UI | None = None
) -> list[RunRecord]:
    """Return the records of a suite: those that ship with the package, then your own.

    Args:
        suite: Name of a suite, or of a derived one ("mini+manifest").
        runs: Folder of the runs; None for BENCH_RUNS, else ./runs.
        packaged: Whether the records that ship with the package are among them.
        ui: Where a record that cannot be read is warned of; None for stderr.
    """
    return [stored.record.at(stored.path) for stored in _stored(suite, runs, packaged, ui or Console())]


def board(
    suite: str = "mini",
    metrics: Sequence[str] | None = None,
    *,
    methods: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    runs: str | Path | None = None,
    packaged: bool = True,
    ui: UI | None = None,
) -> Board:
    """Return the leaderboard of a suite.

    Args:
        suite: Name of a suite, or of a derived one ("mini+manifest").
        metrics: Ids of the columns, the first of which ranks; None for the suite's headline.
        methods: The only rows, by method or label; () for all. Rank, best and significance are among them.
        names: What rows are called instead, by method or label.
        runs: Folder of the runs; None for BENCH_RUNS, else ./runs.
        packaged: Whether the records that ship with the package are on it.
        ui: Where a record that cannot be read is warned of; None for stderr.

    Returns:
        The board. It shows itself in a notebook; `board.to_pandas()` is a data frame.

    Raises:
        UserError: The suite, a metric, or a row is unknown.

    Example:
        >>> import benchmark as bench
        >>> bench.board("mini", ["ais"]).to_pandas()["method"].iloc[0]
        'reference'
    """
    from benchmark.leaderboard.build import build_board
    from benchmark.suite import load_suite
    from benchmark.utils.errors import UserError
    from metrics import definitions

    problems = []
    for metric in metrics or ():
        try:
            definitions.get(metric)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise UserError(problems)
    base, derived, _ = suite.partition("+")
    protocol = load_suite(base)
    records = _stored(suite, runs, packaged, ui or Console())
    fingerprint = None if derived else protocol.fingerprint()
    return build_board(
        records,
        list(metrics or protocol.headline),
        suite=suite,
        fingerprint=fingerprint,
        methods=methods,
        names=names,
    )


def validate(method: str | type[Method]) -> list[Check]:
    """Check that a method keeps the contract, on a few clips with the networks of `mini`; takes under a minute.

    Args:
        method: Name of a method, `path/to/file.py:Class`, or the class itself.

    Returns:
        One check a promise: its name, "pass", "fail" or "skip", and the reason.

    Raises:
        UserError: There is no such method.
    """
    from benchmark.method_tools.validate import validate as check
    from benchmark.registries import find_method

    if not isinstance(method, str):
        return check(method)
    return check(find_method(method), None if ".py:" in method else method)


def _request(method: str | type[Method], options: RunOptions) -> Any:
    from benchmark.runs.request import RunRequest

    given: dict[str, Any] = dict(options)
    for name in ("data", "runs"):
        if given.get(name) is not None:
            given[name] = Path(given[name])
    if "trackers" in given:
        given["trackers"] = tuple(given["trackers"])
    return RunRequest(method=method, **given)


def _stored(suite: str, runs: str | Path | None, packaged: bool, ui: UI) -> list[StoredRecord]:
    from benchmark.leaderboard.possible import only_possible
    from benchmark.records.store import Store, packaged_records
    from benchmark.suite import load_suite

    load_suite(suite.partition("+")[0])
    own = only_possible(Store(None if runs is None else Path(runs)).records(suite))
    shipped = only_possible(packaged_records(suite)) if packaged else None
    for problem in [*(shipped.problems if shipped else ()), *own.problems]:
        ui.warn(f"left out: {problem}")
    return [*(shipped.records if shipped else ()), *own.records]
