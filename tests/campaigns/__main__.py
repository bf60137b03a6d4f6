"""`python -m tests.campaigns kills|caches|files|records --count N [--seed S] [--json]`: 1 where the goal is missed."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
import tempfile
from pathlib import Path

CAMPAIGNS = {"kills": 20, "caches": 100, "files": 10_000, "records": 5_000}
"""Each with its goal of cases."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns", description=__doc__)
    parser.add_argument("campaign", choices=CAMPAIGNS)
    goals = ", ".join(f"{name}: {count}" for name, count in CAMPAIGNS.items())
    parser.add_argument("--count", type=int, help=f"cases ({goals})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    given = parser.parse_args()
    # As for pytest, where `tests/conftest.py` does it: what the tests share is imported by its own name.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    os.environ |= {"HF_HUB_OFFLINE": "1", "COLUMNS": "120", "NO_COLOR": "1"}
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    campaign = importlib.import_module(f"campaigns.{given.campaign}")
    count = CAMPAIGNS[given.campaign] if given.count is None else given.count
    report = importlib.import_module("campaigns.report").Report(given.campaign, given.seed, count)
    for ending in (signal.SIGINT, signal.SIGTERM):  # also where a shell started it in the background, deaf to Ctrl-C
        signal.signal(ending, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="campaign-") as place, contextlib.suppress(KeyboardInterrupt):
        campaign.run(Path(place).resolve(), report)  # interrupted, it says how far it came
    print(report.to_json() if given.json else report.table())
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
