"""The verb for a bibliography: cite."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from benchmark.cli.options import check_metrics


def cite(
    metrics: Annotated[list[str], typer.Argument(metavar="METRIC", help="Metrics. `bench list metrics`.")],
) -> None:
    """BibTeX for metrics, and their exact definitions with version as comments."""
    check_metrics(metrics)
    import benchmark
    from metrics import citations

    sys.stdout.write(citations.cite(metrics, benchmark.__version__))
