"""Lazy registry of named objects: methods, suites, metrics, scorers."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from benchmark.utils.errors import UserError, unknown
from benchmark.utils.files import digest, sha256_of
from benchmark.utils.sources import code_hash, helpers_of, source_hash

T = TypeVar("T")

DISTRIBUTION = "audio2image-bench"


@dataclass(frozen=True)
class _Entry:
    target: Any
    origin: str
    announced_by: str | None = None
    """Distribution of the entry point; None for a name bound by `register`."""


class Registry(Generic[T]):
    """Names of one kind of object, each bound to an object or to a `module:object` that is imported on first use.

    Args:
        kind: Word for the kind of object in messages, such as "method".
        entry_point_group: Group of entry points, such as `bench.methods`, whose names are listed too. The code of the
            packages that announce them is imported by `get` only.

    Example:
        >>> colours = Registry[str]("colour")
        >>> colours.register("separator", "os:sep", aliases=["sep"])
        >>> colours.names()
        ['separator']
        >>> import os; colours.get("sep") == os.sep
        True
    """

    def __init__(self, kind: str, entry_point_group: str | None = None) -> None:
        self.kind = kind
        self._group = entry_point_group
        self._entries: dict[str, _Entry] = {}
        self._aliases: dict[str, str] = {}
        self._loaded: dict[str, T] = {}
        self._refused: list[tuple[str, str, str]] = []
        self._ambiguous: dict[str, str] = {}
        self._scanned = False

    def register(self, name: str, target: T | str, aliases: Sequence[str] = ()) -> None:
        """Bind a name to an object.

        Args:
            name: The name that `names` lists.
            target: The object, or a text of the form "package.module:object".
            aliases: Further names, which `get` finds but `names` does not list.

        Raises:
            UserError: A name or an alias is taken or empty, or a text has another form.
        """
        if isinstance(target, str):
            module, _, attribute = target.partition(":")
            if not module or not attribute:
                raise UserError(f"{self.kind} {name!r}: target {target!r} is not of the form 'package.module:object'")
            origin = target
        else:
            origin = f"{getattr(target, '__module__', type(target).__module__)}:" + getattr(
                target, "__qualname__", type(target).__qualname__
            )
        self._add(name, _Entry(target, origin), aliases)

    def get(self, name: str) -> T:
        """Return the object bound to a name or to an alias; it is the same object every time.

        Raises:
            UserError: The name is unknown (the message gives the nearest known names), two packages announce it, or
                its target cannot be imported.
        """
        self._scan()
        name = self._aliases.get(name, name)
        if name not in self._entries:
            raise unknown(self.kind, name, self._entries)
        if name in self._ambiguous:
            raise UserError(
                f"{self.kind} name {name!r} is announced by {self._ambiguous[name]}: uninstall or rename one of them"
            )
        if name not in self._loaded:
            entry = self._entries[name]
            self._loaded[name] = self._resolve(name, entry) if isinstance(entry.target, str) else entry.target
        return self._loaded[name]

    def names(self) -> list[str]:
        """Return all names without the aliases, sorted. Imports none of the targets."""
        self._scan()
        return sorted(self._entries)

    def items(self) -> Iterator[tuple[str, T]]:
        """Iterate over the names with their objects, sorted by name; imports the targets one by one."""
        return ((name, self.get(name)) for name in self.names())

    def origin(self, name: str) -> str:
        """Return where `name` comes from: "module:object", with the distribution if an entry point announced it.

        Raises:
            UserError: The name is unknown.
        """
        self._scan()
        name = self._aliases.get(name, name)
        if name not in self._entries:
            raise unknown(self.kind, name, self._entries)
        return self._entries[name].origin

    def code(self, name: str) -> str:
        """Return the hash of where `name` comes from and of all modules beside that one. Imports none of them.

        Raises:
            UserError: The name is unknown.
        """
        origin = self.origin(name)
        try:
            spec = importlib.util.find_spec(origin.partition(":")[0])
        except (ImportError, ValueError):  # an object of a notebook, or of a module that is gone
            spec = None
        folder = None if spec is None or not spec.has_location else Path(str(spec.origin)).parent
        return digest([origin, code_hash(sorted(folder.glob("*.py")) if folder else [])])

    def __contains__(self, name: object) -> bool:
        self._scan()
        return name in self._entries or name in self._aliases

    def _add(self, name: str, entry: _Entry, aliases: Sequence[str] = ()) -> None:
        # All names are checked before one is bound, so that a refused registration changes nothing.
        for taken in [name, *aliases]:
            if not taken:
                raise UserError(f"a {self.kind} needs a name that is not empty ({entry.origin})")
            if taken in self._entries or taken in self._aliases:
                other = self._entries[self._aliases.get(taken, taken)].origin
                raise UserError(
                    f"{self.kind} name {taken!r} of {entry.origin} is taken by {other}: "
                    "rename one, or uninstall its package"
                )
        self._entries[name] = entry
        self._aliases.update(dict.fromkeys(aliases, name))

    def refused(self) -> list[tuple[str, str, str]]:
        """Return the entry points that were not registered, as (name, origin, reason): their name is taken."""
        self._scan()
        return list(self._refused)

    def _scan(self) -> None:
        if self._scanned or self._group is None:
            return
        for point in _entry_points(self._group):
            origin = _origin(point)
            known = self._entries.get(point.name)
            # A package may announce what it also registers itself.
            if known is not None and known.origin in (point.value, origin):
                continue
            try:
                self._add(point.name, _Entry(point.value, origin, point.dist.name if point.dist else "?"))
            except UserError as error:
                # A package must not make another one's name unusable.
                self._refused.append((point.name or "?", origin, error.problems[0]))
                if known is not None and known.announced_by not in (None, DISTRIBUTION):
                    # Neither of two packages that announce one name has a better claim to it.
                    self._ambiguous[point.name] = f"{known.origin} and {origin}"
        self._scanned = True

    def _resolve(self, name: str, entry: _Entry) -> T:
        module, _, path = entry.target.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in path.split("."):
                found = getattr(found, part)
        except BaseException as error:
            if type(error) is KeyboardInterrupt:
                raise
            raise UserError(f"{self.kind} {name!r} from {entry.origin} cannot be loaded: {_why(error)}") from error
        return cast(T, found)


def _entry_points(group: str) -> list[importlib.metadata.EntryPoint]:
    """Return the entry points of a group, this project's own first, so that no plug-in takes a name from it."""
    found = importlib.metadata.entry_points(group=group)
    return sorted(found, key=lambda point: point.dist is None or point.dist.name != DISTRIBUTION)


def _origin(point: importlib.metadata.EntryPoint) -> str:
    return f"{point.value} ({point.dist.name} {point.dist.version})" if point.dist else point.value


def _why(error: BaseException) -> str:
    """Return an exception, SystemExit included, in one line."""
    if isinstance(error, SystemExit):
        return f"it ends the program (SystemExit: {error.code})"
    text = f"{type(error).__name__}: {error}".strip().splitlines()
    return text[0].removesuffix(":").removesuffix(": ")


def load_file(target: str) -> Any:
    """Load the object that "path/to/file.py:Class" names from that file.

    The file's folder is appended to `sys.path`, so the file may import its neighbours. A file is executed once per
    process, and again when it or one of these neighbours was changed.

    Raises:
        UserError: The file is missing, fails or lacks the object, `target` has another form, or a neighbour has the
            name of one that another file of this process imports.
    """
    text, colon, attribute = target.rpartition(":")
    if not colon or not text.endswith(".py"):
        raise UserError(f"{target!r} does not name an object in a Python file: write it as path/to/file.py:Class")
    path = Path(text).expanduser()
    if not path.is_file():
        raise UserError(f"{target!r}: file {text!r} does not exist")
    path = path.resolve()
    module_name = f"bench_file_{path.stem}_{digest([str(path), source_hash(path)])[:8]}"
    module = sys.modules.get(module_name)
    if module is None:
        _import_afresh(text, path)
        spec = importlib.util.spec_from_file_location(module_name, path, loader=_FromSource(module_name, str(path)))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # Dataclasses and pydantic look up their module while the class is being created.
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[module_name]
            if type(error) is KeyboardInterrupt:
                raise
            raise UserError(f"{text!r} cannot be loaded: {_why(error)}") from error
    if not hasattr(module, attribute):
        own = [
            name for name, value in vars(module).items() if isinstance(value, type) and value.__module__ == module_name
        ]
        raise unknown(f"object in {text!r}", attribute, own)
    return getattr(module, attribute)


class _FromSource(importlib.machinery.SourceFileLoader):
    """Runs the file itself and never a compiled copy, which Python tells apart by size and seconds alone."""

    def path_stats(self, path: Any) -> Any:
        raise OSError


_hashes: dict[Path, str] = {}
"""sha256, at the time, of each module that a loaded file may have imported from beside it."""
_folders: dict[str, Path] = {}
"""Folder of each module that a loaded file imports from beside it, by name."""


def _import_afresh(text: str, path: Path) -> None:
    """Make the modules beside a file importable: as they are now, and no others of the same names."""
    folder = path.parent
    names = {one.relative_to(folder).parts[0].partition(".")[0] for one in helpers_of(path, texts=False)}
    for name in sorted(names):
        other = _folders.get(name, folder)
        if other != folder and (str(other) in sys.path or name in sys.modules):
            raise UserError(
                f"{text!r} imports {name!r} from beside it, and an earlier method of this process imported the one in "
                f"{other}: rename one of them, or use the methods in two processes"
            )
    now = {one: sha256_of(one) for one in helpers_of(path)}
    changed = {str(one) for one, sha256 in now.items() if _hashes.get(one, sha256) != sha256}
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) in changed:
            del sys.modules[name]
    for one in changed:
        Path(importlib.util.cache_from_source(one)).unlink(missing_ok=True)
    importlib.invalidate_caches()
    _hashes.update(now)
    _folders.update(dict.fromkeys(names, folder))
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
