"""The site that all tests of this folder look at."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sites import runs_of, sources_of

from benchmark.report.make import make
from benchmark.utils.progress import Silent


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished site."""
    folder = tmp_path_factory.mktemp("report")
    make(sources_of(*runs_of(folder / "runs")), folder / "site", Silent())
    return folder / "site"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program of Debian's chromium, installed if this machine lets us; without it the test is skipped."""
    names = ("chromium", "chromium-browser", "google-chrome")
    if found := next(filter(None, map(shutil.which, names)), None):
        return found
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update"], capture_output=True, timeout=300)
        subprocess.run(
            ["apt-get", "install", "-y", "--no-install-recommends", "chromium"], capture_output=True, timeout=900
        )
    if found := shutil.which("chromium"):
        return found
    pytest.skip("no chromium here, and it cannot be installed: apt-get install chromium")


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """A headless browser."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as play:
        started = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"], timeout=120_000)
        yield started
        started.close()
