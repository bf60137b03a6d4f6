"""Whatever is stored is damaged, a file at a time: the same values come again, and a line says what was made anew."""

from __future__ import annotations

import os
import random
import shutil
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
from campaigns.commands import Sandbox, bench, few_clips
from campaigns.mutations import flip
from campaigns.report import Report

from benchmark.mini.data import WorldClips
from benchmark.records.store import Folder
from benchmark.utils.text import visible
from benchmark.weights import locate


def _cut(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: rng.randrange(1, max(2, path.stat().st_size))])


def _flipped(path: Path, rng: random.Random) -> None:
    path.write_bytes(flip(path.read_bytes() or b"\0", rng))


def _swapped(path: Path, rng: random.Random) -> None:
    """Another file of the same kind in its place."""
    data = path.read_bytes()
    others = [one for one in sorted(path.parent.glob(f"*{path.suffix}")) if one != path and one.read_bytes() != data]
    path.write_bytes(rng.choice(others).read_bytes() if others else bytes(len(data)))


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "a bit": _flipped,
    "cut": _cut,
    "emptied": lambda path, rng: path.write_bytes(b"") and None,
    "swapped": _swapped,
    "deleted": lambda path, rng: path.unlink(),
}


STATE = "training.pt"


def run(place: Path, report: Report) -> None:
    """Make `count` damages: of the arrays of the worlds and the memory of hashes, then of all that a run stores."""
    count, seed = report.asked, report.seed
    for kind, damage, number in _direct(place / "direct", seed):
        if report.total < count // 5:
            report.add(kind, *_outcome(damage, f"case {number}"))
    sandbox = Sandbox(place / "run", few_clips(place / "data"))
    bench("--version", place=sandbox.place, environment={})
    sandbox.run(verb="fit")
    state = {name: data for name, data in sandbox.files().items() if name.endswith(STATE)}  # a finished run has none
    first = sandbox.run()
    assert first.code == 0 and state, first.err
    files, expected = sandbox.files() | state, sandbox.result()
    for number, (name, how) in enumerate(_in_turn(files, random.Random(f"caches {seed}"))):
        if report.total >= count:
            break
        sandbox.restore(files)
        rng = random.Random(f"caches {seed} {number}")
        DAMAGES[how](sandbox.place / name, rng)
        _remove_what_hides(sandbox, kind_of(name))
        report.add(kind_of(name), *_judge(sandbox, expected, name, how, files[name]))


def kind_of(name: str) -> str:
    """What a stored file is, by its name: "cache: embeddings", "run: images", "fit: steps", ..."""
    parts = Path(name).parts
    if parts[0] == "cache":
        return f"cache: {parts[1]}"
    of = "fit" if parts[2].startswith("audiotoken-") else "run"
    inner = parts[3:] if of == "fit" else parts[4:]
    return f"{of}: {inner[0]}"


def _in_turn(files: dict[str, bytes], rng: random.Random) -> list[tuple[str, str]]:
    """Every (file, damage): each kind of file with each damage first, then the rest, for as long as is asked for."""
    pairs = [(name, how) for name in sorted(files) for how in DAMAGES]
    rng.shuffle(pairs)
    seen: dict[tuple[str, str], int] = {}
    rounds = []
    for name, how in pairs:
        seen[kind_of(name), how] = seen.get((kind_of(name), how), -1) + 1
        rounds.append((seen[kind_of(name), how], name, how))
    return [(name, how) for _, name, how in sorted(rounds, key=lambda one: one[0])]


def _remove_what_hides(sandbox: Sandbox, kind: str) -> None:
    """Nothing reads the embeddings of a scored run, or the features of a finished fit: what stands on them goes."""
    if kind == "cache: embeddings":
        (sandbox.folder / "steps" / "score.json").unlink()
    elif kind == "cache: features":
        shutil.rmtree(sandbox.fit)
        shutil.rmtree(sandbox.folder)
    elif kind == f"fit: {STATE}":
        (sandbox.fit / "steps" / "fit.json").unlink()
        shutil.rmtree(sandbox.folder)


def _judge(sandbox: Sandbox, expected: dict[str, object], name: str, how: str, stored: bytes) -> tuple[str, str]:
    """The outcome of a run after the file `name`, which was `stored`, was damaged in the way `how`."""
    detail = f"{name} {how}"
    last = sandbox.run()
    if last.code is None:
        return "hang", detail
    if any(visible(line) != line for line in last.lines) or "internal error" in last.err or "Traceback" in last.err:
        return "traceback", f"{detail}: {last.err[-500:]}"
    if last.code:
        return "stuck", f"{detail}: {last.err[-500:]}"
    if wrong := _wrong(sandbox, expected, name, stored):
        return wrong[0], f"{detail}: {wrong[1]}"
    if any(Path(name).name in line for line in last.lines):
        return "made anew", ""
    # What only saves work may go at any time, and is made as it was the first time. Nothing of a result may.
    spare = how == "deleted" and (name.startswith("cache/") or name.endswith(STATE))
    return ("made again", "") if spare else ("silent", f"{detail}: {last.err[-300:]}")


def _wrong(sandbox: Sandbox, expected: dict[str, object], name: str, stored: bytes) -> tuple[str, str] | None:
    """What is not as it was after a run that ended well: another result, or something stored that is not mended."""
    if (found := sandbox.result()) != expected:
        other = [one for one in {*found, *expected} if found.get(one) != expected.get(one)]
        return "changed", ", ".join(sorted(other))
    path = sandbox.place / name
    if not path.is_file() and path.name != STATE:  # which goes when the fit is used
        return "stuck", "it is not there again"
    if name.startswith("cache/") and path.read_bytes() != stored:
        return "stuck", "it is not what it was"
    steps = {sandbox.fit: ("fit",), sandbox.folder: ("plan", "generate", "score")}
    for folder, names in ((Folder(place), names) for place, names in steps.items()):
        if bad := [step for step in names if folder.state(step) != "done" or folder.damaged(step)]:
            return "stuck", f"not whole: {', '.join(bad)}"
    return None


def _outcome(damage: Callable[[], tuple[str, str]], detail: str) -> tuple[str, str]:
    try:
        outcome, why = damage()
        return outcome, f"{detail}: {why}"
    except Exception:
        return "traceback", f"{detail}: {traceback.format_exc(limit=-3)}"


def _direct(place: Path, seed: int) -> Iterator[tuple[str, Callable[[], tuple[str, str]], int]]:
    """Stored things that no run of a manifest reads: the worlds' clips, the memory of the hashes of weights."""
    for number, how in enumerate(DAMAGES):
        for kind in ("sounds", "pictures"):
            yield f"cache: world's {kind}", partial(_world, place / kind, kind, how, seed), number
        yield "cache: hashes", partial(_hashes, place / "hashes", how, seed), number


def _world(place: Path, kind: str, how: str, seed: int) -> tuple[str, str]:
    said: list[str] = []

    def read(split: str) -> np.ndarray:
        return np.array(getattr(WorldClips(split, 3, place, None, said.append), kind))

    first = {split: read(split) for split in ("train", "test")}
    (path,) = place.glob(f"world/{kind}-*/test-3.npy")
    DAMAGES[how](path, random.Random(f"world {seed} {how}"))
    if not np.array_equal(read("test"), first["test"]):
        return "changed", f"{path.name} {how}"
    if not path.is_file():
        return "stuck", f"{path.name} {how}: it is not there again"
    if how == "deleted":
        return ("silent", f"{said}") if said else ("made again", "")
    return ("made anew", "") if len(said) == 1 and path.name in said[0] else ("silent", f"{path.name} {how}: {said}")


def _hashes(place: Path, how: str, seed: int) -> tuple[str, str]:
    """What is remembered of a file's hash is made anew without a word: it is that of the file in any case."""
    with mock.patch.dict(os.environ, {"BENCH_CACHE": str(place / "cache")}):
        place.mkdir(exist_ok=True)
        for name in ("one", "other"):
            (place / name).write_text(name)
        expected = [locate.hash_of(place / name) for name in ("one", "other")]
        for path in sorted((place / "cache" / "hashes").iterdir())[:1]:
            DAMAGES[how](path, random.Random(f"hashes {seed} {how}"))
        found = [locate.hash_of(place / name) for name in ("one", "other")]
    return ("made anew", "") if found == expected else ("changed", f"hash of a file, its memory {how}")
