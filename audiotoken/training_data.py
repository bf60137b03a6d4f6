"""Training data of an embedder, computed by frozen networks: features and latents, stored or streamed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.dataset import Sample, StreamPlace
from benchmark.utils import distributed
from benchmark.utils.precision import sent

if TYPE_CHECKING:
    from audiotoken.features import Features, Sense
    from audiotoken.latents import LatentStore
    from benchmark import Backbone, ClipSet


class Batch(NamedTuple):
    """This process's share of a step's clips."""

    features: Tensor
    """(b, T, width) features, on the device."""
    latent_mean: Tensor
    """(b, 4, h, w) mean of the frames' latents: on the CPU, or on the device where they are of half precision."""
    latent_deviation: Tensor
    """(b, 4, h, w) standard deviation of the frames' latents, beside the mean."""
    label_embeddings: Tensor | None
    """(b, D) embeddings of the labels, for the classification loss (CL); None without it."""
    positions: list[int]
    """Positions of the b clips in the training set."""
    prompts: Tensor | None = None
    """(b, L, D) encoded prompts that the tokens follow, instead of standing in the suite's; None for the suite's."""


class TrainingData(ABC):
    """Training batches by step."""

    width: int
    """Width of the features."""
    device: str
    """Device of the features."""
    label_embeddings: Tensor | None = None
    """(clips, D) embeddings of the clips' labels, for the classification loss (CL); None without it."""

    @abstractmethod
    def batch(self, step: int, count: int) -> Batch:
        """Return this process's share of a step's clips, which depend on the step alone.

        Args:
            step: Number of the step, from 0.
            count: Clips of the step, over all processes.
        """

    def labels(self, positions: list[int]) -> Tensor | None:
        """Return label embeddings of the clips at `positions`, or None."""
        return None if self.label_embeddings is None else self.label_embeddings[positions]


class Stored(TrainingData):
    """Training data that were computed once.

    Args:
        features: Features of the clips by position.
        latent_mean: (n, 4, h, w) mean of the frames' latents.
        latent_deviation: (n, 4, h, w) standard deviation of the frames' latents.
        seed: Seed of the clips' order.
    """

    def __init__(self, features: Features, latent_mean: Tensor, latent_deviation: Tensor, seed: int) -> None:
        self.features, self.latent_mean, self.latent_deviation = features, latent_mean, latent_deviation
        self.seed, self.width, self.device = seed, features.width, features.device

    def batch(self, step: int, count: int) -> Batch:
        """Return this process's share of the step's clips, from the stored features and latents."""
        positions = list(distributed.mine(batch_positions(len(self.latent_mean), count, step, self.seed)))
        return Batch(
            self.features(positions),
            self.latent_mean[positions],
            self.latent_deviation[positions],
            self.labels(positions),
            positions,
        )


class Passes(NamedTuple):
    """How training clips go through the frozen networks."""

    together: int | None = None
    """Clips per pass; None for all of a step."""
    dtype: torch.dtype = torch.float32
    """Precision of the autoencoder, and of the source of features under autocast; in a lower one than float32, latents
    are rounded to half precision and stay on the device."""
    store: LatentStore | None = None
    """Store of such latents."""


class Streamed(TrainingData):
    """Windows of audio and frames from prepared shards, encoded when they are used.

    Every epoch has other windows, so features are not stored. Latents are, where there is a store. The clips of the
    next step are read and decoded while those of the current one are used.

    Args:
        sense: Source of the features.
        backbone: Backbone whose VAE encodes the frames.
        clips: The training clips.
        stream: Function that opens the endless stream of examples at a place.
        seed: Seed of order and windows.
        passes: How clips go through the networks; by default all of a step at once, in single precision.
    """

    def __init__(
        self,
        sense: Sense,
        backbone: Backbone,
        clips: ClipSet,
        stream: Callable[[StreamPlace], Iterator[Sample]],
        seed: int,
        passes: Passes | None = None,
    ) -> None:
        self.sense, self.backbone, self.stream, self.seed = sense, backbone, stream, seed
        self.passes = passes or Passes()
        self.device = sense.device
        self.width = sense(clips[:1]).shape[-1]
        self._reader = ThreadPoolExecutor(1, "reader")
        self._writer = ThreadPoolExecutor(1, "writer")
        self._written: Future[None] | None = None
        self._stream: Iterator[Sample] = iter(())
        self._coming: tuple[int, Future[list[Sample]]] | None = None

    def batch(self, step: int, count: int) -> Batch:
        """Return this process's share of the step's clips, read from the stream and encoded."""
        share = count // distributed.world()
        if self._coming is None or self._coming[0] != step:
            self._stream = self._from(step * share)
            self._coming = step, self._read(share)
        samples = self._coming[1].result()
        self._coming = step + 1, self._read(share)
        together = self.passes.together or len(samples)
        pieces = [samples[start : start + together] for start in range(0, len(samples), together)]
        narrow = self.passes.dtype is not torch.float32
        with torch.autocast(torch.device(self.device).type, self.passes.dtype, enabled=narrow):
            features = torch.cat([self.sense.of_samples(piece) for piece in pieces])
        # Clones, because autograd refuses tensors created in inference mode.
        features = features.clone()
        mean, deviation = self._kept(samples) if narrow else self._encoded(samples)
        positions = [sample.position for sample in samples]
        return Batch(features, mean.clone(), deviation.clone(), self.labels(positions), positions)

    def close(self) -> None:
        """Wait until what is being written is written, and end the threads."""
        self._reader.shutdown(cancel_futures=True)
        self._writer.shutdown()
        if self._written is not None:
            self._written.result()

    def _encoded(self, samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
        frames = np.stack([_frame(sample) for sample in samples])
        return self.backbone.encode_pictures(frames, self.passes.dtype, self.passes.together)

    def _kept(self, samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
        """Return latents on the device, those that are in the store from there; the others are put into it."""
        store = self.passes.store
        found = [None if store is None else store.get(sample.position) for sample in samples]
        missing = [place for place, latents in enumerate(found) if latents is None]
        rows: list[Tensor | None] = list(found)
        if missing:
            made = torch.stack(self._encoded([samples[place] for place in missing]), 1).half()
            if store is not None:
                self._keep(store, [samples[place].position for place in missing], made)
            for place, latents in zip(missing, made, strict=True):
                rows[place] = latents
        there = [row for row in rows if row is not None]
        if missing:
            both = torch.stack([row.to(self.device) for row in there]).float()
        else:
            both = sent(torch.stack(there), self.device).float()
        return both[:, 0], both[:, 1]

    def _keep(self, store: LatentStore, positions: Sequence[int], made: Tensor) -> None:
        """Write latents to the store behind the training's back; a failure of a former writing is raised here."""
        if self._written is not None:
            self._written.result()
        self._written = self._writer.submit(_write, store, positions, made, _event(made))

    def _read(self, count: int) -> Future[list[Sample]]:
        stream = self._stream
        return self._reader.submit(lambda: list(islice(stream, count)))

    def _from(self, position: int) -> Iterator[Sample]:
        return self.stream(StreamPlace(self.seed, position, distributed.rank(), distributed.world()))


def _event(made: Tensor) -> torch.cuda.Event | None:
    """Return a mark behind the work that makes a tensor; None where there is no CUDA device."""
    return torch.cuda.current_stream(made.device).record_event() if made.is_cuda else None


def _write(store: LatentStore, positions: Sequence[int], made: Tensor, ready: torch.cuda.Event | None) -> None:
    """Copy rows from the device in a stream of its own, so that the training's work is not waited for."""
    if ready is None:
        rows = made.cpu()
    else:
        own = torch.cuda.Stream(made.device)
        with torch.cuda.stream(own):
            own.wait_event(ready)
            rows = made.cpu()
    for position, row in zip(positions, rows, strict=True):
        store.put(position, row)


def _frame(sample: Sample) -> np.ndarray:
    assert sample.frame is not None
    return sample.frame


def batch_positions(count: int, batch_size: int, step: int, seed: int) -> list[int]:
    """Return the positions of a step's clips.

    Each clip comes once per epoch, in an order that depends on the seed and the epoch alone.

    Args:
        count: Number of training clips.
        batch_size: Clips per step.
        step: Number of the step, from 0.
        seed: Seed of the order.
    """
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
