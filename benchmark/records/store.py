"""Where runs live on disk: visible folders, system locks, finished steps that are reused only if they match.

<root>/<suite>/<method>/seed<k>[-limit<n>][-<8 hex of changed settings>]/
    record.json  scores.parquet  images.json  images/<clip id>.png  steps/<step>.json
<root>/<suite>/<fit>-<8 hex of the fit's identity>/
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from benchmark.records.images import SUFFIX, images_path
from benchmark.records.record import RunRecord, run_identity
from benchmark.utils.env import PACKAGE
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.files import digest, save_atomic, write_atomic

Where = str
"""Where a record is: "packaged", "runs", or among another group's, with who vouches for it."""


class Reuse(StrEnum):
    """When finished work is used again."""

    MATCHING = "matching"
    """If its identity is equal."""
    NEVER = "never"
    """Not at all: it is done again, and the older output is kept aside."""


@dataclass(frozen=True)
class StoredRecord:
    """A record, the file it was read from, and where that is."""

    record: RunRecord
    path: Path
    where: Where


class Found(NamedTuple):
    """Records that could be read, sorted by path, and one line for each file that could not."""

    records: list[StoredRecord]
    problems: list[str]


class Folder:
    """A folder of finished steps that one process works on at a time."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @contextlib.contextmanager
    def lock(self, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
        """Hold the folder for this process, making it if need be; the system frees it when the process ends.

        If another process holds it: with `waiting`, that is called once with a line to show and the call blocks;
        without, RunError is raised.
        """
        from filelock import FileLock, Timeout

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if waiting is None:
                    raise RunError(
                        f"another process is working in {self.path}: let it end or stop it, then start again"
                    ) from None
                waiting(f"waiting for another process that is working in {self.path}")
                lock.acquire()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise  # the same command continues once there is room
            raise UserError(
                f"cannot work in {self.path}: {error.strerror or error}; choose another place with --runs"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def step_done(self, step: str, identity: str, reuse: Reuse = Reuse.MATCHING) -> bool:
        """Return whether `step` was finished with this `identity` and its output still exists."""
        state = self._state(step)
        return (
            reuse is Reuse.MATCHING
            and state.get("state") == "done"
            and state.get("identity") == identity
            and all((self.path / name).exists() for name in state.get("outputs", []))
        )

    def begin(self, step: str, identity: str, outputs: Sequence[str] = ()) -> list[Path]:
        """Note that work on `step` starts; `outputs` are the names in this folder that it makes.

        What an interrupted attempt with the same identity left is kept, to be continued. Output of anything else
        (another identity, a finished attempt that is done again, files of unknown origin) is renamed to
        ``<name>.old-<k>``; the new paths are returned for the caller to mention.
        """
        state = self._state(step)
        moved = []
        if not (state.get("state") == "begun" and state.get("identity") == identity):
            moved = [aside for name in outputs if (aside := set_aside(self.path / name))]
        self._write_state(step, {"state": "begun", "identity": identity, "outputs": list(outputs)})
        return moved

    def mark_done(self, step: str, identity: str, payload: Mapping[str, Any] | None = None) -> None:
        """Note that `step` is finished with `identity`; `payload` (plain JSON values) is kept for `payload`."""
        outputs = self._state(step).get("outputs", [])
        self._write_state(
            step, {"state": "done", "identity": identity, "outputs": outputs, "payload": dict(payload or {})}
        )

    def state(self, step: str) -> Literal["done", "begun", "not begun"]:
        """How far `step` is."""
        return {"done": "done", "begun": "begun"}.get(str(self._state(step).get("state")), "not begun")  # type: ignore[return-value]

    def payload(self, step: str) -> dict[str, Any]:
        """Return the payload that `mark_done` was given for `step`; empty if the step is not done."""
        payload: dict[str, Any] = self._state(step).get("payload", {})
        return payload

    def _step_path(self, step: str) -> Path:
        return self.path / "steps" / f"{step}.json"

    def _state(self, step: str) -> dict[str, Any]:
        # A marker that cannot be read vouches for nothing.
        try:
            state = json.loads(self._step_path(step).read_bytes())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def _write_state(self, step: str, state: Mapping[str, Any]) -> None:
        write_atomic(
            self._step_path(step), json.dumps({"step": step, **state}, indent=2, allow_nan=False, sort_keys=True) + "\n"
        )


class RunFolder(Folder):
    """The folder of one run."""

    @property
    def record_path(self) -> Path:
        """The record's file."""
        return self.path / "record.json"

    @property
    def scores_path(self) -> Path:
        """The file of per-clip scores."""
        return self.path / "scores.parquet"

    @property
    def images(self) -> Path:
        """The folder of images."""
        return self.path / "images"

    def image_paths(self, clip_ids: Sequence[str], per_clip: int = 1) -> dict[tuple[str, int], Path]:
        """The file of every (clip id, image index): ``<id>.png``, and ``<id>_<k>.png`` for the images after the first.

        Raises UserError if an id cannot be the name of a file, or two images would share a file.
        """
        owners: dict[str, str] = {}
        paths: dict[tuple[str, int], Path] = {}
        for clip in clip_ids:
            if not clip or clip.startswith(".") or re.search(r'[\x00-\x1f/\\:*?"<>|]', clip):
                raise UserError(f'clip id {clip!r} cannot name a picture: no dot first, none of / \\ : * ? " < > |')
            for index in range(per_clip):
                name = f"{clip}_{index}.png" if index else f"{clip}.png"
                if name in owners:
                    raise UserError(f"clips {owners[name]!r} and {clip!r} would share the picture {name}: rename one")
                owners[name] = clip
                paths[clip, index] = self.images / name
        return paths

    def record(self) -> RunRecord:
        """The run's record. Raises UserError if there is none, or it cannot be read."""
        return RunRecord.load(self.record_path)


class Store:
    """The runs below `root`. Nothing is made on disk until a folder is locked or written to."""

    def __init__(self, root: Path | None = None) -> None:
        """`root` defaults to the environment's BENCH_RUNS, then to ``runs`` in the current folder."""
        self.root = Path(root or os.environ.get("BENCH_RUNS") or "runs").expanduser()

    def run(
        self,
        suite: str,
        method: str,
        seed: int | None,
        *,
        limit: int | None = None,
        changed: Mapping[str, Any] | None = None,
    ) -> RunFolder:
        """The folder of a run: `suite` is its `suite_folder`, `changed` the settings that differ from the defaults."""
        return RunFolder(self.root / _safe(suite) / _safe(method) / run_name(seed, limit, changed))

    def fit(self, suite: str, name: str, identity: str) -> Folder:
        """Return the folder of a fit, shared by all runs whose fit has this `identity` (a hex digest)."""
        return Folder(self.root / _safe(suite) / f"{_safe(name)}-{identity[:8]}")

    def suites(self) -> list[str]:
        """Return the names of the suite folders."""
        return sorted(path.name for path in self.root.iterdir() if path.is_dir()) if self.root.is_dir() else []

    def records(self, suite: str) -> Found:
        """Return every record of a suite's runs, finished or not; what was set aside is left out.

        `suite` is a name, which a derived suite may share with others of other clips, or a `suite_folder`.
        """
        paths = (path for folder in _folders(self.root, suite) for path in folder.glob("*/*/record.json"))
        return _read_all((path for path in paths if ".old-" not in path.parent.name), "runs")


def packaged_results() -> Path | None:
    """Return the folder of the committed records, one folder a suite: in the wheel, or `results/` of the checkout."""
    if (PACKAGE / "_results").is_dir():
        return PACKAGE / "_results"
    # Beside an installed package lie other people's folders: only a checkout has a project file there.
    if (PACKAGE.parent / "pyproject.toml").is_file() and (PACKAGE.parent / "results").is_dir():
        return PACKAGE.parent / "results"
    return None


def packaged_records(suite: str) -> Found:
    """Return the committed records of a suite; other files there (tables, published numbers) are ignored."""
    results = packaged_results()
    if results is None:
        return Found([], [])
    paths = (path for folder in _folders(results, suite) for path in folder.glob("*-seed*.json"))
    return _read_all((path for path in paths if not path.name.endswith(SUFFIX)), "packaged")


def publish(run: RunFolder, results: Path, replace: bool = False) -> list[Path]:
    """Copy a run's record to ``results/<suite>/<method>-seed<k>.*``, with the scores per clip and the images' hashes.

    Returns the files written; none if the very same record is there already. Raises UserError, a line a problem,
    unless the record is complete, without a limit, made from a clean checkout and unedited; and if another record is
    in its place, unless `replace`.
    """
    record = run.record()
    made = record.provenance
    problems = []
    if record.status != "complete":
        problems.append(f"{run.path}: the run is {record.status}: start the same `bench run` again to complete it")
    if record.limit is not None:
        problems.append(f"{run.path}: only {record.limit} clips were used: run it again without --limit")
    if made.commit is None or made.dirty is None:
        problems.append(f"{run.path}: no commit says which code made this: run it again from a git checkout")
    elif made.dirty:
        problems.append(f"{run.path}: made from a tree with uncommitted changes: commit them, then run it again")
    settings = record.method.settings
    if record.identity != run_identity(
        record.suite.fingerprint, record.method.name, settings, record.seed, record.limit
    ):
        problems.append(f"{run.record_path}: its identity is not that of its contents (edited by hand?): run it again")
    if problems:
        raise UserError(problems)

    name = run.path.name
    if not re.fullmatch(re.escape(run_name(record.seed)) + "(-[0-9a-f]{8})?", name):
        # A folder that somebody renamed: the settings tell the runs of one seed apart.
        name = run_name(record.seed, changed=settings)
    place = suite_folder(record.suite.name, record.suite.fingerprint)
    target = Path(results) / _safe(place) / f"{_safe(record.method.name)}-{name}.json"
    copies = [
        (run.record_path, target),
        (run.scores_path, target.with_suffix(".parquet")),
        (images_path(run.record_path), images_path(target)),
    ]
    copies = [(source, copy) for source, copy in copies if source.is_file()]
    changed = [(s, c) for s, c in copies if not c.is_file() or c.read_bytes() != s.read_bytes()]
    taken = [copy for _, copy in changed if copy.exists()]
    if taken and not replace:
        raise UserError(f"{taken[0]} holds another result: give --replace to put this one in its place")
    for source, copy in changed:
        save_atomic(copy, partial(shutil.copyfile, source))
    return [copy for _, copy in changed]


def suite_folder(name: str, fingerprint: str) -> str:
    """Name of the folder that holds a suite's runs.

    The name of a derived suite says little about its clips (`mini+manifest`), so the fingerprint belongs to its folder.

    >>> suite_folder("mini", "0123456789"), suite_folder("mini+manifest", "0123456789")
    ('mini', 'mini+manifest-01234567')
    """
    return f"{name}-{fingerprint[:8]}" if "+" in name else name


def _folders(root: Path, suite: str) -> list[Path]:
    """The folders of a suite below `root`, newer derived ones by fingerprint included."""
    name = re.escape(_safe(suite))
    own = f"{name}(-[0-9a-f]{{8}})?" if "+" in suite else name
    found = root.iterdir() if root.is_dir() else []
    return sorted(path for path in found if path.is_dir() and re.fullmatch(own, path.name))


def run_name(seed: int | None, limit: int | None = None, changed: Mapping[str, Any] | None = None) -> str:
    """Name of a run's folder.

    >>> run_name(0), run_name(None, limit=8)
    ('seed0', 'seedless-limit8')
    """
    name = "seedless" if seed is None else f"seed{seed}"
    if limit is not None:
        name += f"-limit{limit}"
    return f"{name}-{digest(dict(changed))[:8]}" if changed else name


def set_aside(path: Path) -> Path | None:
    """Rename a file or folder to the first free ``<name>.old-<k>`` and return that; None if there is nothing.

    An empty folder holds nothing and is left as it is.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return None
    number = 1
    while (aside := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    path.rename(aside)
    return aside


def _read_all(paths: Iterator[Path], where: Where) -> Found:
    found = Found([], [])
    for path in sorted(paths):
        try:
            found.records.append(StoredRecord(RunRecord.load(path), path, where))
        except UserError as error:
            found.problems.append(error.problems[0])
    return found


def _safe(name: str) -> str:
    """`name` as the name of one folder; what has to be changed for that is told apart by a digest."""
    safe = re.sub(r"[^\w.+-]", "_", name).lstrip(".")
    return safe if safe == name and name else f"{safe}-{digest(name)[:8]}"
