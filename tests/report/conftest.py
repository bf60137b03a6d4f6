"""The site that all tests of this folder look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from sites import runs_of, sources_of, stressed_runs_of

from benchmark.report.make import make
from benchmark.utils.progress import Silent


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished site."""
    folder = tmp_path_factory.mktemp("report")
    make(sources_of(*runs_of(folder / "runs")), folder / "site", Silent())
    return folder / "site"


@pytest.fixture(scope="session")
def stressed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a site with runs on changed clips, and with an attribute that some runs are asked about."""
    folder = tmp_path_factory.mktemp("stressed")
    make(sources_of(*stressed_runs_of(folder / "runs")), folder / "site", Silent())
    return folder / "site"
