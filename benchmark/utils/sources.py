"""The code behind a name: a Python file with the modules beside it that it imports, and hashes of both."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.machinery
import importlib.metadata
import inspect
import linecache
import marshal
import sysconfig
import types
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmark.utils.files import digest, read_ordinary, sha256_of

OWN = frozenset({"audiotoken", "baselines", "benchmark", "metrics"})
"""This project's packages: what else bears such a name beside a file is not what the file imports by it."""


def helpers_of(path: Path, *, texts: bool = True) -> list[Path]:
    """Return the modules beside a Python file that it imports, and that those import in turn, sorted.

    Imports inside functions count. Of a package all modules count. A file that is not Python has none, and neither has
    one where Python installs packages: what lies beside it there is known by its version.

    Args:
        path: The file.
        texts: Whether a text that names such a module or its file counts too, as `import_module` and `exec` take it.
    """
    found: set[Path] = set()
    unread = [] if str(path.parent) in sysconfig.get_paths().values() else [path]
    while unread:
        new = {one for one in _named_in(unread.pop(), path.parent, texts) if one != path} - found
        found |= new
        unread += [one for one in new if one.suffix == ".py"]
    return sorted(found)


def source_hash(path: Path) -> str:
    """Return the hash of a Python file and of `helpers_of` it: the file's own sha256 if there are none.

    Raises:
        OSError: A file cannot be read.
    """
    own, helpers = sha256_of(path), helpers_of(path)
    if not helpers:
        return own
    return digest([own, {one.relative_to(path.parent).as_posix(): sha256_of(one) for one in helpers}])


def class_hash(found: type) -> str:
    """Return the hash of the code of a class that is not found by a name: `source_hash` of its file.

    Of a class from a notebook: of the cells that define its methods and those of its bases in the notebook. Functions
    of other cells do not count.
    """
    try:
        return source_hash(Path(inspect.getfile(found)))
    except (OSError, TypeError):
        codes = [
            one.__code__
            for base in found.__mro__
            if base.__module__ == found.__module__
            for one in vars(base).values()
            if isinstance(one, types.FunctionType)
        ]
    texts = {name: "".join(linecache.getlines(name)) for name in {code.co_filename for code in codes}}
    if texts and all(texts.values()):
        return digest(sorted(texts.values()))
    return hashlib.sha256(b"".join(map(marshal.dumps, codes))).hexdigest()


def code_hash(files: Iterable[Path], libraries: Iterable[str] = ()) -> str:
    """Return the hash of source files, in their order, and of the versions of those libraries that are installed."""
    versions = {}
    for name in libraries:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return digest([[[path.name, sha256_of(path)] for path in files], versions])


def _named_in(path: Path, folder: Path, with_texts: bool) -> Iterator[Path]:
    """The modules in `folder` that a file imports, or whose names are among its texts."""
    try:
        with warnings.catch_warnings(action="ignore"):  # whoever imports it is warned
            tree = ast.parse(read_ordinary(path))
    except (SyntaxError, ValueError):
        return
    imported, texts = set[str](), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            imported.add(node.module.partition(".")[0])
        elif with_texts and isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.add(node.value.partition(".")[0])
    for name in (imported | {text for text in texts if text.isidentifier()}) - OWN:
        files = (folder / f"{name}{suffix}" for suffix in importlib.machinery.all_suffixes())
        yield from (one for one in files if one.is_file())
        # a text may be the name of any folder, of data for example
        if name in imported and (folder / name).is_dir():
            yield from (folder / name).rglob("*.py")
