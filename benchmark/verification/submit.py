"""`bench submit`: the runs of a group, with their evidence and their methods' source, into a bundle."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import tempfile
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmark.records.human import human_path
from benchmark.records.images import images_path
from benchmark.records.record import RunRecord, scores_path
from benchmark.records.store import suite_folder
from benchmark.utils.errors import UserError, listed
from benchmark.utils.files import copy_ordinary, read_json, replacing, sha256_of, write_atomic
from benchmark.verification.attestations import check_name
from benchmark.verification.bundle import MANIFEST, BundleManifest, MethodSource, add_to_zip
from benchmark.verification.rules import check_bundle


def write_bundle(runs: Sequence[Path], output: Path, *, by: str, images: bool = False) -> BundleManifest:
    """Write a bundle of runs (folders, or records in results), a zip where `output` ends in `.zip`.

    Args:
        runs: The runs.
        output: The bundle, which must not exist.
        by: Who submits it.
        images: Whether the images go with it, so that others can rescore them.

    Raises:
        UserError: A line for each thing that is missing, or for the first rule that the bundle would break.
    """
    check_name("--by", by)
    if output.exists():
        raise UserError(f"{output} exists: give another place, or remove it")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as scratch:
        root = Path(scratch) / "bundle"
        names, problems = [], []
        for path in runs:
            try:
                names.append(_copy_run(path, root, images))
            except UserError as error:
                problems += error.problems
        if problems:
            raise UserError(problems)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        manifest = BundleManifest(
            by=by,
            made=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            program=_version("audio2image-bench"),
            runs=names,
            files={path.relative_to(root).as_posix(): sha256_of(path) for path in files},
        )
        write_atomic(root / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
        for result in check_bundle(root):
            if result.problems:
                raise UserError([f"rule {result.rule}: {line}" for line in listed(result.problems)])
        if output.suffix == ".zip":
            with replacing(output) as temporary, zipfile.ZipFile(temporary, "w") as archive:
                for path in [root / MANIFEST, *files]:
                    add_to_zip(archive, path.relative_to(root).as_posix(), path.read_bytes())
        else:
            os.rename(root, output)
    return manifest


def _copy_run(path: Path, root: Path, images: bool) -> str:
    """Copy a run's files below `root`, and return its name there."""
    path = path / "record.json" if path.is_dir() else path
    record = RunRecord.load(path)
    place = suite_folder(record.suite.name, record.suite.fingerprint)
    run = path.parent.name if path.name == "record.json" else f"seed{record.seed}"
    name = start = re.sub(r"[^\w+-]", "_", f"{place}-{record.method.name}-{run}")[:100]
    number = 2
    while (root / "runs" / name).exists():
        name, number = f"{start}-{number}", number + 1
    target = root / "runs" / name
    problems = []
    for source, copy in (
        (path, target / "record.json"),
        (scores_path(path), target / "scores.parquet"),
        (images_path(path), target / "images.json"),
    ):
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy_ordinary(source, copy)
        else:
            problems.append(f"{path}: there is no {source.name} beside it: `bench score RUN` makes it")
    if human_path(path).is_file():
        copy_ordinary(human_path(path), target / "human.json")
    if images:
        folder = path.parent / "images"
        if path.name != "record.json" or not folder.is_dir():
            problems.append(f"{path}: its images are not beside it: name the folder of the run")
        else:
            (target / "images").mkdir(parents=True, exist_ok=True)
            for image in sorted(folder.glob("*.png")):
                copy_ordinary(image, target / "images" / image.name)
    if problems:
        raise UserError(problems)
    method = _method_source(record, path.parent, target)
    write_atomic(target / "method.json", method.model_dump_json(indent=2, exclude_none=True) + "\n")
    return name


def _method_source(record: RunRecord, folder: Path, target: Path) -> MethodSource:
    """Where the method's code is; a file is copied into the bundle."""
    name = record.method.name
    if "pictures" in record.method.settings:
        return MethodSource(name=name, kind="elsewhere")
    asked = _asked_method(folder)
    if ".py:" in asked:
        file, _, inside = asked.rpartition(":")
        path = Path(file)
        if not path.is_file():
            raise UserError(f"{folder}: the method's file {path} is gone: put it back, as it belongs to the bundle")
        (target / "method").mkdir(parents=True, exist_ok=True)
        copy = target / "method" / path.name
        copy_ordinary(path, copy)
        return MethodSource(name=name, kind="file", target=inside, file=path.name, sha256=sha256_of(copy))
    for point in importlib.metadata.entry_points(group="bench.methods"):
        if point.name == name and point.dist is not None:
            return MethodSource(
                name=name, kind="package", package=point.dist.name, version=point.dist.version, target=point.value
            )
    raise UserError(f"{folder}: no installed package announces the method {name!r}: install it, to name its version")


def _asked_method(folder: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        facts: Any = read_json(folder / "plan.json")
        if isinstance(facts, dict) and isinstance(facts.get("method"), str):
            return str(facts["method"])
    return ""


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
