"""Calling a method's code: what goes wrong in it is named as the method's, with file and line."""

from __future__ import annotations

import contextlib
import errno
import sys
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmark.utils.errors import BenchError, RunError

if TYPE_CHECKING:
    from benchmark.method import Method


class MethodError(RunError):
    """A method's own code failed; the message names the method, the file and the line."""


@contextlib.contextmanager
def calling(method: type[Method], step: str) -> Iterator[None]:
    """Name whatever is raised in this block as a failure of `method` in `step`.

    Errors that are meant for the user, Ctrl-C, a full disk and a device without memory pass as they are. A `sys.exit`
    or an exception that is no Exception does not: a method cannot end the program.

    Raises:
        MethodError: The method failed.
    """
    try:
        yield
    except BaseException as error:
        if type(error) is KeyboardInterrupt or isinstance(error, BenchError) or _of_the_machine(error):
            raise
        raise MethodError(
            f"method {_name(method)!r} failed in {step}{_where(method, error)}: {_last_line(error)}"
        ) from error


def _of_the_machine(error: BaseException) -> bool:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _name(method: type[Method]) -> str:
    name: str = getattr(getattr(method, "card", None), "name", method.__name__)
    return name


def _where(method: type[Method], error: BaseException) -> str:
    """The innermost line that lies in the method's own file, else the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = getattr(sys.modules.get(method.__module__), "__file__", None)
    frame = next((frame for frame in reversed(frames) if frame.filename == own), frames[-1] if frames else None)
    return f" ({frame.filename}:{frame.lineno})" if frame else ""


def _last_line(error: BaseException) -> str:
    return " ".join("".join(traceback.format_exception_only(error)).split())
