"""Batches of one shape for a network, so that the row of an item does not depend on its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

TOLERANCE = 1e-4
"""Largest distance between a row on a CUDA device and the row of the same item alone there, over the latter's length.

cuDNN and cuBLAS choose another order of summation for another batch. The networks are in single precision without TF32,
so what is seen is far below; `benchmark.studies.gpu` measures it. Rows of equal batches are equal to the bit.
"""


def together(device: str, count: int) -> int:
    """Return how many items a network gets at once that gets a single one on a CPU: `count` on a CUDA device.

    The bits of a row on a CPU are those of published records, and one item keeps its cores busy; a CUDA device does not
    notice a single item.
    """
    return count if torch.device(device).type == "cuda" else 1


@torch.inference_mode()
def rows_of(network: Callable[[Tensor], Tensor], inputs: Sequence[Tensor], size: int, device: str) -> np.ndarray:
    """Return the rows that a network makes of inputs.

    Inputs of equal shape share a batch, in their order. An incomplete batch is filled up with its first input, so that
    every batch of a shape has the same arithmetic.

    Args:
        network: Map from a batch (size, ...) on `device` to rows (size, d).
        inputs: The n inputs, each without the dimension of the batch.
        size: Number of inputs of a batch.
        device: Device of the network.

    Returns:
        float32 (n, d), in the order of the inputs.
    """
    alike: dict[torch.Size, list[int]] = {}
    for place, one in enumerate(inputs):
        alike.setdefault(one.shape, []).append(place)
    rows: dict[int, Tensor] = {}
    for places in alike.values():
        for start in range(0, len(places), size):
            some = places[start : start + size]
            first = inputs[some[0]]
            # A single input keeps its memory format, with which its bits may change.
            filled = [*(inputs[place] for place in some), *[first] * (size - len(some))]
            batch = first[None] if size == 1 else torch.stack(filled)
            made = network(batch.to(device))[: len(some)].float().cpu()
            rows.update(zip(some, made, strict=True))
    return torch.stack([rows[place] for place in range(len(inputs))]).numpy() if rows else np.empty((0, 0), np.float32)
