"""Errors that reach the user as plain lines, and helpers that word them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from benchmark.utils.text import visible


class BenchError(Exception):
    """Base class of errors that the command line prints as plain lines, without a traceback."""

    exit_code = 1


class UserError(BenchError):
    """Wrong use or bad input; the command line exits with code 2.

    Each problem is one line that names the bad value and says how to fix it. All problems are listed at once, so that
    they can be fixed together. What they quote of a file steers no terminal: control characters become escapes.

    Args:
        problems: One line, or a sequence of lines.

    Attributes:
        problems: The lines, as a list.
    """

    exit_code = 2

    def __init__(self, problems: str | Sequence[str]) -> None:
        lines = [problems] if isinstance(problems, str) else problems
        self.problems = [visible(line, lines=True) for line in lines]
        super().__init__("\n".join(self.problems))


class RunError(BenchError):
    """Failure of the work itself after it began (a full disk, a method that returned nonsense). Exit code 1."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Return the error for an unknown `name` of a `kind`, with the nearest known names.

    Example:
        >>> str(unknown("method", "audiotokn", ["audiotoken", "shuffled"]))
        "unknown method 'audiotokn': did you mean 'audiotoken'? (known: audiotoken, shuffled)"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(repr(n) for n in near)}? " if near else ""
    return UserError(f"unknown {kind} {name!r}: {hint}(known: {', '.join(names)})")


def listed(problems: Sequence[str], most: int = 10) -> list[str]:
    """Return the first `most` problems of one kind, and a line that counts the others.

    Example:
        >>> listed(["a is missing", "b is missing", "c is missing"], most=1)
        ['a is missing', '... and 2 more like it']
    """
    rest = len(problems) - most
    return [*problems[:most], f"... and {rest} more like it"] if rest > 0 else list(problems)


def one_line_of(error: BaseException) -> str:
    """Return the class and the message of an error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
