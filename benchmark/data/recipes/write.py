"""From a recipe's clips to files and a manifest: sounds at 16 kHz, frames, a row each.

The output folder contains:

    recipe.json          the request; another one needs another folder
    audio/<clip>.wav     the clip's sound, mono, 16 kHz, 16 bits
    frames/<clip>.jpg    its frame; further frames of a training clip are <clip>.f1.jpg, <clip>.f2.jpg, ...
    left_out.json        the clips that could not be used, with the reason
    manifest.csv         written last, so that its presence means that the folder is finished
"""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.data.manifest import COLUMNS
from benchmark.data.prepare.extract import UnusableVideo, frames_at, jpeg_frame, video_seconds, wav_bytes
from benchmark.data.prepare.workers import in_order
from benchmark.data.recipes.catalog import RECIPES
from benchmark.data.recipes.items import IMAGES, Item, Recipe, files, share
from benchmark.media.audio import RATE, AudioError, is_silent, read_audio
from benchmark.media.images import ImageError, load_image
from benchmark.utils.errors import RunError, UserError, unknown
from benchmark.utils.files import digest, write_atomic

if TYPE_CHECKING:
    from benchmark.utils.progress import UI

MOST_FRAMES = 16


@dataclass(frozen=True, kw_only=True)
class Cooking:
    """Arguments of `bench recipe`."""

    name: str
    """Name of the recipe."""
    root: Path
    """Folder of the data set."""
    output: Path
    """Folder to write to."""
    images: Path | None = None
    """Folder of other images: <clip id>.jpg, <clip id>/*.jpg or <label>/*.jpg; None for frames of the videos."""
    train_frames: int = 1
    """Number of frames of a training clip at most: a row of the manifest each."""
    jobs: int | None = None
    """Number of processes; None for one per core, 0 for none."""


@dataclass(frozen=True)
class _Made:
    """What was made of a clip: the number of its frames, or why it cannot be used."""

    frames: int = 0
    reason: str = ""


def write_recipe(asked: Cooking, ui: UI) -> tuple[Path, dict[str, Any]]:
    """Write the manifest of a data set, with the files that it names. An equal call continues an interrupted one.

    Args:
        asked: The arguments.
        ui: Progress and warnings.

    Returns:
        The manifest, and its summary: clips by split, labels, clips left out, and the identity of the list of clips.

    Raises:
        UserError: An argument is wrong, the folder contains no clip of the data set, or another request was written to
            the output folder.
        RunError: No test clip could be used.
    """
    recipe = _checked(asked)
    items = recipe.clips(asked.root)
    if asked.images is not None:
        items = _with_images(items, asked.images)
    if bare := [item.id for item in items if item.video is None and not item.images]:
        what = f"{len(bare):,} clips have neither a video nor an image (such as {bare[0]!r})"
        if len(bare) == len(items):
            raise UserError(f"{what}: give --images a folder with <clip id>.jpg, <clip id>/*.jpg or <label>/*.jpg")
        ui.warn(f"{what} and are left out")
        items = [item for item in items if item.video is not None or item.images]
    listed = digest([[item.id, item.label, item.split, item.start, item.seconds] for item in items])
    _same_request(asked, recipe)
    make = partial(_make, out=asked.output, train_frames=asked.train_frames)
    workers = os.cpu_count() or 1 if asked.jobs is None else asked.jobs
    made: list[_Made] = []
    with ui.task(f"writing {recipe.name}", len(items), "clips") as advance:
        for one in in_order(make, items, workers, _ended):
            made.append(one)
            advance(1)
    return _finish(asked, listed, list(zip(items, made, strict=True)), ui)


def _checked(asked: Cooking) -> Recipe:
    if asked.name not in RECIPES:
        raise unknown("recipe", asked.name, RECIPES)
    problems = [
        f"{folder} is not a folder: {way}"
        for folder, way in ((asked.root, "give the data set's"), (asked.images, "correct --images"))
        if folder is not None and not folder.is_dir()
    ]
    if asked.output.exists() and not asked.output.is_dir():
        problems.append(f"{asked.output} is a file: give -o a folder")
    if asked.output.resolve().is_relative_to(asked.root.resolve()):
        problems.append(f"{asked.output} is inside the data set's folder: give -o a folder outside")
    if not 1 <= asked.train_frames <= MOST_FRAMES:
        problems.append(f"--train-frames {asked.train_frames}: give 1 to {MOST_FRAMES}")
    if problems:
        raise UserError(problems)
    return RECIPES[asked.name]


def _with_images(items: list[Item], folder: Path) -> list[Item]:
    """Return the clips with the images that a person gave; one of a label's images is chosen by the clip's id."""
    by_place: dict[str, list[Path]] = {}
    for path in files(folder, IMAGES):
        by_place.setdefault(path.relative_to(folder).parts[0] if path.parent != folder else path.stem, []).append(path)
    found = []
    for item in items:
        own = by_place.get(item.id)
        pool = by_place.get(item.label) or by_place.get(item.label.replace(" ", "_")) or []
        chosen = own or ([pool[int(share(item.id) * len(pool))]] if pool else [])
        found.append(Item(**{**vars(item), "images": tuple(chosen) or item.images}))
    return found


def _same_request(asked: Cooking, recipe: Recipe) -> None:
    path = asked.output / "recipe.json"
    images = None if asked.images is None else str(asked.images.resolve())
    request = {
        "recipe": recipe.name,
        "version": recipe.version,
        "title": recipe.title,
        "splits": recipe.splits,
        "root": str(asked.root.resolve()),
        "images": images,
        "train_frames": asked.train_frames,
    }
    if path.exists():
        try:
            stored = json.loads(path.read_bytes())
        except ValueError:
            stored = {}
        if stored != request:
            raise UserError(f"{asked.output} contains another recipe or request: give -o another folder, or delete it")
    elif asked.output.exists() and any(asked.output.iterdir()):
        raise UserError(f"{asked.output} contains other files: give -o an empty or a new folder")
    write_atomic(path, json.dumps(request, indent=1) + "\n")


def _frame_name(clip: str, number: int) -> str:
    return f"{clip}.f{number}" if number else clip


def _make(item: Item, out: Path, train_frames: int) -> _Made:
    """Write a clip's sound and frames; the number of frames is noted beside the sound, which is written last."""
    sound = out / "audio" / f"{item.id}.wav"
    places = [
        out / "frames" / f"{_frame_name(item.id, number)}.jpg"
        for number in range(train_frames if item.split == "train" else 1)
    ]
    if sound.exists():
        return _Made(sum(place.exists() for place in places))
    try:
        jpegs = _frames(item, len(places))
        waveform, remark = read_audio(item.sound, seconds=item.start + item.seconds)
    except UnusableVideo as error:
        return _Made(reason=f"video {item.video and item.video.name!r} {error}")
    except (AudioError, ImageError) as error:
        return _Made(reason=f"{error.reason}: {error.fix}")
    waveform = waveform[round(item.start * RATE) : round((item.start + item.seconds) * RATE)]
    if not len(waveform) or is_silent(waveform):
        return _Made(reason=f"audio {item.sound.name!r} {remark or 'has no sound there: replace it'}")
    for place, jpeg in zip(places, jpegs, strict=False):
        write_atomic(place, jpeg)
    write_atomic(sound, wav_bytes(waveform))
    return _Made(len(jpegs))


def _frames(item: Item, count: int) -> list[bytes]:
    """Return up to `count` JPEGs: of the images, else of the middles of equal parts of the video's stretch."""
    if item.images:
        return [jpeg_frame(load_image(path)).jpeg for path in item.images[:count]]
    assert item.video is not None
    length = min(item.seconds, video_seconds(item.video) - item.start)
    if length <= 0:
        raise UnusableVideo(f"ends before second {item.start:g}: download it again")
    return [
        frame.jpeg for frame in frames_at(item.video, [item.start + length * (k + 0.5) / count for k in range(count)])
    ]


def _ended(item: Item, how: str) -> _Made:
    return _Made(reason=f"{item.sound.name!r} makes the decoder {how}: replace it")


def _finish(asked: Cooking, listed: str, made: list[tuple[Item, _Made]], ui: UI) -> tuple[Path, dict[str, Any]]:
    left_out = {item.id: one.reason for item, one in made if one.reason}
    write_atomic(asked.output / "left_out.json", json.dumps(left_out, indent=1, ensure_ascii=False) + "\n")
    if left_out:
        name, why = next(iter(left_out.items()))
        ui.warn(f"{len(left_out):,} clips could not be used, such as {name} ({why}): {asked.output / 'left_out.json'}")
    usable = [(item, one.frames) for item, one in made if not one.reason]
    if not any(item.split == "test" for item, _ in usable):
        raise RunError(f"no test clip of {asked.name} could be used: {asked.output / 'left_out.json'} has the reasons")
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for item, frames in usable:
        for number in range(frames):
            name = _frame_name(item.id, number)
            table.writerow([name, f"audio/{item.id}.wav", f"frames/{name}.jpg", item.label, item.split])
    path = asked.output / "manifest.csv"
    write_atomic(path, text.getvalue())
    splits = {item.split: 0 for item, _ in usable}
    for item, _ in usable:
        splits[item.split] += 1
    labels = len({item.label for item, _ in usable})
    return path, {
        "manifest": str(path),
        "clips": splits,
        "rows": sum(frames for _, frames in usable),
        "labels": labels,
        "left_out": len(left_out),
        "list": listed,
    }
