"""A headless browser for tests of pages: Debian's chromium, which is installed where that is possible."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

NAMES = ("chromium", "chromium-browser", "google-chrome")


def _found() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _program() -> str:
    """The browser's program. Skips the test, with the reason, where there is none and none can be installed."""
    if program := _found():
        return program
    if shutil.which("apt-get") is None:
        pytest.skip("no chromium, and no apt-get to install it with")
    with FileLock(Path(tempfile.gettempdir()) / "audio2image-bench-chromium.lock"):  # processes of pytest-xdist
        if program := _found():
            return program
        said = ""
        for command in (["update"], ["install", "-y", "-q", "--no-install-recommends", "chromium"]):
            done = subprocess.run(["apt-get", *command], capture_output=True, text=True, timeout=600)
            said = (done.stderr or done.stdout).strip()[-200:]
    if (program := _found()) is None:
        pytest.skip(f"no chromium, and it cannot be installed: {said}")
    return program


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """A browser of playwright, whose contexts have storage of their own."""
    api = pytest.importorskip("playwright.sync_api")
    program = _program()
    with api.sync_playwright() as playwright:
        # As root, as in most containers, chromium runs only without its sandbox; the pages are this project's own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
