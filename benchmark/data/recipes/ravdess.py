"""RAVDESS (Livingstone and Russo, PLoS ONE 2018): 24 actors who speak and sing in eight emotions."""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.data.recipes.items import SOUNDS, VIDEOS, Item, Recipe, files, nothing

LAYOUT = "videos or sounds named <modality>-<channel>-<emotion>-<intensity>-<statement>-<repetition>-<actor>"
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
NAME = re.compile(r"0([1-3])-(0[12])-0([1-8])-(0[12])-(0[12])-(0[12])-(\d\d)")
TEST_ACTORS = range(21, 25)
"""Two men and two women: odd numbers are male. The paper has no split; speakers of both splits differ."""


def clips(root: Path) -> list[Item]:
    """Return a clip for each recording with sound and picture (modality 01, or 03 beside an 02)."""
    parts: dict[str, dict[str, Path]] = {}
    for path in files(root, (*VIDEOS, *SOUNDS)):
        if found := NAME.fullmatch(path.stem):
            parts.setdefault(path.stem[3:], {}).setdefault(found[1], path)
    items = []
    for key, modalities in sorted(parts.items()):
        sound, video = (next((modalities[one] for one in order if one in modalities), None) for order in ("13", "12"))
        if sound is not None:
            emotion, actor = int(key.split("-")[1]), int(key.split("-")[-1])
            split = "test" if actor in TEST_ACTORS else "train"
            items.append(Item(key, EMOTIONS[emotion - 1], split, sound, video, seconds=6.0))
    if not items:
        raise nothing(root, LAYOUT)
    return items


RECIPE = Recipe(
    "ravdess",
    "RAVDESS (Livingstone and Russo, 2018)",
    LAYOUT,
    "nobody published any: actors 21 to 24 are the test split, so that no voice is in both",
    clips,
)
