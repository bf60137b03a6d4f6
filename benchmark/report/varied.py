"""Records of the variations of a suite's test clips: they lie beside the suite's own, in folders of derived suites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.leaderboard.possible import only_possible
from benchmark.records.store import Store, StoredRecord, packaged_records, packaged_results
from benchmark.runs.variations import KINDS, Variation
from benchmark.utils.errors import UserError

if TYPE_CHECKING:
    from benchmark.utils.progress import UI


def variation_of(stored: StoredRecord, suite: str) -> Variation | None:
    """Return the variation of the suite `suite` that a record is of; None for a record of anything else."""
    base, plus, name = stored.record.suite.name.rpartition("+")
    try:
        return Variation.parse(name) if plus and base == suite else None
    except UserError:
        return None


def varied_records(store: Store, suite: str, ui: UI) -> list[StoredRecord]:
    """Return the records of all variations of a suite, the packaged ones and those in `store`.

    What cannot be read is warned of.
    """
    base, packaged = suite.partition("+")[0], packaged_results()
    ours = packaged.iterdir() if packaged is not None else ()
    places = [(packaged_records, sorted(path.name for path in ours if path.is_dir())), (store.records, store.suites())]
    found = []
    for read, names in places:
        for name in names:
            if not (name.startswith(f"{base}+") and any(f"+{kind}" in name for kind in KINDS)):
                continue
            one = only_possible(read(name))
            for problem in one.problems:
                ui.warn(f"left out of the report: {problem}")
            found += [stored for stored in one.records if variation_of(stored, suite) is not None]
    return found
