"""What the backbone draws of a clip when words tell it all: how far within a class a perfect token could get.

    python -m benchmark.studies.oracle_prompt -o told
    bench score told --sees label

The prompt names the label and both attributes ("a photo of two huge dog barking"), as in the captions that the
backbone was trained with. All else is a run's: clips, batches, seeds, guidance. `sd-text`, told the label alone, is the
other end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL.Image import Image

from benchmark.clips import Clip
from benchmark.mini.captions import statement
from benchmark.runs import steps
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.utils.errors import BenchError
from benchmark.utils.progress import UI, Console


def draw_told(run: Run, out: Path) -> None:
    """Write `<clip id>.png` of the plan's test clips to `out`, each drawn from its label and attributes in words."""

    def pictures(clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image]:
        prompts = [run.backbone.prompt(statement(clip.label, clip.attributes)) for clip in clips]
        return run.backbone.sample(run.backbone.encode_prompts(prompts), seeds)

    steps.draw(run, pictures, out)


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.oracle_prompt", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="the first so many test clips")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the pictures")
    given = parser.parse_args(arguments)
    try:
        draw_told(Run.of(RunRequest(method="sd-text", seed=given.seed, limit=given.limit), ui or Console()), given.out)
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
