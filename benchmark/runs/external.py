"""Images made elsewhere, in any language: a folder of them becomes a run, and a record like any other."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.clips import bad_id
from benchmark.media.images import ImageError, load_image, pixel_digest, save_png
from benchmark.records.provenance import collect
from benchmark.registries import METHODS
from benchmark.runs import damage
from benchmark.runs.external_method import ImageSettings, external_method
from benchmark.runs.plan import Plan
from benchmark.runs.run import Run
from benchmark.utils.errors import RunError, UserError, listed
from benchmark.utils.files import digest

if TYPE_CHECKING:
    from benchmark.runs.request import RunRequest
    from benchmark.utils.progress import UI

Key = tuple[str, int]
"""Clip id and number of the image, from 0."""

OTHER_FORMATS = (".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")


@dataclass(frozen=True)
class Found:
    """The images of a folder: the file and the sha256 of the pixels of each, and how many a clip has."""

    files: Mapping[Key, Path]
    digests: Mapping[Key, str]
    per_clip: int

    @property
    def sha256(self) -> str:
        """The hash of all: equal for equal pixels of equal clips, whatever the files' names and compression."""
        return digest([[*key, sha256] for key, sha256 in sorted(self.digests.items())])


def find_images(folder: Path, clips: Sequence[str], suite: str, known: Iterable[str] = ()) -> Found:
    """Find the images of `clips` in `folder`: all `<clip id>.png`, or all `<clip id>_<k>.png` with k = 0..K-1.

    Images of `known` clips that are not among `clips` (those beyond a limit) and hidden files are passed over. The
    files may hold any image that `benchmark.media.images.load_image` reads, of any size and mode.

    Raises:
        UserError: A line for each file that is missing, one too many, named otherwise, of no clip, or not usable; ten
            of each kind, and how many more there are.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: name one that holds an image <clip id>.png of every test clip")
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    ids = {_form(clip): clip for clip in (*known, *clips)}
    if wrong := [path for path in entries if path.suffix.lower() in OTHER_FORMATS and path.is_file()]:
        named = sum(any(style(_form(path.stem)) for style in (_plain, _numbered)) for path in wrong)
        if named and not any(path.suffix.lower() == ".png" for path in entries):
            kind = wrong[0].suffix.lower().lstrip(".").upper().replace("JPG", "JPEG")
            raise UserError(
                f"{folder}: the images are {kind} files ({wrong[0].name}, ...), and PNG is expected: convert them "
                "without loss, for example with ImageMagick's `mogrify -format png *`"
            )
    readings = [_read(style, entries, ids, clips, suite) for style in (_plain, _numbered)]
    best = min(readings, key=lambda reading: len(reading.problems))
    if not best.files:
        raise UserError(
            f"{folder}: no file in it is named after a test clip of {suite!r}, as {clips[0]}.png or {clips[0]}_0.png "
            "would be: `bench export` writes the clips with their ids"
        )

    def judge(path: Path) -> str | ImageError:
        try:
            return pixel_digest(load_image(path))
        except ImageError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        judged = list(pool.map(judge, best.files.values()))
    unusable = [str(one) for one in judged if isinstance(one, ImageError)]
    if best.problems or unusable:
        raise UserError([*best.problems, *listed(unusable)])
    return Found(best.files, dict(zip(best.files, map(str, judged), strict=True)), best.per_clip)


@dataclass(frozen=True)
class _Reading:
    """What the files of a folder are if they are named in one style, and what is wrong with them then."""

    files: dict[Key, Path]
    problems: list[str]
    per_clip: int


def _form(name: str) -> str:
    # some file systems give a name back in another composition of Unicode than it was written in
    return unicodedata.normalize("NFC", name)


def _plain(stem: str) -> Key:
    return stem, 0


def _numbered(stem: str) -> Key | None:
    clip, _, number = stem.rpartition("_")
    return (clip, int(number)) if re.fullmatch("0|[1-9][0-9]{0,5}", number) else None


def _read(
    style: Callable[[str], Key | None],
    entries: Sequence[Path],
    ids: Mapping[str, str],
    clips: Sequence[str],
    suite: str,
) -> _Reading:
    other = _numbered if style is _plain else _plain
    files: dict[Key, Path] = {}
    strange: list[str] = []
    wanted = set(clips)
    for path in entries:
        stem = _form(path.stem)
        key = style(stem)
        if not path.is_file() or path.suffix.lower() != ".png":
            strange.append(f"{path}: is no image called <clip id>.png: take it out of the folder")
        elif key is not None and key[0] in ids:
            key = ids[key[0]], key[1]
            if key in files:
                strange.append(f"{path}: {files[key].name} is that image already: take one of them away")
            elif key[0] in wanted:
                files[key] = path
        elif (key := other(stem)) is not None and key[0] in ids:
            strange.append(f"{path}: is numbered unlike the others: name all <clip id>.png, or all <clip id>_<k>.png")
        else:
            strange.append(f"{path}: no test clip of {suite!r} is called {stem!r}: rename it, or take it away")
    counts = Counter(clip for clip, _ in files)
    # most clips tell how many there should be
    per_clip = max(Counter(counts.values()).items(), key=lambda item: (item[1], item[0]), default=(1, 0))[0]
    surplus = [
        f"{files.pop(key)}: is one too many: the clips have {per_clip}, numbered from 0"
        for key in [key for key in files if key[1] >= per_clip]
    ]
    missing = []
    for clip in clips:
        for k in range(per_clip):
            if (clip, k) not in files:
                name = f"{clip}.png" if style is _plain else f"{clip}_{k}.png"
                missing.append(f"{name} is missing: every test clip needs {'one' if per_clip == 1 else per_clip}")
    return _Reading(files, [*listed(strange), *listed(surplus), *listed(missing)], per_clip)


def run_of_images(
    folder: Path, request: RunRequest, ui: UI, *, name: str | None = None, sees: Sequence[str] = ()
) -> tuple[Run, Found]:
    """Return the run that the images in `folder` are, and the images.

    Args:
        folder: The folder of images. With a limit, only the images of those clips need be there.
        request: The suite, manifest, limit and device; its method does not count.
        ui: Progress and warnings.
        name: What to call them; None for the folder's name.
        sees: What they were made from, as in a method's card; unknown if nothing is given.

    Raises:
        UserError: All problems at once, before anything is written.
    """
    name = name or folder.resolve().name
    if why := bad_id(name):
        raise UserError(f"--name {name!r} {why}: give another")
    if name in METHODS:
        raise UserError(f"--name {name!r} is that of an installed method ({METHODS.origin(name)}): give another")
    plan = Plan.of(replace(request, method=external_method(name, sees or ("unknown",))), ui)
    run = Run(plan, ui)
    known = run.all_test.ids
    found = find_images(folder, run.test.ids, plan.suite.name, known)
    settings = ImageSettings(pictures=found.sha256[:16], images_per_clip=found.per_clip)
    run = replace(run, plan=replace(plan, settings=settings))
    run.plan.folder.image_paths(run.test.ids, run.plan.images_per_clip)  # ids that share a file are refused here
    return run, found


def take_in(run: Run, found: Found) -> Path:
    """Copy the images into the run's folder as RGB PNG, unless they are there; return their folder."""
    plan, ui = run.plan, run.ui
    folder, identity = plan.folder, plan.generate_identity
    with folder.lock(ui.say):
        if plan.generated:
            damage.mend_plan(plan, ui)
            return folder.images
        targets = folder.image_paths(run.test.ids, plan.images_per_clip)
        bad = folder.resume("generate", identity, targets.values())
        damage.say(folder, bad or folder.marker_damage("generate", folder.images.glob("*.png")), ui)
        if bad is None:
            for aside in folder.begin("generate", identity, ["images"]):
                ui.warn(f"older images were kept as {aside.name}")
        folder.note("generate", collect(device=plan.device))
        plan.save()
        with ui.task("taking in the images", len(targets), "images") as advance:
            for key, target in targets.items():
                image = load_image(found.files[key])
                if pixel_digest(image) != found.digests[key]:
                    raise RunError(f"{found.files[key]} was changed meanwhile: start again when all images are made")
                save_png(target, image)
                advance(1)
        folder.mark_done("generate", identity, files=targets.values())
    return folder.images
