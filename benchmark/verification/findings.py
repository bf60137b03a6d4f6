"""What a check found: a line for each number, image or list that is not what it should be, and what was not checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

MISSING = object()


def plain(text: str) -> str:
    r"""Return `text` with what could steer a terminal written out.

    >>> plain("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shown(value: Any, most: int = 80) -> str:
    """Return a value in one short line."""
    if value is MISSING:
        return "missing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return plain(text if len(text) <= most else text[: most - 3] + "...")


@dataclass(frozen=True)
class Finding:
    """One thing that is not what it should be."""

    file: str
    """Name of the file."""
    where: str
    """Which number, row or entry of it; empty for the whole file."""
    message: str
    """What is wrong with it, as a predicate."""

    @property
    def line(self) -> str:
        """The finding in one line."""
        where = f"{self.file}: {self.where}" if self.where else self.file
        return plain(f"{where} {self.message}")


@dataclass
class Report:
    """What was found wrong with one run, and what could not be checked."""

    target: str
    """The record or folder that was checked."""
    findings: list[Finding] = field(default_factory=list)
    """Everything that is wrong, each thing once."""
    unchecked: list[str] = field(default_factory=list)
    """What could not be checked, and why, a line each."""
    rescored: bool = False
    """Whether the stored images were scored again."""
    exact: bool = False
    """Whether this machine is the record's, so that equal means equal to the bit."""

    _known: set[tuple[str, str]] = field(default_factory=set, repr=False)

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def add(self, file: str, where: str, message: str) -> None:
        """Note a finding, unless the same thing was found before."""
        if (file, where) not in self._known:
            self._known.add((file, where))
            self.findings.append(Finding(file, where, message))

    def compare(self, file: str, where: str, found: Any, expected: Any, source: str) -> None:
        """Note each leaf in which `found` differs from what `source` says it should be."""
        for place, ours, theirs in differences(found, expected, where):
            if ours is MISSING:
                self.add(file, place, f"is missing; {source} {shown(theirs)}")
            elif theirs is MISSING:
                self.add(file, place, f"is {shown(ours)}; {source} nothing")
            else:
                self.add(file, place, f"is {shown(ours)}; {source} {shown(theirs)}")

    @property
    def verdict(self) -> str:
        """The result in one line."""
        if self.findings:
            return f"{len(self.findings)} things differ"
        how = "equal to the bit" if self.exact else "equal within the tolerances"
        return f"holds: rescored, {how}" if self.rescored else "nothing contradicts itself; not rescored"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "target": self.target,
            "holds": self.holds,
            "rescored": self.rescored,
            "exact": self.exact,
            "findings": [{**asdict(one), "line": one.line} for one in self.findings],
            "unchecked": self.unchecked,
        }


def differences(found: Any, expected: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (place, found, expected) for each leaf of two JSON values that differs; MISSING on the side without it.

    >>> list(differences({"a": [1, 2]}, {"a": [1, 3]}))
    [('a.1', 2, 3)]
    """
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for key in dict.fromkeys([*expected, *found]):
            place = f"{where}.{key}" if where else str(key)
            yield from differences(found.get(key, MISSING), expected.get(key, MISSING), place)
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for number, pair in enumerate(zip(found, expected, strict=True)):
            yield from differences(*pair, f"{where}.{number}" if where else str(number))
    elif found != expected or not (type(found) is type(expected) or (_number(found) and _number(expected))):
        yield where, found, expected


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
