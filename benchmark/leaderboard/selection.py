"""Which rows of a board are shown, and what they are called there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmark.leaderboard.board import Row
from benchmark.utils.errors import UserError, unknown


def rows_called(rows: Sequence[Row], name: str) -> list[Row]:
    """Return the row with a label, or all rows of a method.

    Raises:
        UserError: There is none; the message has the nearest names.
    """
    found = [row for row in rows if row.label == name] or [row for row in rows if row.method == name]
    if not found:
        raise unknown("row", name, list(dict.fromkeys(n for row in rows for n in (row.label, row.method))))
    return found


def chosen(rows: Sequence[Row], methods: Sequence[str], names: Mapping[str, str]) -> list[Row]:
    """Return the rows of `methods` (all for none) in their order, called by `names`.

    A name that was given for a whole label stands alone; one for a method keeps what tells its rows apart. A board
    without rows is left as it is.

    Raises:
        UserError: No row is called so, or two would be called the same.
    """
    if not rows:
        return []
    wanted = {row.label for name in methods for row in rows_called(rows, name)}
    shown = [row for row in rows if not methods or row.label in wanted]
    called = {}
    for old, new in names.items():
        for row in rows_called(shown, old):
            called[row.label] = replace(row, name=new, variant="" if old == row.label else row.variant)
    shown = [called.get(row.label, row) for row in shown]
    twice = [label for label, count in Counter(row.label for row in shown).items() if count > 1]
    if called and twice:
        raise UserError(f"two rows would be called {twice[0]!r}: give them different names")
    return shown
