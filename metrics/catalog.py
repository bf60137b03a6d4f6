"""The old name of `metrics.definitions` and `metrics.compute`; it goes with the next version."""

from __future__ import annotations

import warnings

from metrics.compute import MetricInputs, MetricResult, compute
from metrics.definitions import MetricDefinition, definitions, get

__all__ = ["MetricDefinition", "MetricInputs", "MetricResult", "compute", "definitions", "get"]

warnings.warn(
    "`metrics.catalog` has moved to `metrics.definitions` and `metrics.compute`; the old name goes with the next "
    "version.",
    FutureWarning,
    stacklevel=2,
)
