"""The folder of a site: files are written only where they differ, and what the last site no longer has is removed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.utils.errors import UserError
from benchmark.utils.files import digest, read_json, replacing, write_atomic
from benchmark.utils.text import plain

MARKER = "report.json"
"""Names the files of a site, so that another one may replace it; a folder without it is somebody else's."""


def slug(name: str) -> str:
    """Return `name` as a file name that needs no quoting in an address; what had to be changed is told by a digest.

    >>> slug("sd-text"), slug("a b/<c>")
    ('sd-text', 'a-b-c-33b6b1d5')
    """
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:80]
    # Case alone tells no two files apart on some systems.
    return safe if safe == name and safe == safe.lower() else f"{safe.lower() or 'x'}-{digest(name)[:8]}"


def cleaned(value: Any) -> Any:
    """Return a JSON value whose texts, keys included, steer neither a terminal nor a page's direction of writing."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return {plain(str(key)): cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(item) for item in value]
    return value


class SiteFolder:
    """The folder while a site is made in it: used as a context, which ends with the removal of what is left over."""

    def __init__(self, path: Path) -> None:
        """Take a folder for a site.

        Raises:
            UserError: It holds files that are no site's.
        """
        self.path = path
        self.files: set[str] = set()
        self.written = 0
        self.facts: dict[str, Any] = {}
        try:
            there = path.is_dir() and any(path.iterdir())
            self.before: dict[str, Any] = read_json(path / MARKER) if (path / MARKER).is_file() else {}
        except (OSError, ValueError):
            there, self.before = True, {"files": []}
        if not isinstance(self.before, dict):
            self.before = {}
        if (there and not self.before) or (path.exists() and not path.is_dir()):
            raise UserError(f"{path} holds something else than a report: give an empty folder, or a new one, with -o")

    def __enter__(self) -> SiteFolder:
        # Noted before it is filled: what an interrupted attempt left is known as a site's.
        if not (self.path / MARKER).is_file():
            write_atomic(self.path / MARKER, json.dumps({"files": []}) + "\n", sync=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        known = self.before.get("files")
        for name in known if isinstance(known, list) else ():
            path = self.path / str(name)
            # The list could be edited: nothing outside the folder is removed.
            if name not in self.files and path.resolve().is_relative_to(self.path.resolve()):
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    path.parent.rmdir()
        facts = {**self.facts, "files": sorted(self.files)}
        write_atomic(self.path / MARKER, json.dumps(facts, indent=0) + "\n", sync=False)

    def write(self, name: str, data: str | bytes) -> None:
        """Write a file of the site, unless it holds `data` already."""
        self.files.add(name)
        path, new = self.path / name, data.encode() if isinstance(data, str) else data
        try:
            if path.stat().st_size == len(new) and path.read_bytes() == new:
                return
        except OSError:
            pass
        write_atomic(path, new, sync=False)
        self.written += 1

    def put(self, name: str, value: Any) -> None:
        """Write a value as a script that hands it to the page: `data/<name>.js`, as a page in a folder reads no JSON.

        Raises:
            ValueError: `value` contains NaN or an infinite number.
        """
        text = json.dumps(cleaned(value), separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
        self.write(f"data/{name}.js", f"put({json.dumps(name)},{text})\n")

    def former(self, name: str) -> Any:
        """Return the value that `put` wrote to the folder the last time; None if there is none."""
        try:
            text = (self.path / f"data/{name}.js").read_text(encoding="utf-8")
            return json.loads(text.removeprefix(f"put({json.dumps(name)},").removesuffix(")\n"))
        except (OSError, ValueError):
            return None

    def has(self, name: str) -> bool:
        """Whether a file of an earlier site is there; it then belongs to this one, too."""
        if not (self.path / name).is_file():
            return False
        self.files.add(name)
        return True

    def link(self, name: str, source: Path) -> None:
        """Put the file `source` into the site: by a second name of the same bytes where that works, else as a copy."""
        self.files.add(name)
        target = self.path / name
        ours = source.stat()
        with contextlib.suppress(OSError):
            theirs = target.stat()
            if (theirs.st_size, theirs.st_mtime_ns) == (ours.st_size, ours.st_mtime_ns):
                return
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not in the place of `replacing`'s file: without its lock another thread would take it for one left behind.
        second = target.with_name(f".{target.name}.{threading.get_ident()}.link")
        try:
            second.unlink(missing_ok=True)
            os.link(source, second)
            os.replace(second, target)
        except OSError:
            second.unlink(missing_ok=True)
            with replacing(target, sync=False) as temporary:
                shutil.copy2(source, temporary)
        self.written += 1
