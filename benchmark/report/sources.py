"""What a report is made from: the board, the runs behind its rows, the suite's clips as far as they are here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.clip_scores import ClipScores, clip_scores
from benchmark.records.images import images_path, read_images
from benchmark.records.store import RunFolder, Store, StoredRecord, suite_folder
from benchmark.report.folder import slug
from benchmark.report.varied import varied_records
from benchmark.suite import Suite, load_suite
from benchmark.utils.errors import BenchError, UserError
from benchmark.utils.files import canonical_json, digest
from metrics import definitions

if TYPE_CHECKING:
    from benchmark.clips import ClipSet
    from benchmark.dataset import DataSet
    from benchmark.leaderboard.board import Board, Row
    from benchmark.runs.plan import Plan
    from benchmark.utils.progress import UI


@dataclass(frozen=True, eq=False)
class ShownRun:
    """A run behind a row, as the report shows it."""

    key: str
    """Name in addresses and file names."""
    stored: StoredRecord
    images: Path | None
    """Folder of its images; None where there are none here."""

    @property
    def name(self) -> str:
        """What tells it from the other runs of its row."""
        seed = self.stored.record.seed
        return ("one run" if seed is None else f"seed {seed}") + f", {self.stored.where}"

    @cached_property
    def scores(self) -> dict[str, ClipScores]:
        """Scores of each clip by metric; empty where the file is missing or damaged (the board's remarks say so)."""
        try:
            return clip_scores(self.stored, tuple(self.stored.record.metrics)) or {}
        except UserError:
            return {}

    @cached_property
    def image_names(self) -> set[str]:
        """Names of the image files that are there."""
        return {path.name for path in self.images.glob("*.png")} if self.images else set()

    def image(self, clip: str, number: int = 0) -> Path | None:
        """Return the file of a clip's image; None where it is not there."""
        name = f"{clip}_{number}.png" if number else f"{clip}.png"
        return self.images / name if self.images and name in self.image_names else None


@dataclass(frozen=True, eq=False)
class ShownRow:
    """A row of the board, with its runs."""

    key: str
    """Name in addresses and file names."""
    row: Row
    runs: tuple[ShownRun, ...]

    @property
    def shown(self) -> ShownRun | None:
        """The run whose images stand for the row: the first that has some."""
        return next((run for run in self.runs if run.images), None)


@dataclass(frozen=True, eq=False)
class Sources:
    """Everything that a report shows."""

    suite: Suite
    """The protocol that the suite is derived from."""
    board: Board
    rows: tuple[ShownRow, ...]
    clips: ClipSet | None
    """The test clips; None where they cannot be had."""
    remarks: tuple[str, ...]
    """What is missing, and how to get it, one line each."""
    store: Store
    records: tuple[StoredRecord, ...]
    """All that were read, those that are not shown too."""
    varied: tuple[StoredRecord, ...] = ()
    """Those of variations of the test clips."""
    protocol: Suite | None = None
    """The board's own suite; None where its clips cannot be had."""
    data: DataSet | None = None
    """The data set of the clips."""


def gather(
    suite: str,
    fingerprint: str | None,
    records: Sequence[StoredRecord],
    store: Store,
    ui: UI,
    *,
    notes: Sequence[str] = (),
    clips: ClipSet | None = None,
    plan: Plan | None = None,
) -> Sources:
    """Gather what the report of a suite shows.

    Args:
        suite: Name of the suite, a derived one included.
        fingerprint: Its protocol; None for the one that most records followed.
        records: Records of the suite, wherever from.
        store: The runs.
        ui: Progress and warnings.
        notes: Lines that stand before the board's own remarks.
        clips: The test clips, where the caller has them.
        plan: A run on them, where the caller has one.
    """
    base = load_suite(suite.partition("+")[0])
    atoms = {metric for one in records for metric in one.record.metrics if is_atom(metric)}
    metrics = list(dict.fromkeys([*base.headline, *base.metrics, *sorted(atoms)]))
    board = build_board(records, metrics, suite=suite, fingerprint=fingerprint, notes=notes)
    same = [one for one in records if one.record.suite.fingerprint == board.fingerprint]
    rows = tuple(_rows(board, same))
    remarks: list[str] = []
    if clips is None:
        clips, remarks, plan = _clips(board, rows, store, ui)
    protocol = base if base.fingerprint() == board.fingerprint else None if plan is None else plan.suite
    varied = tuple(varied_records(store, suite, ui))
    return Sources(
        base, board, rows, clips, (*board.remarks, *remarks), store, (*records, *varied), varied, protocol,
        None if plan is None else plan.test_data,
    )  # fmt: skip


def is_atom(metric: str) -> bool:
    """Whether a metric asks for one audible attribute; no suite lists these, as it knows no clip's attributes."""
    try:
        return definitions.get(metric).family == "hears"
    except ValueError:
        return False


def _rows(board: Board, records: Sequence[StoredRecord]) -> Iterable[ShownRow]:
    usual = Counter(row.method for row in board.rows if _is_usual(row))
    alone = Counter(row.method for row in board.rows)
    for row in board.rows:
        told = [canonical_json(dict(row.settings)), row.limit, row.source, row.unranked]
        # A method's usual row is called as the method is, so that a link to it holds when rows of other settings come.
        plain = alone[row.method] == 1 or (_is_usual(row) and usual[row.method] == 1)
        key = slug(row.method) if plain else f"{slug(row.method)}-{digest(told)[:6]}"
        own = [one for one in records if _is_of(one, row)]
        # With images before without, then by seed: what the gallery shows is the first one.
        runs = [_run(one) for one in own]
        runs.sort(key=lambda run: (-1 if run.stored.record.seed is None else run.stored.record.seed, not run.images))
        yield ShownRow(key, row, tuple(runs))


def _is_usual(row: Row) -> bool:
    """Whether a row is a method as it comes: with its default settings, complete, on all clips."""
    return not row.variant and not row.unranked


def _is_of(stored: StoredRecord, row: Row) -> bool:
    record = stored.record
    asked = record.method.name, canonical_json(record.method.settings), record.limit, record.method.source
    return (
        asked == (row.method, canonical_json(dict(row.settings)), row.limit, row.source)
        and (record.seed in row.seeds or (record.seed is None and not row.seeds))
        and (record.status == row.status or not row.unranked)
    )


def _run(stored: StoredRecord) -> ShownRun:
    images = stored.path.with_name("images") if stored.path.name == "record.json" else None
    there = images is not None and images.is_dir() and any(images.glob("*.png"))
    return ShownRun(digest(str(stored.path.resolve()))[:10], stored, images if there else None)


def image_hashes(run: ShownRun) -> str:
    """Return what the image files of a run hold: a hash of their hashes, or of their sizes and times without those."""
    try:
        return digest(read_images(images_path(run.stored.path)))
    except UserError:
        paths = sorted(run.images.glob("*.png")) if run.images else []
        return digest([[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths])


def _clips(
    board: Board, rows: Sequence[ShownRow], store: Store, ui: UI
) -> tuple[ClipSet | None, list[str], Plan | None]:
    """The clips of the board, by way of the runs that used them; lines about what cannot be had; the plan of a run."""
    from benchmark.runs.external_method import external_method
    from benchmark.runs.plan import Plan
    from benchmark.runs.request import RunRequest
    from benchmark.runs.run import Run

    folders = [run.stored.path.parent for one in rows for run in one.runs if run.stored.path.name == "record.json"]
    requests = []
    for folder in folders:
        try:
            requests.append(RunRequest.load(folder)[0])
        except UserError:
            continue
    base, is_derived, _ = board.suite.partition("+")
    if not is_derived:
        requests.append(RunRequest(method="", suite=base))
    problems: list[str] = []
    seen: set[str] = set()
    for skip_bad in (False, True):
        for request in requests:
            asked = replace(
                request, method=external_method("report", ()), settings={}, seed=0, limit=None, device="cpu",
                runs=store.root, skip_bad=(request.skip_bad or skip_bad) and request.data is not None,
            )  # fmt: skip
            if (key := repr((asked.suite, asked.data, asked.variation, asked.skip_bad, asked.used))) in seen:
                continue
            seen.add(key)
            try:
                run = Run(Plan.of(asked, ui), ui)
                if run.plan.suite.fingerprint() == board.fingerprint or board.fingerprint is None:
                    return run.all_test, [], run.plan
                if skip_bad and run.plan.manifest is not None:
                    gone = [f"{problem.id}: {problem.reason}" for problem in run.plan.manifest.skipped]
                    remark = (
                        f"{run.plan.manifest.path} is not what the runs were scored on any more: sounds and frames are "
                        f"shown as they are now{'; left out: ' + '; '.join(gone) if gone else ''}."
                    )
                    return run.all_test, [remark], run.plan
            except BenchError as error:
                problems += [line for line in str(error).splitlines() if line not in problems]
    why = "; ".join(problems[:3]) or "no run here says where its clips lie"
    return None, [f"Sounds and true frames are not shown: {why}."], None


def default_folder(store: Store, board_suite: str, fingerprint: str | None) -> Path:
    """Return where the report of a suite lies unless another place is asked for: beside its runs."""
    return store.root / "reports" / suite_folder(board_suite, fingerprint or "")


def run_folder(run: ShownRun) -> RunFolder | None:
    """Return the folder of a run; None for a published record."""
    return RunFolder(run.stored.path.parent) if run.stored.path.name == "record.json" else None
