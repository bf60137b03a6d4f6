"""What is odd about the folder that BENCH_WEIGHTS names: a wrong one otherwise only shows as missing networks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from benchmark.weights import locate
from benchmark.weights.catalog import Network, networks

SUBFOLDERS = 200
"""Folders of BENCH_WEIGHTS that are looked into."""


def on_folder(wanted: Sequence[Network]) -> list[str]:
    """Return a line for each thing that is odd about BENCH_WEIGHTS, with the way out; none if it is not set.

    Args:
        wanted: Networks that should be in it.
    """
    if not os.environ.get("BENCH_WEIGHTS") or not wanted:
        return []
    root = locate.folder()
    if not root.exists():
        return [f"BENCH_WEIGHTS names {root}, which does not exist: correct it, or fetch the networks into it"]
    if not root.is_dir():
        return [f"BENCH_WEIGHTS names {root}, which is a file: name the folder that contains {_example(wanted[0])}"]
    remarks = [
        f"BENCH_WEIGHTS names {root}, which is the folder of {one.name} itself: set it to {root.parent}"
        for one in networks().values()
        if root.name == one.name or (len(one.files) > 1 and not locate.absent(one, root))
    ]
    folders = sorted(path for path in root.iterdir() if path.is_dir())[:SUBFOLDERS]
    if not remarks and not any(locate.located(one) for one in wanted):
        nested = [folder for folder in folders if any(not locate.absent(one, folder / one.name) for one in wanted)]
        remarks += [f"BENCH_WEIGHTS names {root}, and the networks lie in {one}: set it to {one}" for one in nested[:1]]
    remarks += [
        f"{folder} contains the files of {one.name} under another name, and no hash of them was published: rename it "
        f"to {root / one.name} if that is what it is"
        for one in wanted
        if len(one.files) > 1 and locate.absent(one, root / one.name) and locate.located(one) is None
        for folder in folders
        if not locate.absent(one, folder)
    ]
    if not remarks and not any(_in(root, one) for one in wanted):
        remarks.append(
            f"BENCH_WEIGHTS names {root}, which contains none of the networks: it should contain {_example(wanted[0])}"
        )
    return remarks


def _in(root: Path, one: Network) -> bool:
    """Whether some file of a network is in the folder, under its own name or recognised by its hash."""
    places = [place for place in locate.roots(one) if place.is_relative_to(root) or locate.linked(one, place)]
    return any(len(locate.absent(one, place)) < len(one.files) for place in places)


def _example(one: Network) -> str:
    return f"{one.name}/{one.files[0].name}"
