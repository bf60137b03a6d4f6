"""Landscape (Lee et al., CVPR 2022) with Into the Wild (Li et al., ECCV 2022), as SonicDiffusion joins them."""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.data.prepare.extract import UnusableVideo, video_seconds
from benchmark.data.recipes.items import VIDEOS, Item, Recipe, files, nothing, safe, share, spoken, windows

LAYOUT = "landscape/[train|test/]<class>/<video>.mp4 and into-the-wild/<class>/<video>.mp4; one of the two is enough"
TEST_SHARE = 0.1
SPLITS = {"train": "train", "test": "test", "val": "validation", "validation": "validation"}
PART = re.compile(r"[_-]?\d{1,4}$")


def clips(root: Path) -> list[Item]:
    """Return a clip for each video of up to 30 s, and one for every ten seconds of a longer one."""
    items = []
    for path in files(root, VIDEOS):
        folders = path.relative_to(root).parts[:-1]
        named = [SPLITS[folder] for folder in folders if folder in SPLITS]
        classes = [folder for folder in folders[1:] if folder not in SPLITS]
        if not classes:
            continue
        key = "/".join([folders[0], *classes, path.stem])
        # pieces of one recording stay together
        source = PART.sub("", key) or key
        split = named[0] if named else "test" if share(source) < TEST_SHARE else "train"
        try:
            length = video_seconds(path)
        except UnusableVideo:
            length = 0.0  # it is named when it is extracted
        for start in windows(length):
            name = safe(key) + (f"-{start:05.0f}" if length > 30 else "")
            items.append(Item(name, spoken(classes[0]), split, path, path, start=start))
    if not items:
        raise nothing(root, LAYOUT)
    return items


RECIPE = Recipe(
    "landscape",
    "Landscape (Lee et al., 2022) and Into the Wild (Li et al., 2022)",
    LAYOUT,
    "folders named train and test where there are any; else a tenth of the recordings by the hash of their names",
    clips,
)
