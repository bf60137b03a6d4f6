"""The board that a study works on: of some runs, or of all records of a suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.possible import check, only_possible
from benchmark.records.store import RunFolder, Store, StoredRecord, packaged_records
from benchmark.utils.errors import UserError

if TYPE_CHECKING:
    from benchmark.leaderboard.board import Board
    from benchmark.utils.progress import UI


def board_of(folders: Sequence[Path], suite: str, metrics: Sequence[str], ui: UI) -> Board:
    """Return the board of the runs in `folders` or, if there are none, of all records of a suite.

    Args:
        folders: Folders of finished runs.
        suite: Name of the suite; that of the runs where there are any.
        metrics: Ids of the columns.
        ui: Takes a warning for each record that cannot be used.

    Raises:
        UserError: A folder holds no record, or the runs are of several suites.
    """
    if folders:
        runs = [RunFolder(path) for path in folders]
        records = [StoredRecord(run.record(), run.record_path, "runs") for run in runs]
        for one in records:
            check(one)
        protocols = {one.record.suite.fingerprint: one.record.suite.name for one in records}
        if len(protocols) > 1:
            raise UserError(f"the runs are of {len(protocols)} suites ({', '.join(protocols.values())}): name one's")
        (suite,) = protocols.values()
    else:
        found = [only_possible(packaged_records(suite)), only_possible(Store().records(suite))]
        for problem in (line for one in found for line in one.problems):
            ui.warn(f"left out: {problem}")
        records = [record for one in found for record in one.records]
    board = build_board(records, metrics, suite=suite)
    for remark in board.remarks:
        ui.warn(remark)
    return board
