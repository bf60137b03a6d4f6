"""The processes that `accelerate launch` (or `torchrun`) starts: which one this is, and what they tell each other.

One process alone is the usual case: then nothing here imports or does anything. Several share a file system; the first
one writes what is written once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

# The others wait for what one does alone, listening to a whole training set for one.
PATIENCE = timedelta(days=7)


def world() -> int:
    """Number of processes."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def rank() -> int:
    """Number of this process, from 0."""
    return int(os.environ.get("RANK") or 0) if world() > 1 else 0


def is_first() -> bool:
    """Whether this is the process that writes and talks."""
    return rank() == 0


def own_device(device: str) -> str:
    """`device`, or for one of several processes on a machine with accelerators the one that is its own."""
    return f"{device}:{os.environ.get('LOCAL_RANK') or 0}" if world() > 1 and device == "cuda" else device


def mine(items: Sequence[T]) -> Sequence[T]:
    """This process's share: every `world()`-th item."""
    return items[rank() :: world()]


def agree(value: T) -> T:
    """The first process's `value`, in all of them."""
    if world() == 1:
        return value
    box = [value]
    _group().broadcast_object_list(box, src=0)
    return box[0]


def gather(items: Sequence[T]) -> list[T]:
    """What `mine` shared out, each process giving as many items as it was given, in the order of the whole."""
    if world() == 1:
        return list(items)
    parts: list[Any] = [None] * world()
    _group().all_gather_object(parts, list(items))
    whole: list[Any] = [None] * sum(map(len, parts))
    for place, part in enumerate(parts):
        whole[place :: world()] = part
    return whole


def collect(value: T) -> list[T]:
    """`value` of every process, in their order."""
    return gather([value])


def gather_rows(rows: Tensor) -> Tensor:
    """Rows (b, ...) of every process -> all of them, interleaved as `mine` shared them out.

    Every process gives as many. Gradients flow to this process's own rows only, so the gradients of what is computed
    from all rows are to be summed over the processes.
    """
    if world() == 1:
        return rows
    import torch

    parts = [torch.empty_like(rows) for _ in range(world())]
    _group().all_gather(parts, rows.detach().contiguous())
    parts[rank()] = rows
    return torch.stack(parts, 1).flatten(0, 1)


def sum_over_processes(tensors: Sequence[Tensor]) -> None:
    """Add up each of `tensors` (of one type, on one device) over the processes, in place."""
    if world() == 1 or not tensors:
        return
    import torch

    flat = torch.cat([tensor.flatten() for tensor in tensors])
    _group().all_reduce(flat)
    for tensor, summed in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(summed.view_as(tensor))


def wait() -> None:
    """Go on when all processes have come here."""
    if world() > 1:
        _group().barrier()


@lru_cache
def _group() -> Any:
    import torch
    from accelerate import PartialState

    gpu = torch.cuda.is_available()
    if not torch.distributed.is_initialized():
        # before accelerate, which would take NCCL alone: that carries no tensor of the CPU
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=PATIENCE)
    PartialState(cpu=not gpu)
    return torch.distributed
