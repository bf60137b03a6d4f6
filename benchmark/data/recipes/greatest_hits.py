"""The Greatest Hits (Owens et al., CVPR 2016, arXiv 1512.08512): a drumstick hits and scratches things."""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.data.recipes.items import Item, Recipe, files, nothing

LAYOUT = "train.txt, test.txt, and <video>_times.txt, <video>_denoised.wav, <video>_denoised.mp4 at any depth"
BEFORE, SECONDS = 0.25, 2.0
"""A clip begins shortly before its hit; the next hit is often less than a second later."""
LINE = re.compile(r"(\d+(?:\.\d+)?)\s+(\S+)\s+(\S+)\s+(\S+)")


def clips(root: Path) -> list[Item]:
    """Return a clip for each hit whose material and action were annotated, of the videos in the published lists."""
    places = {path.name: path for path in files(root, (".txt", ".wav", ".mp4"))}
    items = []
    for split in ("train", "test"):
        listed = places.get(f"{split}.txt")
        names = [] if listed is None else listed.read_text(encoding="utf-8").split()
        for name in sorted(names):
            sound = _first(places, name, ("_denoised.wav", "_mic.wav", "_denoised.mp4", "_mic.mp4"))
            video = _first(places, name, ("_denoised.mp4", "_mic.mp4", "_denoised_thumb.mp4", "_thumb.mp4"))
            times = places.get(f"{name}_times.txt")
            if sound is not None and video is not None and times is not None:
                items += list(_hits(name, split, sound, video, times.read_text(encoding="utf-8")))
    if not items:
        raise nothing(root, LAYOUT)
    return items


def _first(places: dict[str, Path], name: str, endings: tuple[str, ...]) -> Path | None:
    return next((places[name + ending] for ending in endings if name + ending in places), None)


def _hits(name: str, split: str, sound: Path, video: Path, times: str) -> list[Item]:
    found = []
    for number, line in enumerate(times.splitlines()):
        hit = LINE.match(line.strip())
        if hit and "None" not in (hit[2], hit[3]):
            label = f"{hit[3]} {hit[2].replace('-', ' ')}"
            start = max(0.0, float(hit[1]) - BEFORE)
            found.append(Item(f"{name}-{number:03d}", label, split, sound, video, start=start, seconds=SECONDS))
    return found


RECIPE = Recipe(
    "greatest-hits",
    "The Greatest Hits (Owens et al., 2016)",
    LAYOUT,
    "its train.txt and test.txt, by video; a label is action and material, such as 'scratch cloth'",
    clips,
)
