"""Communication among the processes that `accelerate launch` (or `torchrun`) starts.

A single process is the usual case: then nothing here imports or does anything. Several processes share a file system,
and the first one writes the files that are written once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from benchmark.utils.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

# The others wait while one process works alone, for instance while it encodes the sounds of a whole training set.
PATIENCE = timedelta(days=7)


def world() -> int:
    """Return the number of processes.

    Raises:
        UserError: What the environment says is no such number.
    """
    return _number("WORLD_SIZE", 1)


def rank() -> int:
    """Return the number of this process, from 0."""
    if (count := world()) == 1:
        return 0
    if (own := _number("RANK", 0)) >= count:
        raise UserError(
            f"RANK={own} is no process of {count}: start them with `accelerate launch`, or unset WORLD_SIZE"
        )
    return own


def _number(name: str, least: int) -> int:
    given = os.environ.get(name) or str(least)
    # Not isdigit, which is true of characters that int() does not read.
    if not re.fullmatch("[0-9]{1,9}", given) or int(given) < least:
        raise UserError(
            f"{name}={given!r} is no whole number from {least}: unset it, or start with `accelerate launch`"
        )
    return int(given)


def is_first() -> bool:
    """Return whether this process is the first one, which writes files and reports progress."""
    return rank() == 0


def own_device(device: str) -> str:
    """Return `device`, or this process's own accelerator if it is "cuda" and there are several processes."""
    return f"{device}:{os.environ.get('LOCAL_RANK') or 0}" if world() > 1 and device == "cuda" else device


def mine(items: Sequence[T]) -> Sequence[T]:
    """Return this process's share of `items`: every `world()`-th one, from `rank()` on."""
    return items[rank() :: world()]


def agree(value: T) -> T:
    """Return the first process's `value` in every process."""
    if world() == 1:
        return value
    box = [value]
    _group().broadcast_object_list(box, src=0)
    return box[0]


def gather(items: Sequence[T]) -> list[T]:
    """Return the items of all processes in the order of the sequence that `mine` shared out.

    Each process gives as many items as its share had.
    """
    if world() == 1:
        return list(items)
    parts: list[Any] = [None] * world()
    _group().all_gather_object(parts, list(items))
    whole: list[Any] = [None] * sum(map(len, parts))
    for place, part in enumerate(parts):
        whole[place :: world()] = part
    return whole


def collect(value: T) -> list[T]:
    """Return the `value` of every process, in the order of the processes."""
    return gather([value])


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes, interleaved as `mine` shared them out.

    Gradients flow to this process's own rows only, so gradients of anything that is computed from all rows must be
    summed over the processes.

    Args:
        rows: This process's rows, of shape (b, ...); b is the same in every process.

    Returns:
        All rows, of shape (b * world(), ...).
    """
    if world() == 1:
        return rows
    import torch

    parts = [torch.empty_like(rows) for _ in range(world())]
    _group().all_gather(parts, rows.detach().contiguous())
    parts[rank()] = rows
    return torch.stack(parts, 1).flatten(0, 1)


def sum_over_processes(tensors: Sequence[Tensor]) -> None:
    """Sum each of `tensors` (of one dtype, on one device) over the processes, in place."""
    if world() == 1 or not tensors:
        return
    import torch

    flat = torch.cat([tensor.flatten() for tensor in tensors])
    _group().all_reduce(flat)
    for tensor, summed in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(summed.view_as(tensor))


def wait() -> None:
    """Wait until every process has arrived here."""
    if world() > 1:
        _group().barrier()


@lru_cache
def _group() -> Any:
    import torch
    from accelerate import PartialState

    gpu = torch.cuda.is_available()
    if not torch.distributed.is_initialized():
        # Before accelerate, which would choose NCCL alone: that cannot carry tensors of the CPU.
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=PATIENCE)
    PartialState(cpu=not gpu)
    return torch.distributed
