"""Precision of frozen networks on a CUDA device: parameters are cast once, and not again by every pass.

`torch.autocast` casts a frozen parameter whenever it is used, as it remembers only casts of parameters that are
trained. Casting a network's own parameters once is faster and frees memory; their values in single precision wait in
the host's memory, from which every later precision is cast, so that the order of casts changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from benchmark.utils.device import device_type

Precision = Literal["float32", "bfloat16", "float16"]

PRODUCTS = (nn.Linear, nn.Conv1d, nn.Conv2d)
"""Modules whose parameters autocast casts; it leaves those of normalisations and tables as they are."""
BFLOAT16_SINCE = (8, 0)
"""Compute capability of the first CUDA devices that compute in bfloat16; older ones only imitate it."""

_MASTER = "_single_precision"


def casts(device: str) -> bool:
    """Return whether networks on `device` are cast once; elsewhere narrow precisions are autocast's affair."""
    return device_type(device) == "cuda"


def fast_precision(device: str) -> Precision:
    """Return the precision that a device computes in at its full rate: bfloat16 where a CUDA device has it, or float16.

    bfloat16 goes first because gradients need no scaling in it. Other devices get float32.
    """
    if device_type(device) != "cuda":
        return "float32"
    return "bfloat16" if torch.cuda.get_device_capability(device) >= BFLOAT16_SINCE else "float16"


def hold(module: nn.Module, dtype: torch.dtype, kinds: tuple[type[nn.Module], ...] = (nn.Module,)) -> None:
    """Bring the frozen parameters of a network to a precision, in place. Trained parameters stay as they are.

    Equal calls after the first one cost nothing but a look at each parameter.

    Args:
        module: The network, whose parameters were loaded in single precision.
        dtype: The precision.
        kinds: Kinds of modules whose own parameters are brought to it; those of all others are brought to float32.
    """
    # Parameters made in inference mode could not take part in a later backward pass.
    with torch.inference_mode(False), torch.no_grad():
        for parameter, wanted in _wanted(module, dtype, kinds):
            if parameter.dtype is wanted:
                continue
            master: Tensor | None = getattr(parameter, _MASTER, None)
            if master is None:
                master = parameter.data.cpu()
            source = parameter.data if parameter.dtype is torch.float32 else master
            # Single-precision values may be changed by others, so the next cast starts from what they are then.
            setattr(parameter, _MASTER, None if wanted is torch.float32 else master)
            parameter.data = source.to(parameter.device, wanted)


def sent(values: Tensor, device: str) -> Tensor:
    """Return `values` on a device; a CUDA device copies them when it comes to it, and nobody waits."""
    if values.is_cuda or device_type(device) != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


class Fetched:
    """Values on their way from a device, which nobody waits for until they are read.

    Args:
        values: A tensor. What is given to the device after it does not delay them.
    """

    def __init__(self, values: Tensor) -> None:
        # Without an event to wait for, as on other devices than CUDA's, the copy has to be done before it is read.
        self._values = values.detach().to("cpu", non_blocking=values.is_cuda)
        self._there = torch.cuda.current_stream(values.device).record_event() if values.is_cuda else None

    def read(self) -> list[float]:
        """Return the values, once the device has come so far."""
        if self._there is not None:
            self._there.synchronize()
        return [float(value) for value in self._values]


def _wanted(
    module: nn.Module, dtype: torch.dtype, kinds: tuple[type[nn.Module], ...]
) -> Iterator[tuple[nn.Parameter, torch.dtype]]:
    for part in module.modules():
        own = dtype if isinstance(part, kinds) else torch.float32
        for parameter in part.parameters(recurse=False):
            if parameter.is_floating_point() and not parameter.requires_grad:
                yield parameter, own
