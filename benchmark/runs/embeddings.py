"""Embeddings of ordered sets of images, sounds or texts, kept in the cache by the hashes of all they depend on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from benchmark.registries import JUDGES, SCORERS
from benchmark.utils import distributed, sealed
from benchmark.utils.ahead import Begin, ahead, begun_in
from benchmark.utils.device import arithmetic, device_type
from benchmark.utils.env import cache_dir
from benchmark.utils.errors import BenchError
from benchmark.utils.files import digest
from benchmark.utils.sources import code_hash
from benchmark.weights import locate
from metrics import network_sources
from metrics.definitions import INCEPTION

if TYPE_CHECKING:
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI
    from metrics.scorers.base import Scorer

T = TypeVar("T")

EMBEDDINGS_VERSION = 2
"""Raised with any change of how items are read or batched."""

BLOCK = 64
"""Items that are decoded, and whose embeddings are kept, together."""

MOST_THREADS = 16
"""Threads that decode and prepare items ahead of a CUDA device, at most."""

LIBRARIES = ("numpy", "open-clip-torch", "pillow", "scipy", "torch", "torch-fidelity", "torchvision", "transformers")
"""Packages whose version may change an embedding."""


class Job(NamedTuple):
    """What one scorer makes of each item."""

    scorer: str
    sha256: str
    embed: Callable[[Any, list[Any]], np.ndarray]
    """(scorer, items) -> rows."""
    batch: int
    """Items that the scorer gets at once."""
    prepare: Callable[[Any, Any], Any] = lambda scorer, item: item
    """(scorer, item) -> what `embed` takes for the item; in several threads at once, ahead of the device."""


@dataclass(eq=False)
class _Block:
    """Items that were read, and are being prepared for the scorers whose rows of them are not in the cache."""

    positions: range
    """Positions of all items of the block."""
    read: list[int] = field(default_factory=list)
    """Positions of those that could be read."""
    items: list[Any] = field(default_factory=list)
    """What was read."""
    failures: dict[int, str] = field(default_factory=dict)
    """Why each of the others could not be read."""
    keys: list[str] = field(default_factory=list)
    """Key of the rows of each job."""
    prepared: dict[str, list[Future[Any]]] = field(default_factory=dict)
    """What the scorer takes for each item, by the key of its rows."""


class Embedded(NamedTuple):
    """The rows of every job, for the items that could be read."""

    rows: dict[str, np.ndarray]
    """By the job's name: (items read, width)."""
    read: list[int]
    """Positions of the items that were read, in order."""
    failures: dict[int, str]
    """Why each of the others could not be read, by its position."""


def find_inception(suite: Suite) -> tuple[Path, str] | None:
    """Return the file of torch-fidelity's Inception-v3 and its sha256; None where it is not on this machine.

    It is looked for where `bench fetch` puts it and `bench doctor` looks for it.
    """
    one = locate.entry(suite, INCEPTION)
    root = locate.located(one)
    return None if root is None else (root / one.files[0].name, locate.hash_at(one, root))


@cache
def code_version(scorer: str) -> str:
    """Return the hash of the code behind a scorer: part of the key of every embedding.

    It covers the networks' source and preprocessing, the modules that set up the scorer (`SCORERS`), and the libraries.
    """
    judge = scorer.partition("/")[2]
    if scorer not in SCORERS and judge in JUDGES:
        return digest([JUDGES.code(judge), code_hash(network_sources(), (*LIBRARIES, "timm"))])
    setup = SCORERS.code(scorer) if scorer in SCORERS else ""
    return digest([setup, code_hash(network_sources(), LIBRARIES)])


@dataclass
class Embeddings:
    """Embeds sets in blocks, so that memory does not grow with what is decoded and an interrupted scoring continues.

    Several processes share the blocks. A scorer is loaded only where something of it is not in the cache. While a CUDA
    device embeds a block, threads prepare the next one and read the one after it.

    Args:
        suite: The suite, whose files are part of each key.
        device: Device of the scorers.
        ui: Progress and warnings.
        loaded: Scorers that are there already, by name.
        threads: Threads that read and prepare; 0 for none; None for as many as the device needs, none on a CPU, whose
            cores the networks keep busy.
    """

    suite: Suite
    device: str
    ui: UI
    loaded: dict[str, Any] = field(default_factory=dict)
    threads: int | None = None

    def scorer(self, name: str) -> Any:
        """Return a scorer of the suite, loaded once."""
        if name not in self.loaded:
            self.loaded[name] = self._load(name)
        return self.loaded[name]

    def _load(self, name: str) -> Scorer:
        if name == INCEPTION:
            from metrics.scorers.inception import InceptionScorer

            found = find_inception(self.suite)
            assert found is not None
            return InceptionScorer(*found, device=self.device)
        if name in JUDGES and f"{self.suite.base}/{name}" not in SCORERS:
            return JUDGES.get(name)(self.suite, self.device)
        return SCORERS.get(f"{self.suite.base}/{name}")(self.suite, self.device)

    def of(
        self,
        what: str,
        items: Sequence[T],
        load: Callable[[T], Any],
        content: Callable[[Any], str],
        jobs: Mapping[str, Job],
    ) -> Embedded:
        """Embed `items` with every job.

        Args:
            what: A plural for people: "images".
            items: What is embedded, in order.
            load: Decodes an item, once for all jobs. An item for which it raises a BenchError is left out.
            content: The hash of what was decoded.
            jobs: The scorers, by name.
        """
        found = []
        threads = self._threads() if self.threads is None else self.threads
        # Threads that are many need no threads of their own, which torch would start for each of them.
        alone = arithmetic(1) if threads else contextlib.nullcontext()
        with self.ui.task(f"scoring: {what}", len(items), what) as advance, alone, begun_in(threads) as begin:

            def read(position: int) -> tuple[Any, str]:
                item = load(items[position])
                return item, content(item)

            starts = distributed.mine(range(0, len(items), BLOCK))
            places = (range(start, min(start + BLOCK, len(items))) for start in starts)
            reading = ahead(((block, [begin(read, place) for place in block]) for block in places), bool(threads))
            preparing = (self._begun(block, futures, list(jobs.values()), begin) for block, futures in reading)
            for block in ahead(preparing, bool(threads)):
                keyed = zip(jobs.values(), block.keys, strict=bool(block.keys))
                rows = [self._rows(job, key, block) for job, key in keyed]
                found.append((block.read, block.failures, rows))
                advance(len(block.positions) * distributed.world())
        blocks = distributed.gather(found)
        filled = [rows for _, _, rows in blocks if rows]
        return Embedded(
            {name: np.concatenate([rows[place] for rows in filled]) for place, name in enumerate(jobs)}
            if filled
            else {},
            [position for read, _, _ in blocks for position in read],
            {position: why for _, failures, _ in blocks for position, why in failures.items()},
        )

    def key(self, job: Job, hashes: Sequence[str]) -> str:
        """Return the hash of all that the rows of a block depend on: `hashes` are those of its items."""
        return digest([*self._network(job.scorer, job.sha256), job.batch, device_type(self.device), list(hashes)])

    def _network(self, name: str, sha256: str) -> list[Any]:
        return [EMBEDDINGS_VERSION, code_version(f"{self.suite.base}/{name}"), sha256, self.suite.files]

    def _threads(self) -> int:
        if device_type(self.device) != "cuda":
            return 0
        return max(1, min(MOST_THREADS, (os.cpu_count() or 1) // distributed.world()))

    def _begun(self, positions: range, reading: Sequence[Future[Any]], jobs: Sequence[Job], begin: Begin) -> _Block:
        """Wait until the items of a block are read, and begin to prepare them for the scorers that need them."""
        block, hashes = _Block(positions), []
        for position, future in zip(positions, reading, strict=True):
            try:
                item, sha256 = future.result()
            except BenchError as error:
                block.failures[position] = " ".join(str(error).split())
            else:
                block.read.append(position)
                block.items.append(item)
                hashes.append(sha256)
        if block.items:
            block.keys = [self.key(job, hashes) for job in jobs]
        for job, key in zip(jobs, block.keys, strict=bool(block.keys)):
            if key not in block.prepared and not _path(key).exists():
                scorer = self.scorer(job.scorer)
                block.prepared[key] = [begin(job.prepare, scorer, item) for item in block.items]
        return block

    def _rows(self, job: Job, key: str, block: _Block) -> np.ndarray:
        def write(part: Path) -> None:
            scorer = self.scorer(job.scorer)
            if (begun := block.prepared.pop(key, None)) is None:  # the rows were there, and are damaged
                given = [job.prepare(scorer, item) for item in block.items]
            else:
                given = [future.result() for future in begun]
            rows = [job.embed(scorer, given[at : at + job.batch]) for at in range(0, len(given), job.batch)]
            with open(part, "wb") as file:
                np.save(file, np.concatenate(rows))

        return np.array(sealed.array(_path(key), key, write, self.ui.warn))

    def labels(self, name: str, sha256: str) -> list[str]:
        """Return the labels that a classifier tells apart."""
        key = digest(self._network(name, sha256))
        path = cache_dir() / "embeddings" / f"labels-{key[:40]}.npy"

        def write(part: Path) -> None:
            with open(part, "wb") as file:
                np.save(file, np.array(self.scorer(name).labels))

        labels: list[str] = sealed.array(path, ["labels", key], write, self.ui.warn).tolist()
        return labels


def _path(key: str) -> Path:
    return cache_dir() / "embeddings" / f"{key[:40]}.npy"
