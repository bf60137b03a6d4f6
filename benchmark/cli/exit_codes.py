"""What the command line says of a failure: a line a problem, on stderr, and the exit code."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Container, Iterator
from typing import Any

import typer

from benchmark.utils.errors import BenchError
from benchmark.utils.files import SpecialFile
from benchmark.utils.text import visible

_ELSEWHERE = "choose another place (--runs, or BENCH_CACHE for the cache)"
_WAYS_OUT = {
    errno.EFBIG: "no file may grow that large here: raise the limit (`ulimit -f`)",
    errno.EROFS: _ELSEWHERE,
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "end programs that hold many files open",
    errno.ENAMETOOLONG: "choose a shorter name, or a place with a shorter path",
    errno.ENOTDIR: f"a file is where a folder should be: move it away, or {_ELSEWHERE}",
    errno.EEXIST: f"something else is in its place: move it away, or {_ELSEWHERE}",
    errno.EISDIR: f"a folder is where a file should be: move it away, or {_ELSEWHERE}",
    errno.EIO: f"the disk could not be read or written: copy what is there, and {_ELSEWHERE}",
    errno.ESTALE: "the network drive has gone: mount it again",
}
"""What helps against an error of the system, where it does not tell of a mistake in this program."""


def say(line: str) -> None:
    """A line of this command on stderr."""
    print(f"bench: {visible(line)}", file=sys.stderr, flush=True)


def explain(error: BaseException) -> int:  # noqa: PLR0911  # one return a kind of failure
    """Say in one line a problem what went wrong and what to do; the exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, typer.Abort) and isinstance(error.__cause__, EOFError):
        error = error.__cause__  # click takes it for Ctrl-D at a prompt, and nothing here asks anything
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        say("interrupted: what was finished is kept, and the same command continues from there")
        return 130
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has gone; nothing may be flushed there when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, BenchError):
        for line in str(error).splitlines():
            say(line)
        return error.exit_code
    if (full := full_disk(error)) is not None:
        say(f"no space left on the disk{full}: what was finished is kept; make room, and the same command continues")
        return 1
    if hasattr(error, "format_message"):
        say(_usage(error))
        return int(getattr(error, "exit_code", 2))
    if isinstance(error, PermissionError) and error.filename:
        say(f"{error.filename}: {error.strerror}: change its permissions, or {_ELSEWHERE}")
        return 1
    if isinstance(error, SpecialFile):
        say(f"{error.filename}: {error.strerror}: move it away; what was finished is kept")
        return 1
    # Libraries wrap what fails while they write; anything else deeper down is not what the user is to mend.
    failed = error if isinstance(error, OSError) else _caused_by(error, (errno.EFBIG,))
    if failed is not None and failed.errno in _WAYS_OUT:
        place = f"{failed.filename}: " if isinstance(failed.filename, str) else ""
        say(f"{place}{os.strerror(failed.errno)}: {_WAYS_OUT[failed.errno]}; what was finished is kept")
        return 1
    why = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    say(f"internal error: {why}; run again with --debug for the traceback")
    return 1


def _usage(error: Any) -> str:
    message = " ".join(error.format_message().split()).rstrip(".").replace(": Value error,", ":")
    if surplus := re.search(r"unexpected extra argument\S* \((true|false|yes|no|on|off|0|1)\)", message, re.IGNORECASE):
        message += f": an option that is on or off takes no value, leave out {surplus[1]!r}"
    found = getattr(error.__cause__, "errors", None)
    if found is not None and (value := repr(found()[0].get("input"))) not in message:
        message += f", not {value}"
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "bench"
    return f"{message[:1].lower()}{message[1:]}; `{path} --help` shows the usage"


def full_disk(error: BaseException) -> str | None:
    """Return `` (file)`` or an empty text if a full disk is behind the error, however deep; None otherwise."""
    if (found := _caused_by(error, (errno.ENOSPC, errno.EDQUOT))) is not None:
        return f" ({found.filename})" if found.filename else ""
    # Libraries that write through other languages have only the text.
    return "" if any("No space left on device" in str(link) for link in _chain(error)) else None


def _caused_by(error: BaseException, numbers: Container[int | None]) -> OSError | None:
    """The first error of the system with one of these numbers behind `error`, however deep."""
    return next((link for link in _chain(error) if isinstance(link, OSError) and link.errno in numbers), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """`error`, what caused it, and so on."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
