"""The process `bench`: it runs the command line, and ends at once when that is done."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys

from benchmark.cli import app


def main() -> int:
    """Run the command line of this process, and return the exit code.

    After that, Python waits for threads and calls what libraries have registered for the end, as always. What would
    come next is left out: to take all modules apart, and the libraries of CUDA with them, takes a second or two, and
    120 MB more than the work itself has taken.
    """
    _open_streams()
    code = 1

    def end() -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
                stream.flush()
        os._exit(code)

    atexit.register(end)  # what is registered first is called last
    code = app.main()
    return code


def _open_streams() -> None:
    """Open the null device in place of standard streams that whoever started the process has closed (`>&-`).

    The first file that is opened gets the lowest number: without this it would be that of the closed stream, and what
    libraries print would go into a result.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  # for as long as the process lives
