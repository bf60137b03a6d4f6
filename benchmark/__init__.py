"""A benchmark of audio-to-image generation: suites, methods, records and the board derived from them.

Nothing heavy is imported here. The command line is `bench`; the functions behind it are in `benchmark.runs.steps`,
`benchmark.runs.imagine` and `benchmark.leaderboard.build`.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("audio2image-bench")
        except PackageNotFoundError:
            return "0+unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
