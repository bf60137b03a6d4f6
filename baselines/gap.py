"""What the modality gap costs a method that learnt from frames: its pictures when it is fed frames, as in fitting.

    python -m baselines.gap --method imagebind --limit 180 -o imagebind-frames
    bench score imagebind-frames --sees frame --limit 180
    bench run --method imagebind --limit 180

The first line fits the method, unless that is done, and draws the test clips from the embeddings of their true frames
instead of their sounds; all else is the run's. So the two rows differ by the gap, and by nothing else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from baselines.joint import FramesOnly
from benchmark import runner
from benchmark.errors import BenchError, UserError
from benchmark.ui import UI, Console


def draw_from_frames(plan: runner.Plan, out: Path) -> None:
    """Write `<clip id>.png` of the plan's test clips to `out`, fitting first if need be.

    Raises UserError for a method that does not learn from frames alone.
    """
    if not issubclass(plan.method, FramesOnly):
        raise UserError(f"{plan.name!r} is not fitted on frames alone: choose wav2clip or imagebind")
    runner.fit(plan)
    method = plan.make(plan.test)
    assert isinstance(method, FramesOnly)
    method.load()
    method.listener = method.studies()
    runner.draw(plan, partial(runner.make_pictures, method), out)


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m baselines.gap", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--method", required=True, help="wav2clip or imagebind")
    parser.add_argument("--suite", default="mini")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="the first so many test clips")
    parser.add_argument("--runs", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the pictures")
    given = parser.parse_args(arguments)
    try:
        plan = runner.Plan.of(
            suite=given.suite, method=given.method, seed=given.seed, limit=given.limit, runs=given.runs,
            ui=ui or Console(),
        )  # fmt: skip
        draw_from_frames(plan, given.out)
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
