"""VEGAS (Zhou et al., CVPR 2018, arXiv 1712.01393): 28,109 videos of ten classes."""

from __future__ import annotations

from pathlib import Path

from benchmark.data.recipes.items import VIDEOS, Item, Recipe, files, first_by_hash, nothing, safe, spoken

LAYOUT = "<class>/videos/video_<number>.mp4, or <class>/<video>.mp4"
TEST = 128
"""Test videos of a class, as in the paper, which drew them at random and published no list."""


def clips(root: Path) -> list[Item]:
    """Return a clip for each video."""
    classes: dict[str, dict[str, Path]] = {}
    for path in files(root, VIDEOS):
        folder = path.parent.parent if path.parent.name == "videos" else path.parent
        if folder != root:
            classes.setdefault(folder.name, {})[path.stem] = path
    if not classes:
        raise nothing(root, LAYOUT)
    items = []
    for name, videos in sorted(classes.items()):
        keys = [f"{name}/{stem}" for stem in videos]
        # of a part of the data a fifth at most, so that something is left to train on
        tests = first_by_hash(keys, min(TEST, max(1, len(keys) // 5)))
        for stem, path in sorted(videos.items()):
            split = "test" if f"{name}/{stem}" in tests else "train"
            items.append(Item(f"{safe(name)}-{safe(stem)}", spoken(name), split, path, path))
    return items


RECIPE = Recipe(
    "vegas",
    "VEGAS (Zhou et al., 2018)",
    LAYOUT,
    "128 test videos a class as in the paper, which published no list: those with the smallest hashes of their names",
    clips,
)
