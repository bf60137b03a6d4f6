"""Reading released checkpoints: tensors and plain values only, never unpickled, every number finite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor


def read_tensors(path: str | Path, what: str) -> Any:
    """Return the contents of a PyTorch file, on the CPU.

    Args:
        path: The file.
        what: What it should be, for messages: "a BEATs checkpoint".

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: It is damaged, or holds anything but tensors and plain values, which would have to be executed.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        # PyTorch's own text advises to load it all the same, which would run whatever the file holds.
        raise ValueError(
            f"{path} is not {what}: it is damaged, or holds more than tensors and plain values, which is never executed"
        ) from error
    except OSError as error:
        # Of opening it, and named; without a name, it is PyTorch's, of a place in the file that the file itself gave.
        if error.filename is not None:
            raise
        raise ValueError(f"{path} is not {what}: {one_line(error)}") from error
    except Exception as error:  # on damaged data PyTorch raises nearly anything: IndexError, TypeError, ...
        raise ValueError(f"{path} is not {what}: {one_line(error)}") from error


def check_finite(state: Mapping[str, Any], path: str | Path) -> None:
    """Raise ValueError, naming the parameters, where a tensor of `state` holds NaN or infinite values.

    Attention masks are left out: minus infinity is their business.
    """
    bad = [
        printable(name)
        for name, value in state.items()
        if isinstance(value, Tensor)
        and value.is_floating_point()
        and not str(name).endswith("mask")
        and not bool(torch.isfinite(value).all())
    ]
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise ValueError(f"{path} holds NaN or infinite values in {', '.join(bad[:3])}{more}: get the file again")


def one_line(error: BaseException) -> str:
    """Return an exception's text in one line, without PyTorch's advice to unpickle."""
    text = printable(error)
    return text.partition("weights_only")[0].rpartition(". ")[0] if "weights_only" in text else text


def printable(value: object) -> str:
    r"""Return the text of `value` in one line, what cannot be printed as escapes: a damaged file may hold any name.

    >>> printable("an\x1b[2J name\x00")
    'an\\x1b[2J name\\x00'
    """
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in " ".join(str(value).split()))
