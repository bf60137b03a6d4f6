"""`bench imagine`: pictures of a person's own sounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from benchmark.clips import Clip, ClipSet
from benchmark.media.audio import is_silent, read_audio
from benchmark.media.images import save_png
from benchmark.runs.method_calls import calling
from benchmark.runs.run import Run
from benchmark.runs.seeds import image_seed
from benchmark.runs.shipped import fit_at_hand
from benchmark.runs.steps import make_images, prescribed
from benchmark.utils.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from benchmark.method import Method
    from benchmark.runs.request import RunRequest
    from benchmark.utils.progress import UI

OTHER_SUFFIXES = (".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def _targets(files: Sequence[Path], output: Path, images: int) -> list[list[Path]]:
    """Where each file's pictures go: `output` itself for one picture of one file, else a folder of `<name>[_k].png`."""
    suffix = output.suffix.lower()
    if suffix in OTHER_SUFFIXES and not output.is_dir():
        raise UserError(f"-o {output}: pictures are written as PNG, give a name that ends in .png, or a folder")
    if suffix == ".png" and not output.is_dir():
        if len(files) * images > 1:
            raise UserError(f"-o {output} is one picture, but {len(files) * images} are made: give a folder")
        return [[output]]
    if output.is_file():
        raise UserError(f"-o {output} is a file: give a folder, or a name that ends in .png")
    stems = [file.stem for file in files]
    names = [file.stem if stems.count(file.stem) == 1 else file.name for file in files]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"two files are called {twice!r}, their pictures would overwrite each other: rename one")
    return [[output / (f"{name}.png" if images == 1 else f"{name}_{k}.png") for k in range(images)] for name in names]


class Imagined(NamedTuple):
    """What became of sounds."""

    written: list[Path]
    """The images' files."""
    refused: list[str]
    """A line for each sound that cannot be used; the images of the others are made."""


def imagine(files: Sequence[Path], output: Path, request: RunRequest, ui: UI, images: int = 1) -> Imagined:
    """Turn sounds into image files with a method.

    A finished fit is used, else the one that ships with the package, else one is made, after all inputs were read.

    Args:
        files: Any wav, flac, ogg, mp3 or video.
        output: A name that ends in .png for one image, otherwise a folder.
        request: The method, its settings, the suite and the seed.
        ui: Progress and warnings.
        images: Images of each sound.

    Raises:
        UserError: Not one file can be used (a line for each), or wrong use.
    """
    _check(files, images)
    targets = _targets(files, output, images)
    written: list[Path] = []

    def keep(sound: int, number: int, image: np.ndarray) -> None:
        save_png(targets[sound][number], image)
        written.append(targets[sound][number])

    run = plan_run(request, ui)
    waves, refused = read_sounds(files, run)
    if not waves:
        raise UserError(refused)
    draw(run, fit_at_hand(run), waves, files, range(images), keep)
    return Imagined(written, refused)


def imagine_images(files: Sequence[Path], request: RunRequest, ui: UI, images: int = 1) -> list[list[Image.Image]]:
    """Turn sounds into images with a method; return them, `images` for each sound.

    Raises:
        UserError: A line for every file that cannot be used, before anything is made; or wrong use.
    """
    _check(files, images)
    made: dict[tuple[int, int], Image.Image] = {}

    def keep(sound: int, number: int, image: np.ndarray) -> None:
        made[sound, number] = Image.fromarray(image)

    run = plan_run(request, ui)
    waves, refused = read_sounds(files, run)
    if refused:
        raise UserError(refused)
    draw(run, fit_at_hand(run), waves, files, range(images), keep)
    return [[made[sound, number] for number in range(images)] for sound in range(len(files))]


def _check(files: Sequence[Path], images: int) -> None:
    if not files:
        raise UserError("no sound was given: name one or more files")
    if images < 1:
        raise UserError(f"--images {images}: give at least 1")


def plan_run(request: RunRequest, ui: UI) -> Run:
    """Plan the run. Raises UserError for a method that needs more than a sound."""
    run = Run.of(request, ui)
    method = run.plan.method
    hidden = [sight for sight in method.card.sees if sight not in ("audio", "label list")]
    if hidden:
        raise UserError(
            f"method {run.plan.name!r} needs the {' and the '.join(hidden)} of a clip, not its sound: try audiotoken"
        )
    return run


def read_sounds(files: Sequence[Path], run: Run) -> tuple[dict[int, np.ndarray], list[str]]:
    """Return the waveforms of the usable files by their places, and a line for each of the others."""
    data = run.plan.suite.data
    waves: dict[int, np.ndarray] = {}
    refused: list[str] = []
    for place, file in enumerate(files):
        try:
            waves[place], remark = read_audio(Path(file), data.rate, seconds=data.seconds)
        except UserError as error:
            refused += error.problems
            continue
        if remark:
            run.ui.warn(f"{file} {remark}")
        elif is_silent(waves[place]):
            run.ui.warn(f"{file} is silent (all samples zero): its picture shows what the method makes of nothing")
    return waves, refused


@prescribed
def draw(
    run: Run,
    fitted: Path | None,
    waves: Mapping[int, np.ndarray],
    files: Sequence[Path],
    numbers: Sequence[int],
    keep: Callable[[int, int, np.ndarray], None],
) -> tuple[Method, ClipSet]:
    """Call `keep(place of the file, number, image)` with every image as soon as it is made.

    Args:
        run: The run.
        fitted: Folder of the method's fit; None for a method without.
        waves: Sounds by the place of their file.
        files: The files, whose names the images' noise follows.
        numbers: Which images of each sound, counted from 0.
        keep: Takes an image (height, width, 3).

    Returns:
        The method, ready to be asked more, and the sounds as the clips that it was given.
    """
    plan, places = run.plan, list(waves)
    labels = run.labels
    clips = tuple(Clip(f"input-{k:05d}", wave, None, labels[:1], "test") for k, wave in enumerate(waves.values()))
    chosen = ClipSet("your sounds", clips, labels)
    method = run.make(chosen, fitted=fitted)
    if method.fits:
        with calling(plan.method, "load()"):
            method.load()
    generation = plan.suite.generation
    with run.ui.task("imagining", len(chosen) * len(numbers), "pictures") as advance:
        for start in range(0, len(chosen), generation.batch_size):
            some = chosen[start : start + generation.batch_size]
            here = places[start : start + generation.batch_size]
            for number in numbers:
                # the seed follows the file's name, not its place in the list
                names = [Path(files[place]).name for place in here]
                seeds = [image_seed(generation.seed, plan.request.seed, name, number) for name in names]
                for place, image in zip(here, make_images(method, some, seeds), strict=True):
                    keep(place, number, image)
                advance(len(some))
    return method, chosen
