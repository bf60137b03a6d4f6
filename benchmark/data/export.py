"""Export of a suite's clips as plain files, for generating images without this package."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.data.croissant import Exported, write_croissant
from benchmark.data.manifest import load_manifest
from benchmark.data.present import as_present
from benchmark.media.audio import write_wav
from benchmark.media.images import resize, save_png
from benchmark.registries import DATASETS
from benchmark.suite import load_suite
from benchmark.utils.env import cache_dir
from benchmark.utils.errors import UserError
from benchmark.utils.files import write_atomic

if TYPE_CHECKING:
    from benchmark.clips import ClipSet
    from benchmark.dataset import Split
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI


def export(
    output: Path,
    *,
    suite: str,
    split: Split,
    data: Path | None = None,
    limit: int | None = None,
    labels: bool = False,
    frames: bool = False,
    ui: UI,
) -> Path:
    """Write `<clip id>.wav` for every clip of a split, `manifest.csv`, and its description `croissant.json`.

    The sounds are those that methods and scorers get: mono, at the suite's rate and length, 16 bits. The manifest has
    the columns id, audio and split. The columns label and image are written on request only, so that methods that must
    not see labels or frames cannot. With both columns it is a manifest that `bench run --data` takes.

    Args:
        output: Folder to write to, new or empty.
        suite: Name of the suite.
        split: Split to export.
        data: Manifest to export instead of the suite's own clips.
        limit: Number of clips, counted as in a run; None for all.
        labels: Whether to write the column label.
        frames: Whether to write the column image and `frames/<clip id>.png`, at the resolution of the suite's backbone.
        ui: Progress and warnings.

    Returns:
        The path of `manifest.csv`.

    Raises:
        UserError: `output` exists and is not empty, or the data have no such split.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"-o {output} exists and is not empty: name another folder")
    protocol = load_suite(suite)
    clips = _clips(protocol, split, data, ui)
    if limit is not None:
        clips = clips.limit(limit)
    spec = protocol.backbone
    columns = ["id", "audio", *["image"] * frames, *["label"] * labels, "split"]
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    table.writeheader()
    with ui.task(f"writing the {split} clips", len(clips), "clips") as advance:
        for clip in clips:
            sound, picture = f"{clip.id}.wav", f"frames/{clip.id}.png"
            write_wav(output / sound, protocol.sound(clip), protocol.data.rate)
            if frames:
                save_png(output / picture, resize(clip.picture(), spec.resolution, spec.resize))
            table.writerow({"id": clip.id, "audio": sound, "image": picture, "label": clip.label, "split": split})
            advance(1)
    write_atomic(output / "manifest.csv", text.getvalue())  # last, so that its presence means a complete export
    what = Exported(
        suite=suite,
        version=protocol.version,
        split=split,
        source=protocol.data.source if data is None else None,
        clips=len(clips),
        rate=protocol.data.rate,
        seconds=protocol.data.seconds,
    )
    write_croissant(output, columns, what)
    return output / "manifest.csv"


def _clips(suite: Suite, split: Split, data: Path | None, ui: UI) -> ClipSet:
    if data is None:
        here = suite if split == "validation" else as_present(suite, split)
        if here is not suite:
            count, of = getattr(here.data, split), getattr(suite.data, split)
            ui.warn(
                f"{count:,} of {of:,} {split} clips are present: only those are written, and `bench run` uses the same"
            )
        return DATASETS.get(here.data.source).clips(here, split, cache_dir(), ui)
    clips: ClipSet | None = getattr(load_manifest(data), split)
    if clips is None:
        raise UserError(f"{data} has no row of split {split!r}: leave --data out for the clips of {suite.name!r}")
    return clips
