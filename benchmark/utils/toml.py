"""Reading of TOML files that people edit: each problem is one line with the file, the line number and the value."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from benchmark.utils.errors import UserError
from benchmark.utils.files import read_ordinary

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[str | int, ...]


def read_toml(path: Path, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: The file.
        parse_float: Converts the text of a float, such as `decimal.Decimal`.

    Raises:
        UserError: The file cannot be read, is not UTF-8, or is not TOML. The message names the file and the line.
    """
    try:
        data = read_ordinary(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return tomllib.loads(data.decode("utf-8"), parse_float=parse_float)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not UTF-8 (byte {data[error.start]:#04x}): save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
        found = re.match(r"line (\d+)", place)
        number = int(found[1]) if found else data.count(b"\n") + 1
        lines = data.decode("utf-8").splitlines()
        shown = lines[number - 1].strip() if number <= len(lines) else "the end of the file"
        raise UserError(f"{path}:{number}: not TOML: {message}: {shown[:80]}") from error


def validated(model: type[Model], values: Mapping[str, Any], path: Path) -> Model:
    """Return `values`, read from `path`, as a `model`.

    Raises:
        UserError: Values do not fit: a line for each of them, with the file, the line number and the value.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = _lines(path)
        problems = []
        for one in error.errors():
            place = one["loc"]
            at = next((f":{lines[place[:end]]}" for end in range(len(place), 0, -1) if place[:end] in lines), "")
            message = one["msg"].removeprefix("Value error, ")
            value = "" if one["type"] in ("missing", "value_error") else f", not {one['input']!r}"
            problems.append(f"{path}{at}: {'.'.join(map(str, place)) or 'the file'}: {message}{value}")
        raise UserError(problems) from error


def _lines(path: Path) -> dict[Place, int]:
    """Return the line on which each table and key begins, by its place as pydantic names it."""
    found: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if header := re.match(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]", line):
            table = ()
            *outer, last = (part.strip().strip("\"'") for part in header[2].split("."))
            for part in outer:
                table = (*table, part)
                if table in counts:
                    table = (*table, counts[table] - 1)
            table = (*table, last)
            if header[1] == "[[":
                counts[table] = counts.get(table, 0) + 1
                table = (*table, counts[table] - 1)
            found.setdefault(table, number)
        elif key := re.match(r"\s*([\w.\"'?@:<>+-]+)\s*=", line):
            place = (*table, *(part.strip("\"'") for part in key[1].split(".")))
            found.setdefault(place, number)
            # A quoted key that contains dots is one name.
            found.setdefault((*table, key[1].strip("\"'")), number)
    return found
