"""Devices that networks run on: names, which one "auto" is, and how much memory was used."""

from __future__ import annotations

import re
import sys

from benchmark.utils.distributed import own_device
from benchmark.utils.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")


def check_device(name: str) -> None:
    """Raise UserError for a name that no device has; imports nothing."""
    if name not in DEVICES and not re.fullmatch(r"cuda:\d+", name):
        raise UserError(f"--device {name!r}: choose one of {', '.join(DEVICES)}, cuda:N")


def find_device(name: str) -> str:
    """Return the device that `name` stands for on this machine: "cpu", "cuda", "cuda:1", "mps".

    "auto" is the best one that is there. One of several processes gets an accelerator of its own.

    Raises:
        UserError: The device is not there.
    """
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return own_device(next(device for device in ("cuda", "mps", "cpu") if there[device]))
    kind, _, number = name.partition(":")
    if not there[kind] or (number and int(number) >= torch.cuda.device_count()):
        raise UserError(f"--device {name}: there is none on this machine; leave it out, or give cpu")
    return own_device(name)


def device_type(device: str) -> str:
    """Return the kind of a device: what results may depend on.

    >>> device_type("cuda:1")
    'cuda'
    """
    return device.partition(":")[0]


def peak_memory(device: str) -> int:
    """Return the highest memory use so far, in bytes: of the accelerator `device`, on a CPU of this process."""
    if device_type(device) == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    import resource

    kilobytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes
