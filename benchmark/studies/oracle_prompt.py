"""Images from prompts that state everything about a clip: an upper bound within a class for any audio token.

    python -m benchmark.studies.oracle_prompt -o told
    bench score told --sees label

The prompt names the label and both attributes ("a photo of two huge dog barking"), as the captions do with which the
backbone was trained. Clips, batches, seeds and guidance are those of a run. `sd-text`, whose prompt names the label
alone, is the opposite extreme.
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
    """Write `<clip id>.png` for the run's test clips, each sampled from its label and attributes in words."""

    def pictures(clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image]:
        prompts = [run.backbone.prompt(statement(clip.label, clip.attributes)) for clip in clips]
        return run.backbone.sample(run.backbone.encode_prompts(prompts), seeds)

    steps.draw(run, pictures, out)


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.oracle_prompt", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="number of test clips")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the images")
    given = parser.parse_args(arguments)
    try:
        draw_told(Run.of(RunRequest(method="sd-text", seed=given.seed, limit=given.limit), ui or Console()), given.out)
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
