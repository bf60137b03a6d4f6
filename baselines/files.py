"""Reading of files of named tensors into networks that exist."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from audiotoken.checkpoint import read_tensors
from benchmark.utils.errors import UserError


@torch.no_grad()
def load_exactly(path: Path, wanted: Mapping[str, Tensor]) -> None:
    """Copy a file's tensors into tensors of the same names, all of which it must hold and no others.

    Args:
        path: A file in safetensors format or one that PyTorch wrote, such as a released one.
        wanted: The tensors to fill, such as a network's `state_dict`.

    Raises:
        UserError: The file cannot be read, or tensors are missing, unexpected, wrongly shaped or not finite; the error
            lists them all.
    """
    stored = read_tensors(path)
    problems = [f"{name} is missing" for name in wanted if name not in stored]
    problems += [f"{name} is unexpected" for name in stored if name not in wanted]
    for name, value in wanted.items():
        given = stored.get(name)
        if given is None:
            continue
        if given.shape != value.shape:
            problems.append(f"{name} has shape {tuple(given.shape)}, expected {tuple(value.shape)}")
        elif not bool(given.isfinite().all()):
            problems.append(f"{name} holds values that are not finite")
    if problems:
        raise UserError([f"{path} does not fit the suite's networks: {problem}" for problem in problems])
    for name, value in wanted.items():
        value.copy_(stored[name])
