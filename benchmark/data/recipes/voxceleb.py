"""Folders as VoxCeleb has them (Nagrani et al., Interspeech 2017): speaker, video, utterances; faces beside them."""

from __future__ import annotations

import csv
from pathlib import Path

from benchmark.data.recipes.items import IMAGES, SOUNDS, VIDEOS, Item, Recipe, files, nothing, safe, share

LAYOUT = (
    "[wav|mp4|faces/]<speaker>/<video>/<utterance>.wav, .m4a or .mp4, images in folders of the same names, and "
    "vox1_meta.csv"
)
GENDERS = {"m": "a man speaking", "f": "a woman speaking"}
TEST_SHARE = 0.1


def clips(root: Path) -> list[Item]:
    """Return a clip for the first utterance of each video."""
    facts = _facts(root)
    sounds, videos, images = (_by_video(files(root, kind)) for kind in (SOUNDS, VIDEOS, IMAGES))
    items = []
    for speaker, video in sorted(sounds.keys() | videos.keys()):
        key = speaker, video
        film = videos.get(key, [None])[0]
        sound = sounds.get(key, [film])[0]
        gender, split = facts.get(speaker, ("", "test" if share(speaker) < TEST_SHARE else "train"))
        assert sound is not None
        label = GENDERS.get(gender, "a person speaking")
        faces = tuple(images.get(key, ()))
        items.append(Item(f"{safe(speaker)}-{safe(video)}", label, split, sound, film, faces))
    if not items:
        raise nothing(root, LAYOUT)
    return items


def _by_video(paths: list[Path]) -> dict[tuple[str, str], list[Path]]:
    found: dict[tuple[str, str], list[Path]] = {}
    for path in paths:
        if len(path.parts) > 2:
            found.setdefault((path.parts[-3], path.parts[-2]), []).append(path)
    return found


def _facts(root: Path) -> dict[str, tuple[str, str]]:
    """Return gender and split of each speaker in vox1_meta.csv; none without it."""
    table = root / "vox1_meta.csv"
    if not table.is_file():
        return {}
    with open(table, newline="", encoding="utf-8-sig") as file:
        rows = [
            {key.strip(): (value or "").strip() for key, value in row.items() if key}
            for row in csv.DictReader(file, delimiter="\t")
        ]
    return {
        row["VoxCeleb1 ID"]: (row["Gender"], "test" if row["Set"] == "test" else "train")
        for row in rows
        if "Set" in row
    }


RECIPE = Recipe(
    "voxceleb",
    "folders as VoxCeleb has them (Nagrani et al., 2017)",
    LAYOUT,
    "the column Set of vox1_meta.csv; without it a tenth of the speakers by the hash of their names",
    clips,
)
