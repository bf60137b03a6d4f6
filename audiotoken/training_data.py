"""What an embedder is trained on, all of it frozen: features of sounds and latents of frames, kept or streamed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.dataset import Sample, StreamPlace
from benchmark.utils import distributed

if TYPE_CHECKING:
    from audiotoken.features import Features, Sense
    from benchmark import Backbone, ClipSet


class Batch(NamedTuple):
    """This process's share of a step's clips."""

    features: Tensor
    """(b, T, width), on the device."""
    latent_mean: Tensor
    """(b, 4, h, w), on the CPU, as is its standard deviation."""
    latent_deviation: Tensor
    label_embeddings: Tensor | None
    """(b, D), for the classification loss (CL)."""


class TrainingData(ABC):
    """Batches by step. `label_embeddings` (clips, D) are for the classification loss."""

    width: int
    """Of the features."""
    device: str
    label_embeddings: Tensor | None = None

    @abstractmethod
    def batch(self, step: int, count: int) -> Batch:
        """This process's share of the `count` clips of a step, which depend on the step alone."""

    def labels(self, positions: list[int]) -> Tensor | None:
        """Label embeddings of the clips at `positions`."""
        return None if self.label_embeddings is None else self.label_embeddings[positions]


class Stored(TrainingData):
    """What is frozen was computed once: features by position, latents (n, 4, h, w)."""

    def __init__(self, features: Features, latent_mean: Tensor, latent_deviation: Tensor, seed: int) -> None:
        self.features, self.latent_mean, self.latent_deviation = features, latent_mean, latent_deviation
        self.seed, self.width, self.device = seed, features.width, features.device

    def batch(self, step: int, count: int) -> Batch:
        positions = list(distributed.mine(batch_positions(len(self.latent_mean), count, step, self.seed)))
        return Batch(
            self.features(positions),
            self.latent_mean[positions],
            self.latent_deviation[positions],
            self.labels(positions),
        )


class Streamed(TrainingData):
    """Windows of sound and frames from prepared shards, which go through the frozen networks when they are met.

    Nothing but the shards lies on disk, and every epoch hears other windows. The next step's clips are read and
    decoded while this one's are used.
    """

    def __init__(
        self,
        sense: Sense,
        backbone: Backbone,
        clips: ClipSet,
        stream: Callable[[StreamPlace], Iterator[Sample]],
        seed: int,
    ) -> None:
        self.sense, self.backbone, self.stream, self.seed = sense, backbone, stream, seed
        self.device = sense.device
        self.width = sense(clips[:1]).shape[-1]
        self._reader = ThreadPoolExecutor(1, "reader")
        self._stream: Iterator[Sample] = iter(())
        self._coming: tuple[int, Future[list[Sample]]] | None = None

    def batch(self, step: int, count: int) -> Batch:
        share = count // distributed.world()
        if self._coming is None or self._coming[0] != step:
            self._stream = self._from(step * share)
            self._coming = step, self._read(share)
        samples = self._coming[1].result()
        self._coming = step + 1, self._read(share)
        # a clone, as what inference mode made cannot be differentiated through
        features = self.sense.of_samples(samples).clone()
        mean, deviation = self.backbone.encode_pictures(np.stack([_frame(sample) for sample in samples]))
        return Batch(features, mean.clone(), deviation.clone(), self.labels([sample.position for sample in samples]))

    def _read(self, count: int) -> Future[list[Sample]]:
        stream = self._stream
        return self._reader.submit(lambda: list(islice(stream, count)))

    def _from(self, position: int) -> Iterator[Sample]:
        return self.stream(StreamPlace(self.seed, position, distributed.rank(), distributed.world()))


def _frame(sample: Sample) -> np.ndarray:
    assert sample.frame is not None
    return sample.frame


def batch_positions(count: int, batch_size: int, step: int, seed: int) -> list[int]:
    """The clips of a step: every clip once an epoch, in an order that depends on the seed and the epoch alone."""
    positions = []
    for place in range(step * batch_size, (step + 1) * batch_size):
        epoch, offset = divmod(place, count)
        positions.append(int(_order(count, epoch, seed)[offset]))
    return positions


_orders: dict[tuple[int, int, int], Tensor] = {}


def _order(count: int, epoch: int, seed: int) -> Tensor:
    key = (count, epoch, seed)
    if key not in _orders:
        _orders.clear()
        _orders[key] = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
    return _orders[key]
