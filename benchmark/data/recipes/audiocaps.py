"""AudioCaps (Kim et al., NAACL 2019): captions of ten-second clips of AudioSet."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from benchmark.data.recipes.items import SOUNDS, VIDEOS, Item, Recipe, files, nothing

LAYOUT = "train.csv, val.csv, test.csv (youtube_id, start_time, caption) and <youtube_id>[_<start>].mp4 or .wav"
SPLITS = {"train": "train", "val": "validation", "test": "test"}
NAME = re.compile(r"Y?([\w-]{11})(?:_(\d+)(?:[._]0+)?(?:_\d+)?)?")


def clips(root: Path) -> list[Item]:
    """Return a clip for each listed one whose file is there, with the first of its captions as label."""
    found = {kind: _by_clip(files(root, kind)) for kind in (VIDEOS, SOUNDS)}
    items: dict[str, Item] = {}
    for name, split in SPLITS.items():
        listed = next(iter(sorted(root.rglob(f"{name}.csv"))), None)
        if listed is None:
            continue
        with open(listed, newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                video_id, start = row["youtube_id"], int(float(row["start_time"]))
                key = f"{video_id}_{start:06d}"
                video, sound = (
                    found[kind].get((video_id, start)) or found[kind].get((video_id, None)) for kind in (VIDEOS, SOUNDS)
                )
                if (sound or video) and key not in items:
                    source = sound or video
                    assert source is not None
                    items[key] = Item(key, " ".join(row["caption"].split()), split, source, video)
    if not items:
        raise nothing(root, LAYOUT)
    return [items[key] for key in sorted(items)]


def _by_clip(paths: list[Path]) -> dict[tuple[str, int | None], Path]:
    named = [(NAME.fullmatch(path.stem), path) for path in paths]
    return {(hit[1], None if hit[2] is None else int(hit[2])): path for hit, path in named if hit}


RECIPE = Recipe(
    "audiocaps",
    "AudioCaps (Kim et al., 2019)",
    LAYOUT,
    "its train.csv, val.csv and test.csv; of the five captions of a test clip the first one is the label",
    clips,
)
