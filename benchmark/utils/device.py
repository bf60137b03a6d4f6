"""Devices that networks run on: their names, the choice that "auto" makes, and peak memory."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator

from benchmark.utils.distributed import own_device
from benchmark.utils.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")


def check_device(name: str) -> None:
    """Check the form of a device's name, without importing torch.

    Raises:
        UserError: The name is neither one of `DEVICES` nor "cuda:N".
    """
    if name not in DEVICES and not re.fullmatch(r"cuda:\d+", name):
        raise UserError(f"--device {name!r}: choose one of {', '.join(DEVICES)}, cuda:N")


def find_device(name: str) -> str:
    """Return the device that `name` stands for on this machine: "cpu", "cuda", "cuda:1", "mps".

    "auto" is the first of cuda, mps and cpu that is available. Each of several processes gets its own accelerator.

    Raises:
        UserError: The device is not available.
    """
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return own_device(next(device for device in ("cuda", "mps", "cpu") if there[device]))
    kind, _, number = name.partition(":")
    if not there[kind] or (number and int(number) >= torch.cuda.device_count()):
        raise UserError(f"--device {name} is not available on this machine: leave the option out, or use cpu")
    return own_device(name)


def device_type(device: str) -> str:
    """Return the kind of a device, without its number: results may depend on the kind alone.

    Example:
        >>> device_type("cuda:1")
        'cuda'
    """
    return device.partition(":")[0]


@contextlib.contextmanager
def single_precision() -> Iterator[None]:
    """Build and run networks in single precision unless they say otherwise, as a context or a decorator.

    A notebook may have called `torch.set_default_dtype`, which would change every weight, and hence every image and
    score. Its setting is put back at the end.
    """
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def peak_memory(device: str) -> int:
    """Return the peak memory use so far, in bytes: that of the accelerator, or of this process on a CPU."""
    if device_type(device) == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    import resource

    kilobytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes
