"""ESC-50 (Piczak, ACM MM 2015): 2,000 sounds of 50 classes in five folds, without images."""

from __future__ import annotations

import csv
from pathlib import Path

from benchmark.data.recipes.items import Item, Recipe, nothing, spoken

LAYOUT = "meta/esc50.csv and audio/<fold>-<source>-<take>-<class>.wav"
TEST_FOLD = "5"
"""The paper cross-validates over five folds; one fixed split holds the last one out."""


def clips(root: Path) -> list[Item]:
    """Return the listed sounds that are there."""
    table = root / "meta" / "esc50.csv"
    if not table.is_file():
        raise nothing(root, LAYOUT)
    with open(table, newline="", encoding="utf-8-sig") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["filename"])
    return [
        Item(
            id=Path(row["filename"]).stem,
            label=spoken(row["category"]),
            split="test" if row["fold"] == TEST_FOLD else "train",
            sound=root / "audio" / row["filename"],
            seconds=5.0,
        )
        for row in rows
    ]


RECIPE = Recipe(
    "esc50",
    "ESC-50 (Piczak, 2015)",
    LAYOUT,
    "its folds: 5 is the test split, 1 to 4 are the training split; it has no images, give --images",
    clips,
)
