from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny networks in the released formats; not to be changed."""
    import releases

    return releases.release(tmp_path_factory.mktemp("released"))


@pytest.fixture
def tiny(released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The suites, run with `released`."""
    import releases

    releases.use(released, tmp_path / "suites", monkeypatch)
    return released
