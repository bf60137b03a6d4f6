"""Embeddings of ordered sets of images, sounds or texts, kept in the cache by the hashes of all they depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from benchmark.registries import JUDGES, SCORERS
from benchmark.utils import distributed, sealed
from benchmark.utils.device import device_type
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

EMBEDDINGS_VERSION = 1
"""Raised with any change of how items are read or batched."""

BLOCK = 64
"""Items that are decoded, and whose embeddings are kept, together."""

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

    Several processes share the blocks. A scorer is loaded only where something of it is not in the cache.
    """

    suite: Suite
    device: str
    ui: UI
    loaded: dict[str, Any] = field(default_factory=dict)

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
        with self.ui.task(f"scoring: {what}", len(items), what) as advance:
            for start in distributed.mine(range(0, len(items), BLOCK)):
                read, loaded, failures = [], [], {}
                stop = min(start + BLOCK, len(items))
                for position in range(start, stop):
                    try:
                        loaded.append(load(items[position]))
                        read.append(position)
                    except BenchError as error:
                        failures[position] = " ".join(str(error).split())
                hashes = [content(one) for one in loaded]
                rows = [self._block(job, loaded, hashes) for job in jobs.values()] if loaded else []
                found.append((read, failures, rows))
                advance((stop - start) * distributed.world())
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

    def _block(self, job: Job, items: list[Any], hashes: list[str]) -> np.ndarray:
        key = self.key(job, hashes)
        path = cache_dir() / "embeddings" / f"{key[:40]}.npy"

        def write(part: Path) -> None:
            scorer = self.scorer(job.scorer)
            rows = [job.embed(scorer, items[at : at + job.batch]) for at in range(0, len(items), job.batch)]
            with open(part, "wb") as file:
                np.save(file, np.concatenate(rows))

        return np.array(sealed.array(path, key, write, self.ui.warn))

    def labels(self, name: str, sha256: str) -> list[str]:
        """Return the labels that a classifier tells apart."""
        key = digest(self._network(name, sha256))
        path = cache_dir() / "embeddings" / f"labels-{key[:40]}.npy"

        def write(part: Path) -> None:
            with open(part, "wb") as file:
                np.save(file, np.array(self.scorer(name).labels))

        labels: list[str] = sealed.array(path, ["labels", key], write, self.ui.warn).tolist()
        return labels
