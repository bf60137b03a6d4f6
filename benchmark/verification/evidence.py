"""The files that a record comes with, read as from a stranger: bounded, and nothing that they name is executed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.records.images import images_path, read_images
from benchmark.records.record import RunRecord, read_scores, scores_path
from benchmark.utils.errors import UserError
from benchmark.utils.files import absent, read_json
from benchmark.verification.findings import Finding, Report

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped, unused-ignore]  # no stubs

MAX_RECORD = 1 << 25
"""Bytes of a record, or of another JSON file."""
MAX_SCORES = 1 << 27
"""Bytes of a file of scores."""
MAX_IMAGE = 1 << 28
"""Bytes of an image."""
MAX_CELLS = 50_000_000
"""Rows times columns of a file of scores."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """A record, and what lies beside it; None for what is not there."""

    path: Path
    """The record's file."""
    record: RunRecord
    scores: DataFrame | None
    """The scores per clip."""
    hashes: dict[str, str] | None
    """sha256 by name of the images that were scored."""
    images: Path | None
    """The folder of the images."""
    written: dict[str, Any] | None
    """What score's marker says that the record holds besides its numbers."""
    plan: dict[str, Any]
    """What the run's folder says of its clips; empty without one."""


def gather(path: Path, report: Report, images: Path | None = None) -> Evidence | None:
    """Read a record, or the record of a run's folder, and what lies beside it.

    Args:
        path: A record's file, or a run's folder.
        report: Takes a finding for each file that is not what it should be.
        images: The folder of the images, if it is not beside the record.

    Returns:
        What was read; None if the record itself cannot be.

    Raises:
        UserError: There is no record at `path`.
    """
    path = path / "record.json" if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"{path} {absent(path)}: name a record, or the folder of a finished run")
    folder = path.parent if path.name == "record.json" else None
    record: RunRecord | None = None
    scores: DataFrame | None = None
    hashes: dict[str, str] | None = None
    try:
        bounded(path, MAX_RECORD)
        record = RunRecord.load(path)
    except UserError as error:
        report.findings += [_refused(path, line) for line in error.problems]
    except RecursionError:
        report.findings.append(_refused(path, "is nested too deeply"))
    try:
        if scores_path(path).is_file():
            scores = load_scores(scores_path(path))
    except UserError as error:
        report.findings += [_refused(scores_path(path), line) for line in error.problems]
    try:
        if images_path(path).is_file():
            hashes = read_images(images_path(path))
    except UserError as error:
        report.findings += [_refused(images_path(path), line) for line in error.problems]
    if record is None:
        return None
    if images is None and folder is not None and (folder / "images").is_dir():
        images = folder / "images"
    written = None if folder is None else _object(folder / "steps" / "score.json").get("payload")
    return Evidence(
        path=path,
        record=record,
        scores=scores,
        hashes=hashes,
        images=images,
        written=written.get("record") if isinstance(written, dict) else None,
        plan={} if folder is None else _object(folder / "plan.json"),
    )


def load_scores(path: Path) -> DataFrame:
    """Read scores per clip. Raises UserError if they are unreadable, or more than any run has."""
    from pyarrow.parquet import ParquetFile

    bounded(path, MAX_SCORES)
    try:
        meta = ParquetFile(path).metadata
        cells, size = meta.num_rows * meta.num_columns, 0
        for group in range(meta.num_row_groups):
            size += meta.row_group(group).total_byte_size
    except Exception as error:
        raise UserError(f"{path}: not a readable Parquet file: {error}") from error
    if cells > MAX_CELLS or size > 16 * MAX_SCORES:
        raise UserError(f"{path}: says that it holds {cells:,} cells in {size:,} bytes: no run has so many")
    return read_scores(path)


def bounded(path: Path, most: int) -> None:
    """Raise UserError if a file has more than `most` bytes."""
    if (size := path.stat().st_size) > most:
        raise UserError(f"{path}: has {size:,} bytes; at most {most:,} are read")


def _refused(path: Path, line: str) -> Finding:
    return Finding(path.name, "", f"cannot be used: {line.removeprefix(f'{path}: ')}")


def _object(path: Path) -> dict[str, Any]:
    """A JSON object in a file; empty if there is none."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_RECORD:
            return {}
        found = read_json(path)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
