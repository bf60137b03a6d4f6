"""Pictures made elsewhere, in any language: a folder of them becomes a run, and a record like any other."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast, get_args

from pydantic import Field

from benchmark.clips import bad_id
from benchmark.errors import RunError, UserError, unknown
from benchmark.files import digest, write_atomic
from benchmark.images import ImageError, load_image, pixel_digest, save_png
from benchmark.method import METHODS, Method, MethodCard, MethodSettings, Sight

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark.clips import Clip
    from benchmark.runner import Plan
    from benchmark.ui import UI

Key = tuple[str, int]
"""Clip id and number of the picture, from 0."""


class PictureSettings(MethodSettings):
    """What tells one set of pictures from another."""

    pictures: str = ""
    """First 16 hexadecimal digits of the sha256 of all pictures' pixels."""
    images_per_clip: int = Field(1, ge=1)
    """Pictures of each clip; scores are averaged over them, so that a clip counts once."""


class Pictures(Method):
    """Base of the methods that stand for pictures made elsewhere; `pictures_method` makes one of a name."""

    Settings: ClassVar[type[MethodSettings]] = PictureSettings
    random = False

    def generate(self, clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image]:
        raise RunError(f"the pictures of {self.card.name!r} were made elsewhere: `bench score DIR` takes them in")


def pictures_method(name: str, sees: Iterable[str]) -> type[Pictures]:
    """The method that stands for somebody's pictures. Raises UserError for a `sees` that no card knows."""
    given = tuple(sees)
    for sight in given:
        if sight not in get_args(Sight):
            raise unknown("sight of --sees", sight, get_args(Sight))

    class Named(Pictures):
        card = MethodCard(
            name=name,
            summary="pictures made elsewhere",
            sees=cast("tuple[Sight, ...]", given),
            licence="unknown",
            training_data="unknown",
            notes="How they were made was not checked; what it sees is what was said when they were scored.",
        )

    return Named


@dataclass(frozen=True)
class Found:
    """The pictures of a folder: the file and the sha256 of the pixels of each, and how many a clip has."""

    files: Mapping[Key, Path]
    digests: Mapping[Key, str]
    per_clip: int

    @property
    def sha256(self) -> str:
        """The hash of all: equal for equal pixels of equal clips, whatever the files' names and compression."""
        return digest([[*key, sha256] for key, sha256 in sorted(self.digests.items())])


def find_pictures(folder: Path, clips: Sequence[str], suite: str, known: Iterable[str] = ()) -> Found:
    """The pictures of `clips` in `folder`: all `<clip id>.png`, or all `<clip id>_<k>.png` with k = 0..K-1.

    Pictures of `known` clips that are not among `clips` (those beyond a limit) and hidden files are passed over. What
    the files hold may be any picture that `benchmark.images.load_image` reads, of any size and mode. Raises UserError
    with a line for each file that is missing, one too many, named otherwise, of no clip, or no usable picture.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: name one that holds a picture <clip id>.png of every test clip")
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    ids = {_form(clip): clip for clip in (*known, *clips)}
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
    problems = [*best.problems, *(str(one) for one in judged if isinstance(one, ImageError))]
    if problems:
        raise UserError(problems)
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
    style: Callable[[str], Key | None], entries: Sequence[Path], ids: Mapping[str, str], clips: Sequence[str],
    suite: str,
) -> _Reading:  # fmt: skip
    other = _numbered if style is _plain else _plain
    files: dict[Key, Path] = {}
    problems = []
    wanted = set(clips)
    for path in entries:
        stem = _form(path.stem)
        key = style(stem)
        if not path.is_file() or path.suffix.lower() != ".png":
            problems.append(f"{path}: is no picture called <clip id>.png: take it out of the folder")
        elif key is not None and key[0] in ids:
            key = ids[key[0]], key[1]
            if key in files:
                problems.append(f"{path}: {files[key].name} is that picture already: take one of them away")
            elif key[0] in wanted:
                files[key] = path
        elif (key := other(stem)) is not None and key[0] in ids:
            problems.append(f"{path}: is numbered unlike the others: name all <clip id>.png, or all <clip id>_<k>.png")
        else:
            problems.append(f"{path}: no test clip of {suite!r} is called {stem!r}: rename it, or take it away")
    counts = Counter(clip for clip, _ in files)
    # most clips tell how many there should be
    per_clip = max(Counter(counts.values()).items(), key=lambda item: (item[1], item[0]), default=(1, 0))[0]
    for key in [key for key in files if key[1] >= per_clip]:
        problems.append(f"{files.pop(key)}: is one too many: the clips have {per_clip}, numbered from 0")
    for clip in clips:
        for k in range(per_clip):
            if (clip, k) not in files:
                name = f"{clip}.png" if style is _plain else f"{clip}_{k}.png"
                problems.append(f"{name} is missing: every test clip needs {'one' if per_clip == 1 else per_clip}")
    return _Reading(files, problems, per_clip)


def plan_pictures(
    folder: Path, *, suite: str, data: Path | None = None, name: str | None = None, sees: Sequence[str] = (),
    limit: int | None = None, device: str = "auto", runs: Path | None = None, skip_bad: bool = False, ui: UI,
) -> tuple[Plan, Found]:  # fmt: skip
    """The run that the pictures in `folder` are, called `name` (the folder's, if none is given).

    `sees` is what the method was allowed to look at, as in a card; unknown if nothing is given. With `limit`, only the
    pictures of those clips need be there. Raises UserError, with all problems at once, before anything is written.
    """
    from benchmark.runner import Plan

    name = name or folder.resolve().name
    if why := bad_id(name):
        raise UserError(f"--name {name!r} {why}: give another")
    if name in METHODS:
        raise UserError(f"--name {name!r} is that of an installed method ({METHODS.origin(name)}): give another")
    plan = Plan.of(
        suite=suite, method=pictures_method(name, sees or ("unknown",)), data=data, limit=limit, device=device,
        runs=runs, skip_bad=skip_bad, ui=ui,
    )  # fmt: skip
    known = plan.test.ids if limit is None else replace(plan, limit=None).test.ids
    found = find_pictures(folder, plan.test.ids, plan.suite.name, known)
    settings = PictureSettings(pictures=found.sha256[:16], images_per_clip=found.per_clip)
    asked = {**plan.asked, "settings": {key: str(value) for key, value in settings.model_dump().items()}}
    plan = replace(plan, settings=settings, asked=asked)
    plan.folder.image_paths(plan.test.ids, plan.images_per_clip)  # ids that two pictures would share are refused here
    return plan, found


def take_in(plan: Plan, found: Found) -> Path:
    """Copy the pictures into the run's folder as RGB PNG, unless they are there; returns the folder of pictures."""
    folder, identity = plan.folder, plan.generate_identity
    with folder.lock(plan.ui.say):
        if plan.generated:
            return folder.images
        if not folder.step_done("generate", identity):
            for aside in folder.begin("generate", identity, ["images"]):
                plan.ui.warn(f"older pictures were kept as {aside.name}")
        write_atomic(folder.path / "plan.json", json.dumps(plan.asked, indent=2) + "\n")
        targets = folder.image_paths(plan.test.ids, plan.images_per_clip)
        with plan.ui.task("taking in the pictures", len(targets), "pictures") as advance:
            for key, target in targets.items():
                picture = load_image(found.files[key])
                if pixel_digest(picture) != found.digests[key]:
                    raise RunError(f"{found.files[key]} was changed meanwhile: start again when all pictures are made")
                save_png(target, picture)
                advance(1)
        folder.mark_done("generate", identity)
    return folder.images
