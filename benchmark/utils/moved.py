"""Old names of modules, which lead to the new ones for one version, with a warning."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

MOVED: dict[str, tuple[str, ...]] = {
    "benchmark.audio": ("benchmark.media.audio",),
    "benchmark.coverage": ("benchmark.data.present",),
    "benchmark.errors": ("benchmark.utils.errors",),
    "benchmark.files": ("benchmark.utils.files",),
    "benchmark.images": ("benchmark.media.images",),
    "benchmark.parallel": ("benchmark.utils.distributed",),
    "benchmark.record": ("benchmark.records.record",),
    "benchmark.registry": ("benchmark.utils.registry",),
    "benchmark.store": ("benchmark.records.store", "benchmark.utils.env"),
    "benchmark.text": ("benchmark.text_encoder",),
    "benchmark.tracking": ("benchmark.runs.tracking",),
    "benchmark.ui": ("benchmark.utils.progress",),
    "benchmark.validate": ("benchmark.method_tools.validate",),
}
"""Old name -> the modules that hold its contents now. Outside methods and notebooks import these."""


class _Moved(ModuleType):
    """A module that has moved: attributes are those of the new modules."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            for home in MOVED[self.__name__]:
                module = importlib.import_module(home)
                if hasattr(module, name):
                    return getattr(module, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        # Importing `benchmark.validate` puts this module in the place of the function `benchmark.validate`.
        return getattr(self, self.__name__.rpartition(".")[2])(*arguments, **options)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(fullname, self) if fullname in MOVED else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        homes = " and ".join(f"`{home}`" for home in MOVED[spec.name])
        warnings.warn(
            f"`{spec.name}` has moved to {homes}; the old name goes with the next version. Methods of your own import "
            "from `benchmark` itself.",
            FutureWarning,
            stacklevel=2,
        )
        return _Moved(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to execute: attributes are looked up when they are asked for."""


def install() -> None:
    """Let `import` find modules under their old names, after all names that exist."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
