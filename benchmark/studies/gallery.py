"""Images and sounds for the documentation: `python -m benchmark.studies.gallery --help`.

Clips are chosen by their number in the split, never by their looks.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmark.media.audio import write_wav
from benchmark.media.images import load_image, save_png
from benchmark.mini.data import clip_id, make_picture, make_sound
from benchmark.mini.world import LABELS, SAMPLE_RATE, SLOTS, THING_OF, Value, describe, facts_of, label_of
from benchmark.records.store import RunFolder, Store
from benchmark.registries import find_method
from benchmark.suite import load_suite
from benchmark.utils.errors import UserError

SUITE = "mini"
SEED = 0
METHODS = ("reference", "sd-text", "audiotoken", "audiotoken-cl", "wav2clip", "imagebind", "shuffled")

CELL = 128
GAP = 6
TITLE_WIDTH = 236
FONT_SIZE = 20
HEAD_SIZE = 15
INK = (34, 34, 44)


class Row(NamedTuple):
    """Row of images."""

    title: str
    """Text at the left."""
    pictures: Sequence[Image.Image]
    """The images, from left to right."""
    heads: Sequence[str] = ()
    """Text above each image; empty for none."""


def sheet(rows: Sequence[Row]) -> Image.Image:
    """Draw rows below each other on white, each image of CELL x CELL pixels; texts may have several lines."""
    font, small = ImageFont.load_default(FONT_SIZE), ImageFont.load_default(HEAD_SIZE)
    step = CELL + GAP
    heights = [_lines(row.heads) * (HEAD_SIZE + 5) + GAP * bool(row.heads) for row in rows]
    width = TITLE_WIDTH + max(len(row.pictures) for row in rows) * step
    canvas = Image.new("RGB", (width, sum(heights) + len(rows) * step + GAP), "white")
    pen = ImageDraw.Draw(canvas)
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        for column, head in enumerate(row.heads):
            middle = TITLE_WIDTH + column * step + CELL / 2
            pen.multiline_text((middle, top + height - GAP), head, INK, small, anchor="md", align="center")
        top += height
        pen.multiline_text((TITLE_WIDTH - 2 * GAP, top + CELL / 2), row.title, INK, font, anchor="rm", align="right")
        for column, picture in enumerate(row.pictures):
            # Nearest: the pixels are shown as they are, and the file has a quarter of the size.
            large = picture.resize((CELL, CELL), Image.Resampling.NEAREST)
            canvas.paste(large, (TITLE_WIDTH + column * step, top))
        top += step
    return canvas


def _lines(texts: Sequence[str]) -> int:
    return max((text.count("\n") + 1 for text in texts), default=0)


def indices(label: str, count: int) -> list[int]:
    """Return the numbers of the first `count` clips of a class, in any split, where classes take turns."""
    slots = [slot for slot, name in enumerate(SLOTS) if name == label]
    return [slots[turn % len(slots)] + len(SLOTS) * (turn // len(slots)) for turn in range(count)]


def world_sheet(split: str = "validation", columns: int = 8) -> Image.Image:
    """Draw the first frames of every class, one class per row."""
    return sheet(
        [
            Row(label, [Image.fromarray(make_picture(split, index)) for index in indices(label, columns)])
            for label in LABELS
        ]
    )


def write_sounds(folder: Path, split: str = "validation", every: int = 3) -> list[Path]:
    """Write the first sound of every third class as `<class>.<attribute>-<word>...wav`, and return the files."""
    written = []
    for label in LABELS[::every]:
        (index,) = indices(label, 1)
        words = [f"{name}-{word}" for name, word in _words(facts_of(split, index).heard).items()]
        path = folder / ".".join([re.sub(r"\W+", "-", label).strip("-"), *words, "wav"])
        write_wav(path, make_sound(split, index).astype(np.float32) / 32768.0, SAMPLE_RATE)
        written.append(path)
    return written


def _words(attributes: Mapping[str, Value]) -> dict[str, str]:
    return {name: describe(name, value) for name, value in attributes.items() if value}


def run_folder(runs: Path, method: str) -> RunFolder:
    """Return the folder of a method's complete run with its default settings.

    Raises:
        UserError: The run is missing.
    """
    folder = Store(runs).run(SUITE, method, SEED if find_method(method).random else None)
    if not folder.images.is_dir():
        raise UserError(f"{folder.images} is missing: make it with `bench run --method {method} --runs {runs}`")
    return folder


def drawn(folder: RunFolder, clips: Sequence[int]) -> list[Image.Image]:
    """Load a run's images of test clips, which are given by their numbers."""
    return [load_image(path) for path in folder.image_paths([clip_id("test", index) for index in clips]).values()]


def method_sheet(runs: Path, methods: Sequence[str], columns: int = 10) -> Image.Image:
    """Draw each method's images of the first test clips, one method per row; each clip is of another class."""
    clips = range(columns)
    heads = []
    for index in clips:
        label = textwrap.fill(label_of(index), 16)
        heads.append("\n".join([label, ", ".join(_words(facts_of("test", index).heard).values())]))
    pictures = {method: drawn(run_folder(runs, method), clips) for method in methods}
    return sheet([Row(method, made, () if row else heads) for row, (method, made) in enumerate(pictures.items())])


OVERVIEW = {
    "reference": "the thing itself\n(true frame)",
    "audiotoken": "AudioToken,\nfrom the sound",
    "imagebind": "ImageBind,\nfrom the sound",
    "shuffled": "AudioToken, from\nanother clip's sound",
}
"""Rows of the overview: a method, and what a newcomer reads beside its images."""


def overview_sheet(runs: Path, columns: int = 6) -> Image.Image:
    """Draw what the benchmark is about: the first test clips' sounds, and below each the frame and methods' images."""
    clips = range(columns)
    heads = [textwrap.fill(LABELS[index % len(LABELS)], 16) for index in clips]
    waves = [waveform(make_sound("test", index).astype(np.float32) / 32768.0) for index in clips]
    rows = [Row("a sound", waves, heads)]
    rows += [Row(title, drawn(run_folder(runs, method), clips)) for method, title in OVERVIEW.items()]
    below = sheet(rows)
    text = "A sound goes in, an image comes out. The clips are new to every method; none was told what it hears."
    canvas = Image.new("RGB", (below.width, below.height + 2 * FONT_SIZE), "white")
    canvas.paste(below, (0, 2 * FONT_SIZE))
    font = ImageFont.load_default(FONT_SIZE - 2)
    ImageDraw.Draw(canvas).text((canvas.width / 2, FONT_SIZE), text, INK, font, anchor="mm")
    return canvas


def waveform(sound: np.ndarray) -> Image.Image:
    """Draw a sound (samples,) in [-1, 1]: its extent in each of CELL stretches, scaled to its peak."""
    picture = Image.new("RGB", (CELL, CELL), (240, 243, 247))
    pen = ImageDraw.Draw(picture)
    peak = max(float(np.abs(sound).max()), 1e-9)
    for x, part in enumerate(np.array_split(sound, CELL)):
        low, high = (
            CELL / 2 * (1 - 0.9 * float(value) / peak) for value in (part.max(initial=0.0), part.min(initial=0.0))
        )
        pen.line([(x, low), (x, max(high, low + 1))], (0, 114, 178))
    return picture


SIZED = tuple(label for label in LABELS if any(attribute.name == "size" for attribute in THING_OF[label].attributes))


def size_sheet(runs: Path, labels: Sequence[str], method: str = "audiotoken", columns: int = 10) -> Image.Image:
    """Draw test clips of each class from small (high) to large (low): the true frames above a method's images.

    Clips are evenly spaced by the rank of their size.

    Args:
        runs: Folder of the runs.
        labels: Classes that have a size.
        method: Name of the method.
        columns: Number of clips per class.

    Raises:
        UserError: A class has no size, or a run is missing.
    """
    each = load_suite(SUITE).data.test // len(SLOTS)
    rows = []
    for label in labels:
        if label not in SIZED:
            raise UserError(f"class {label!r} has no size: choose among {', '.join(SIZED)}")
        ranked = sorted(indices(label, each), key=lambda index: float(facts_of("test", index).heard["size"]))
        clips = [ranked[rank] for rank in np.linspace(0, each - 1, columns).round().astype(int)]
        heads = [f"size {float(facts_of('test', index).heard['size']):.2f}" for index in clips]
        for name in ("reference", method):
            title = f"{label}\n{name}" if name == "reference" else name
            rows.append(Row(title, drawn(run_folder(runs, name), clips), heads if name == "reference" else ()))
    return sheet(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the requested files and print their paths; return the exit code, 2 for wrong use."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.gallery", description=__doc__)
    parser.add_argument("--world", type=Path, metavar="PNG", help="a contact sheet of the world")
    parser.add_argument("--sounds", type=Path, metavar="DIR", help="a WAV of every third class")
    parser.add_argument("--out", type=Path, metavar="PNG", help="the methods' images of the same clips")
    parser.add_argument("--overview", type=Path, metavar="PNG", help="what the benchmark is about, in a few clips")
    parser.add_argument("--attributes", type=Path, metavar="PNG", help="audiotoken's images of small to large things")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are (default: runs)")
    parser.add_argument("--methods", default=",".join(METHODS), help="rows of --out (default: %(default)s)")
    parser.add_argument("--classes", default=",".join(SIZED[:3]), help="classes of --attributes (default: %(default)s)")
    given = parser.parse_args(arguments)
    sheets: list[tuple[Path | None, Callable[[], Image.Image]]] = [
        (given.world, world_sheet),
        (given.out, lambda: method_sheet(given.runs, given.methods.split(","))),
        (given.overview, lambda: overview_sheet(given.runs)),
        (given.attributes, lambda: size_sheet(given.runs, given.classes.split(","))),
    ]
    try:
        written = write_sounds(given.sounds) if given.sounds else []
        for path, make in sheets:
            if path:
                save_png(path, make())
                written.append(path)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if not written:
        parser.error("nothing to make: give --world, --sounds, --out, --overview or --attributes")
    print(*written, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
