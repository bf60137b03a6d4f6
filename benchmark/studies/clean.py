"""The clips of `mini` without their scenes, as a manifest: what a method would hear in a world without noise.

    python -m benchmark.studies.clean -o clean
    bench run --method audiotoken --data clean/manifest.csv

Sounds are the clean renderings of the training and test clips: no second source, no wind, hum, crowd or hiss, the whole
band and the whole event. Frames, labels and splits are the suite's own. A run of it is fitted and scored on clean
sounds, on a board of its own, and what separates its scores from the suite's is the price of the scenes.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.dataset import Split
from benchmark.media.audio import write_wav
from benchmark.media.images import save_png
from benchmark.mini.data import WorldClips, clip_id
from benchmark.mini.world import SAMPLE_RATE
from benchmark.suite import load_suite
from benchmark.utils.env import cache_dir
from benchmark.utils.errors import BenchError, UserError
from benchmark.utils.files import write_atomic
from benchmark.utils.progress import UI, Console

COLUMNS = ("id", "audio", "image", "label", "split")


def write(output: Path, counts: dict[Split, int], ui: UI) -> Path:
    """Write sounds, frames and `manifest.csv`, which `bench run --data` takes.

    Args:
        output: Folder to write to, new or empty.
        counts: Number of clips by split, from the first.
        ui: Progress.

    Returns:
        The path of the manifest.

    Raises:
        UserError: `output` exists and is not empty.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"-o {output} exists and is not empty: name another folder")
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for split, count in counts.items():
        clips = WorldClips(split, count, cache_dir())
        with ui.task(f"writing the clean {split} clips", count, "clips") as advance:
            for index in range(count):
                name = clip_id(split, index)
                write_wav(output / f"{name}.wav", clips.clean[index] / 32768.0, SAMPLE_RATE)
                save_png(output / "frames" / f"{name}.png", clips.pictures[index])
                table.writerow([name, f"{name}.wav", f"frames/{name}.png", clips.label(index), split])
                advance(1)
    write_atomic(output / "manifest.csv", text.getvalue())  # last, so that its presence means that all is there
    return output / "manifest.csv"


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.clean", description=(__doc__ or "").partition("\n")[0]
    )
    data = load_suite("mini").data
    parser.add_argument("--train", type=int, default=data.train, help="training clips (default: %(default)s)")
    parser.add_argument("--test", type=int, default=data.test, help="test clips (default: %(default)s)")
    parser.add_argument("-o", "--out", type=Path, default=Path("clean"), help="folder of the clips")
    given = parser.parse_args(arguments)
    try:
        print(write(given.out, {"train": given.train, "test": given.test}, ui or Console()))
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
