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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from benchmark.records import human
from benchmark.records.images import SUFFIX, images_path
from benchmark.records.provenance import Provenance
from benchmark.records.record import RunRecord
from benchmark.utils import sealed
from benchmark.utils.collector import no_collection
from benchmark.utils.env import PACKAGE, needing_home
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.files import copy_ordinary, digest, read_json, read_ordinary, save_atomic, write_atomic

Where = str
"""Where a record is: "packaged", "runs", or among another group's, with who vouches for it."""

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)

MANY = 64
"""Number of files from which several threads read them."""


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
    """A folder of finished steps that one process works on at a time.

    The marker of a step (``steps/<step>.json``) holds a checksum of itself and of every file that the step made. While
    the step goes on, the checksums of what is finished are in ``steps/<step>.xxh3``, a line each.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._known: dict[str, tuple[object, str]] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @contextlib.contextmanager
    def lock(self, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
        """Hold the folder for this process, making it if need be; the system frees it when the process ends.

        If another process holds it: with `waiting`, that is called once with a line to show and the call blocks;
        without, RunError is raised. A folder in which this user may not write is not held: what is finished in it can
        be used, and `begin` and `resume` refuse.
        """
        from filelock import FileLock, Timeout

        self.read_only = False
        lock: FileLock | None = None
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
            if error.errno not in READ_ONLY or not self.path.is_dir():
                raise self._unwritable(error) from error
            self.read_only, lock = True, None
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    read_only = False
    """Whether the lock found that this user may not write here."""

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(f"cannot work in {self.path}: {error.strerror or error}; choose another place with --runs")

    def step_done(self, step: str, identity: str, reuse: Reuse = Reuse.MATCHING) -> bool:
        """Return whether `step` was finished with this `identity` and its output is what it was then."""
        state = self._state(step)
        return (
            reuse is Reuse.MATCHING
            and state.get("state") == "done"
            and state.get("identity") == identity
            and all((self.path / name).exists() for name in state.get("outputs", []))
            and not self.damaged(step)
        )

    def damaged(self, step: str) -> dict[str, str]:
        """Return what is wrong with the files of a finished step: a predicate by the file's name in this folder.

        Every file is read, but those that this object read before and whose size and times are the same. A step that
        was finished before there were checksums has none to compare with.
        """
        return self._damaged(self._state(step).get("sums") or {})

    def _damaged(self, sums: Mapping[str, str]) -> dict[str, str]:
        if len(sums) < MANY:
            found = list(map(self._why_damaged, sums, sums.values()))
        else:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor() as pool:
                found = list(pool.map(self._why_damaged, sums, sums.values()))
        return {name: why for name, why in zip(sums, found, strict=True) if why is not None}

    def _why_damaged(self, name: str, expected: str) -> str | None:
        path = self.path / name
        try:
            facts = path.stat()
        except OSError:
            return "is missing"
        state = facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
        if self._known.get(name) == (state, expected):
            return None
        why = sealed.why_damaged(path, expected)
        if why is None:
            self._known[name] = state, expected
        return why

    def damage(self, step: str, path: Path) -> str | None:
        """Return what is wrong with a file of a finished step, as a predicate; None for one that has no checksum."""
        expected = (self._state(step).get("sums") or {}).get(path.name)
        return None if expected is None else self._why_damaged(path.name, expected)

    def is_former(self, step: str) -> bool:
        """Whether a former version, which kept no checksums, began or finished the step."""
        state = self._state(step)
        return bool(state) and "checksum" not in state

    def marker_damage(self, step: str, made: Iterable[Path] = ()) -> dict[str, str]:
        """Return what is wrong with the marker of a step, as `damaged` does; nothing for one that nobody began.

        Args:
            step: The step.
            made: What only this step makes. Where some of it is there and the marker is not, somebody removed that.
        """
        path = self._step_path(step)
        if self._state(step):
            return {}
        name = path.relative_to(self.path).as_posix()
        if path.exists():
            return {name: "is not what was written"}
        return {name: "is missing"} if any(one.exists() for one in made) else {}

    def checksum(self, step: str) -> str | None:
        """Return one checksum of all files of a finished step; None for one that has no checksums."""
        sums = self._state(step).get("sums")
        return None if sums is None else digest(sums)[:32]

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
            state = {}
            self._journal(step).unlink(missing_ok=True)
        self._write_state(step, {"state": "begun", "identity": identity, "outputs": list(outputs), **_made_with(state)})
        return moved

    def note(self, step: str, made: Provenance, *, continues: bool = True) -> None:
        """Note what `step`, begun or done, is worked on with from now on, before the work.

        With `continues`, what was noted of earlier attempts stays: what a dirty tree began is not clean because a clean
        one ended it. Without, the step starts from nothing that an earlier attempt left.
        """
        earlier = self.made_with(step) if continues else ()
        if not any(one.model_copy(update={"date": made.date}) == made for one in earlier):
            noted = [one.model_dump(mode="json") for one in (*earlier, made)]
            self._write_state(step, {**self._state(step), "made_with": noted})

    def made_with(self, step: str) -> tuple[Provenance, ...]:
        """Return what was noted of `step`, the earliest first; nothing of a step of an older program."""
        try:
            return tuple(Provenance.model_validate(one) for one in self._state(step).get("made_with", ()))
        except (TypeError, ValueError):
            return ()

    def resume(self, step: str, identity: str, files: Iterable[Path] = ()) -> dict[str, str] | None:
        """Open a step of this `identity`, begun or finished, to be continued: what is whole is kept, the rest removed.

        Args:
            step: The step.
            identity: Its identity.
            files: What the step is to make. Those without a checksum, which nothing vouches for, are removed, too,
                unless a former version made them.

        Returns:
            What was wrong with each file that was removed or is gone, by its name in this folder; None, and nothing is
            done, if the step's identity is another one.
        """
        state = self._state(step)
        if state.get("identity") != identity:
            return None
        sums = self._noted(step) if state.get("state") == "begun" else dict(state.get("sums") or {})
        there = [path.relative_to(self.path).as_posix() for path in files if path.exists()]
        if self.is_former(step):
            sums = {name: sealed.checksum_of(self.path / name) for name in there}
        found = self._damaged(sums) | {name: "has no checksum" for name in there if name not in sums}
        try:
            for name in found:
                sums.pop(name, None)
                (self.path / name).unlink(missing_ok=True)
            write_atomic(self._journal(step), "".join(f"{value}  {name}\n" for name, value in sums.items()))
            begun = {"state": "begun", "identity": identity, "outputs": state.get("outputs", [])}
            self._write_state(step, {**begun, **_made_with(state)})
        except OSError as error:
            if error.errno in READ_ONLY and found:
                name, why = next(iter(found.items()))
                raise UserError(f"{self.path / name} {why}, and {self._unwritable(error)}") from error
            raise
        return found

    def note_files(self, step: str, files: Iterable[Path]) -> None:
        """Keep the checksums of files that a step, not finished yet, has made: only these are used by `resume`."""
        names = {path.relative_to(self.path).as_posix(): sealed.checksum_of(path) for path in files}
        with open(self._journal(step), "a", encoding="utf-8") as file:
            file.write("".join(f"{value}  {name}\n" for name, value in names.items()))

    def mark_done(
        self, step: str, identity: str, payload: Mapping[str, Any] | None = None, files: Iterable[Path] = ()
    ) -> None:
        """Note that `step` is finished with `identity`.

        Args:
            step: The step.
            identity: Its identity.
            payload: Plain JSON values, kept for `payload`.
            files: What it made, in this folder; their checksums are kept, those of `note_files` where there are any.
        """
        noted = self._noted(step)
        names = {path.relative_to(self.path).as_posix(): path for path in files}
        sums = {name: noted.get(name) or sealed.checksum_of(path) for name, path in sorted(names.items())}
        state = self._state(step)
        done = {"state": "done", "identity": identity, "outputs": state.get("outputs", [])}
        self._write_state(step, {**done, "payload": dict(payload or {}), "sums": sums, **_made_with(state)})
        self._journal(step).unlink(missing_ok=True)

    def state(self, step: str) -> Literal["done", "begun", "not begun"]:
        """How far `step` is."""
        return {"done": "done", "begun": "begun"}.get(str(self._state(step).get("state")), "not begun")  # type: ignore[return-value]

    def payload(self, step: str) -> dict[str, Any]:
        """Return the payload that `mark_done` was given for `step`; empty if the step is not done."""
        payload: dict[str, Any] = self._state(step).get("payload", {})
        return payload

    def _step_path(self, step: str) -> Path:
        return self.path / "steps" / f"{step}.json"

    def _journal(self, step: str) -> Path:
        return self.path / "steps" / f"{step}.xxh3"

    def _noted(self, step: str) -> dict[str, str]:
        try:
            lines = read_ordinary(self._journal(step)).decode("utf-8").split("\n")
        except (OSError, ValueError):
            return {}
        # A line that is not whole, as the last one of a killed process, vouches for nothing.
        return {line[34:]: line[:32] for line in lines[:-1] if re.match("[0-9a-f]{32}  .", line)}

    def _state(self, step: str) -> dict[str, Any]:
        # A marker that cannot be read, or is not what was written, vouches for nothing.
        try:
            state = read_json(self._step_path(step))
        except (OSError, ValueError):
            return {}
        if not isinstance(state, dict) or not isinstance(state.get("payload", {}), dict):
            return {}
        outputs = state.get("outputs", [])
        if not isinstance(outputs, list) or not all(isinstance(name, str) for name in outputs):
            return {}
        if "checksum" not in state and "sums" not in state:
            return state  # of a former version
        rest = {key: value for key, value in state.items() if key != "checksum"}
        return state if state.get("step") == step and state.get("checksum") == digest(rest)[:32] else {}

    def _write_state(self, step: str, state: Mapping[str, Any]) -> None:
        state = {"step": step, **{key: value for key, value in state.items() if key != "checksum"}}
        text = json.dumps({**state, "checksum": digest(state)[:32]}, indent=2, allow_nan=False, sort_keys=True)
        try:
            write_atomic(self._step_path(step), text + "\n")
        except OSError as error:
            if error.errno in READ_ONLY:
                raise self._unwritable(error) from error
            raise


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
        with needing_home("BENCH_RUNS or --runs"):
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
        found = _read_all((path for path in paths if ".old-" not in path.parent.name), "runs")
        damage = {one.path: RunFolder(one.path.parent).damage("score", one.path) for one in found.records}
        lines = [f"{path}: {why}: the same `bench run` makes it anew" for path, why in damage.items() if why]
        return Found([one for one in found.records if not damage[one.path]], [*found.problems, *lines])


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
    found = _read_all((path for path in paths if not path.name.endswith((SUFFIX, human.SUFFIX))), "packaged")
    renamed = {one.path: problem for one in found.records if (problem := _renamed(one))}
    return Found([one for one in found.records if one.path not in renamed], [*found.problems, *renamed.values()])


def _renamed(stored: StoredRecord) -> str | None:
    """What is wrong with the place of a committed record; None if it lies where `publish` would put it."""
    record, path = stored.record, stored.path
    folder = suite_folder(record.suite.name, record.suite.fingerprint)
    if path.parent.name not in (_safe(folder), _safe(record.suite.name)):
        return f"{path}: holds a record of suite {record.suite.name!r}: move it to {_safe(folder)}/"
    name = f"{_safe(record.method.name)}-{run_name(record.seed, record.limit)}"
    if re.fullmatch(re.escape(name) + "(-[0-9a-f]{8})?", path.stem):
        return None
    return (
        f"{path}: holds a run of method {record.method.name!r}, {seed_in_words(record.seed)}: "
        f"rename it to {name}{path.suffix}, or put the right record there"
    )


def seed_in_words(seed: int | None) -> str:
    """Return "seed 3", or "no seed" for a method without randomness."""
    return "no seed" if seed is None else f"seed {seed}"


def publish(run: RunFolder, results: Path, replace: bool = False) -> list[Path]:
    """Copy a run's record to ``results/<suite>/<method>-seed<k>.*``, with what lies beside it.

    That is the scores per clip, the images' hashes and what people thought of them.

    Returns the files written; none if the very same record is there already. Raises UserError, a line a problem,
    unless the record is complete, without a limit, and every step was made from a clean checkout; and if another
    record is in its place, unless `replace`. The commits of the steps may differ: the record states each.
    """
    record = run.record()
    damaged = run.damaged("generate") | run.damaged("score")
    problems = [f"{run.path / name} {why}: start the same `bench run` again" for name, why in damaged.items()]
    if record.status != "complete":
        problems.append(f"{run.path}: the run is {record.status}: start the same `bench run` again to complete it")
    if record.limit is not None:
        problems.append(f"{run.path}: only {record.limit} clips were used: run it again without --limit")
    problems += _not_from_commits(run.path, record)
    if problems:
        raise UserError(problems)

    name = run.path.name
    if not re.fullmatch(re.escape(run_name(record.seed)) + "(-[0-9a-f]{8})?", name):
        # A folder that somebody renamed: the settings tell the runs of one seed apart.
        name = run_name(record.seed, changed=record.method.settings)
    place = suite_folder(record.suite.name, record.suite.fingerprint)
    target = Path(results) / _safe(place) / f"{_safe(record.method.name)}-{name}.json"
    copies = [
        (run.record_path, target),
        (run.scores_path, target.with_suffix(".parquet")),
        (images_path(run.record_path), images_path(target)),
        (human.human_path(run.record_path), human.human_path(target)),
    ]
    copies = [(source, copy) for source, copy in copies if source.is_file()]
    changed = [(s, c) for s, c in copies if not c.is_file() or read_ordinary(c) != read_ordinary(s)]
    taken = [copy for _, copy in changed if copy.exists()]
    if taken and not replace:
        raise UserError(f"{taken[0]} holds another result: give --replace to put this one in its place")
    for source, copy in changed:
        save_atomic(copy, partial(copy_ordinary, source))
    return [copy for _, copy in changed]


def _not_from_commits(path: Path, record: RunRecord) -> list[str]:
    """A line if not every step was made from a clean checkout, about the worst of what is so."""
    again = "move this folder (for the fit: the fit's) away and run it again"
    unknown, outside, dirty = [], [], []
    for step, made in record.provenance.steps.items():
        if not made and (step != "fit" or record.cost.fit_steps is not None):
            unknown.append(step)
        outside += [step] if any(one.commit is None or one.dirty is None for one in made) else []
        dirty += [step] if any(one.dirty for one in made) else []
    if dirty:
        return [f"{path}: made from a tree with uncommitted changes ({', '.join(dirty)}): commit them, then {again}"]
    if outside:
        return [f"{path}: no commit says which code made this ({', '.join(outside)}): {again} from a git checkout"]
    if unknown:
        return [f"{path}: an older version made this, and noted no commit ({', '.join(unknown)}): {again}"]
    return []


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


def _made_with(state: Mapping[str, Any]) -> dict[str, Any]:
    return {"made_with": state["made_with"]} if "made_with" in state else {}


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


@no_collection()
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
    safe = re.sub(r"[^\w.+=-]", "_", name).lstrip(".")
    return safe if safe == name and name else f"{safe}-{digest(name)[:8]}"
