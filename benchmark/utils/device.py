"""Devices that networks run on: their names, the choice that "auto" makes, and peak memory."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import warnings
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


THREADS = "BENCH_THREADS"
"""Variable of the environment with a number of threads in place of a suite's."""


@contextlib.contextmanager
def arithmetic(threads: int | None = None) -> Iterator[None]:
    """Compute with a number of CPU threads, and in single precision where nothing else is said.

    A notebook may have called `torch.set_default_dtype` or `torch.set_num_threads`, which would change weights, images
    and scores. CUDA devices do not use TF32, which rounds single precision to 10 bits and by default is on in
    convolutions. The settings are put back at the end.

    Args:
        threads: The number of threads, before which `BENCH_THREADS` goes; None: as many as torch takes by itself.

    Raises:
        UserError: `BENCH_THREADS` is no number from 1 on.
    """
    import torch

    given = os.environ.get(THREADS)
    if given and not (given.isdecimal() and int(given) >= 1):
        raise UserError(f"{THREADS}={given!r}: give a number of threads from 1 on, or leave it out")
    before, of_all = torch.get_default_dtype(), torch.get_num_threads()
    tf32 = _set_tf32((False, False)) if torch.cuda.is_available() else None
    torch.set_default_dtype(torch.float32)
    if threads is not None:
        torch.set_num_threads(int(given or threads))
    try:
        yield
    finally:
        torch.set_default_dtype(before)
        torch.set_num_threads(of_all)
        if tf32 is not None:
            _set_tf32(tf32)


def _set_tf32(allowed: tuple[bool, bool]) -> tuple[bool, bool]:
    """Set whether matrix products and convolutions may use TF32; return what was set before."""
    import torch

    with warnings.catch_warnings():
        # Newer versions of torch announce other names, which older ones do not know.
        warnings.simplefilter("ignore")
        before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = allowed
    return before


def peak_memory(device: str) -> int:
    """Return the peak memory use so far, in bytes: that of the accelerator, or of this process on a CPU."""
    if device_type(device) == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    import resource

    kilobytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes
