"""Whether a record can be true: what it says of each metric against that metric's definition."""

from __future__ import annotations

from functools import lru_cache

from benchmark.records.record import MetricValue, RunRecord
from benchmark.records.store import Found, StoredRecord
from benchmark.utils.errors import UserError
from metrics import definitions

ROUNDING = 1e-9


def only_possible(found: Found) -> Found:
    """Return the records that can be true, and a line for each of the others beside those that could not be read."""
    faults = {one.path: fault for one in found.records if (fault := contradiction(one.record))}
    kept = [one for one in found.records if one.path not in faults]
    return Found(kept, [*found.problems, *(f"{path}: {fault}" for path, fault in faults.items())])


def check(stored: StoredRecord) -> None:
    """Raise UserError, naming the file, where a record cannot be true."""
    if fault := contradiction(stored.record):
        raise UserError(f"{stored.path}: {fault}")


def contradiction(record: RunRecord) -> str | None:
    """Return what cannot be true of a record, with the metric and its value; None if everything may be.

    A metric that this program does not know, or knows in a newer version, is no contradiction.
    """
    sees = record.method.card.get("sees", [])
    if not isinstance(sees, list) or not all(isinstance(one, str) for one in sees):
        return f"method.card.sees: {sees!r} is no list of names"
    most = None if record.images is None else max(record.clips.total, record.images.count)
    for name, value in record.metrics.items():
        fault = _excluded(value, definition(name))
        # Each for itself: coverage counts the true frames, of which none fails with an image.
        if most is not None and max(value.n, value.failed) > most:
            fault = f"n {value.n} or failed {value.failed} is more than the run's {most} images"
        if fault:
            return f"metrics.{name}: {fault}"
    return None


def _excluded(value: MetricValue, known: definitions.MetricDefinition | None) -> str | None:
    """Return what the definition of a metric excludes of its value; None if nothing is, or it is another version's."""
    if known is None or value.version < known.version:
        return None
    if value.version > known.version:
        return (
            f"version {value.version} of the metric is newer than this program's {known.version}: "
            "update audio2image-bench to read it"
        )
    chance = known.chance if isinstance(known.chance, float) else value.chance
    wanted = {"unit": known.unit, "direction": known.direction, "chance": None if value.chance is None else chance}
    for field, right in wanted.items():
        if (found := getattr(value, field)) != right:
            return f"{field} {found!r} is not the metric's, {right!r}"
    low, high = known.bounds
    for number in (value.value, value.low, value.high):
        if number is not None and (
            (low is not None and number < low - ROUNDING) or (high is not None and number > high + ROUNDING)
        ):
            return f"{number:g} is impossible: the metric lies {_within(low, high)}"
    return None


def _within(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"between {low:g} and {high:g}"
    return f"at or above {low:g}" if low is not None else f"at or below {high:g}"


@lru_cache(maxsize=1024)
def definition(metric: str) -> definitions.MetricDefinition | None:
    """Return the definition of a metric id; None if this program does not know it."""
    try:
        return definitions.get(metric)
    except ValueError:
        return None
