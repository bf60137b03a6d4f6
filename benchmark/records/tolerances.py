"""The tolerances of comparisons by metric, read from `tolerances.toml`, which says what they were measured on."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from benchmark.utils.models import FrozenModel
from benchmark.utils.toml import read_toml, validated

FILE = Path(__file__).with_name("tolerances.toml")


class Tolerance(FrozenModel):
    """How far equal things may lie apart."""

    value: float
    """Largest difference of a metric's value, in its unit."""
    clip: float = 0.0
    """Largest difference of a clip's score, in the metric's unit."""
    clips: float = 0.0
    """Share of the clips that may differ by more than that."""


class Tolerances(FrozenModel):
    """The file."""

    measured: dict[str, str]
    """What the figures were measured on."""
    rescored: dict[str, Tolerance]
    """By family of metrics, or "default": the same images scored in other surroundings."""
    reproduced: dict[str, Tolerance]
    """By family of metrics, or "default": the whole run made again in other surroundings."""

    def of(self, kind: str, metric: str) -> Tolerance:
        """Return the tolerance of a metric: its own, its family's (the name up to a dot), or the default."""
        table: dict[str, Tolerance] = getattr(self, kind)
        parts = metric.split(".")
        names = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
        return next((table[name] for name in names if name in table), table["default"])


@cache
def tolerances() -> Tolerances:
    """Read the file."""
    return validated(Tolerances, read_toml(FILE), FILE)
