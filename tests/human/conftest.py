"""Two finished runs of twelve clips, whose pictures cost nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import worlds

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Their folders."""
    base = tmp_path_factory.mktemp("rated")
    methods = [
        worlds.method_file(base / "grey", worlds.GREY, "grey"),
        worlds.method_file(base / "noise", worlds.NOISE, "noise"),
    ]
    return [worlds.finished(base, method)[0] for method in methods]
