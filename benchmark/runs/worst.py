"""The clips of a run that a metric finds worst, with their images."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.media.images import load_image
from benchmark.records.record import RunRecord, read_scores, scores_path
from benchmark.records.store import RunFolder
from benchmark.utils.errors import UserError, unknown
from benchmark.utils.text import visible

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class ScoredClip:
    """A clip as a metric scores it."""

    clip: str
    """Its id."""
    label: str
    """Its headline label."""
    score: float
    """In the metric's unit, the mean over its images."""
    images: tuple[Path, ...]
    """Its images; none beside a record without images."""


def worst_clips(record: RunRecord, path: Path, metric: str, count: int) -> list[ScoredClip]:
    """Return the `count` clips with the worst scores, the worst first; equal ones by their ids.

    Clips without a score, such as those that failed, are not among them.

    Args:
        record: The run's record.
        path: The file that it was read from; scores and images lie beside it.
        metric: Id of a metric that scores each clip.
        count: How many clips, at most.

    Raises:
        UserError: No scores lie beside the record, or the metric scores no clips of it.
    """
    file = scores_path(path)
    if not file.is_file():
        raise UserError(f"{file} is not there, and no clip has a score without it: `bench score RUN` writes it")
    table = read_scores(file)
    known = [name for name in record.metrics if name in table.columns]
    if metric not in known:
        if metric in record.metrics:
            raise UserError(f"{metric} is a number of the whole set, no clip has a score: choose {', '.join(known)}")
        raise unknown("metric of this run", metric, known)
    means = table.groupby(["clip", "label"], sort=False, as_index=False)[metric].mean().dropna()
    sign = 1 if record.metrics[metric].direction == "up" else -1
    rows = zip(means["clip"], means["label"], means[metric], strict=True)
    scored = sorted((sign * float(score), str(clip), str(label), float(score)) for clip, label, score in rows)
    folder = RunFolder(path.parent)
    ids = set(table["clip"])
    # "<clip>_1.png" is the second image of a clip, unless another clip is called so.
    files = [one for one in sorted(folder.images.glob("*_*.png")) if one.stem not in ids]
    found = []
    for _, clip, label, score in scored[:count]:
        first = next(iter(folder.image_paths([clip]).values()))
        named = (re.fullmatch(rf"{re.escape(clip)}_(\d+)\.png", one.name) for one in files)
        more = sorted((int(name[1]), first.with_name(name[0])) for name in named if name)
        images = (first, *(one for _, one in more))
        found.append(ScoredClip(clip, label, score, tuple(one for one in images if one.is_file())))
    return found


CELL, GAP, ACROSS, TEXT = 160, 12, 5, 12
LETTERS = 20  # what the width of a cell holds


def contact_sheet(clips: Sequence[ScoredClip], title: str, digits: int = 1) -> Image:
    """Draw the first image of each clip with its score, label and id, five in a row, under a title.

    Raises:
        UserError: A clip has no image, as its record lies without them.
        ImageError: An image cannot be read.
    """
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    if lacking := [clip.clip for clip in clips if not clip.images]:
        raise UserError(
            f"no image of clip {lacking[0]!r} lies beside the record: name the folder of a run that has its images"
        )
    # Pillow's own font has neither arrows nor other scripts than Latin.
    file = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    font, large = ImageFont.truetype(file, TEXT), ImageFont.truetype(file, TEXT + 3)
    across = min(ACROSS, len(clips))
    step, high = CELL + GAP, CELL + 3 * (TEXT + 4) + GAP
    heading = textwrap.wrap(visible(title), max(20, across * step // 10))
    top = GAP + len(heading) * (TEXT + 10)
    size = (across * step + GAP, top + math.ceil(len(clips) / across) * high)
    canvas = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(canvas)
    pen.multiline_text((GAP, GAP), "\n".join(heading), "black", large)
    for place, clip in enumerate(clips):
        x, y = GAP + place % across * step, top + place // across * high
        image = load_image(clip.images[0])
        # Small pictures are shown pixel by pixel, large ones smoothly.
        how = Image.Resampling.NEAREST if image.width < CELL else Image.Resampling.LANCZOS
        canvas.paste(image.resize((CELL, CELL), how), (x, y))
        texts = (f"{clip.score:.{digits}f}", clip.label, clip.clip)
        lines = (text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…" for text in map(visible, texts))
        pen.multiline_text((x, y + CELL + 2), "\n".join(lines), "black", font)
    return canvas
