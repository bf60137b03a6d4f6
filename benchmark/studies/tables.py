"""The tables of the committed records in README and documentation: `python -m benchmark.studies.tables`.

Each page names the `bench table` command that makes its table; this runs the commands and puts what they write between
the marks. It is to be run from the repository's root whenever a record in `results/` changes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmark.studies.pages import fill
from benchmark.utils.errors import BenchError

COMPACT = ("ais", "iis", "ais.winrate.sameclass", "iis.winrate.sameclass", "aic", "fd.clip")
WINRATES = ("ais", "ais.winrate.sameclass", "iis", "iis.winrate.sameclass", "ais.winrate.crossclass")

PAGES = {
    "README.md": f"--columns rank,{','.join(COMPACT)} --no-intervals --no-std",
    "docs/leaderboard.md": "",
    "docs/metrics.md": " ".join(f"--metric {metric}" for metric in WINRATES),
}
"""Options of `bench table` by page."""


def table(options: str) -> str:
    """Return the Markdown table of the committed records alone, whatever runs there are."""
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, "-m", "benchmark", "table", *options.split(), "--format", "md", "--runs", empty]
        return subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout


def main() -> int:
    """Fill the pages; return the exit code."""
    for page, options in PAGES.items():
        try:
            fill(Path(page), "table:mini", table(options))
        except (BenchError, subprocess.CalledProcessError) as error:
            print(f"{page}: {getattr(error, 'stderr', None) or error}", file=sys.stderr)
            return 1
        print(f"{page}: bench table {options}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
