"""Old names of modules, which lead to the new ones for one version, with a warning."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import warnings
from collections.abc import Sequence
from types import CodeType, ModuleType
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
    "baselines.gap": ("baselines.studies.modality_gap",),
    "baselines.judge": ("benchmark.studies.judges",),
    "benchmark.fullscale.operations": ("benchmark.studies.flops",),
    "benchmark.mini.ceiling": ("benchmark.studies.ceilings",),
    "benchmark.mini.gallery": ("benchmark.studies.gallery",),
    "benchmark.mini.profile": ("benchmark.studies.profile",),
}
"""Old name -> the modules that hold its contents now: what outside methods import, and `python -m` runs."""


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


class _Finder:
    # Finder and loader by their methods: importing their base classes takes a tenth of the help's time.
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in MOVED:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)  # type: ignore[arg-type]

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        _warn(spec.name, stacklevel=3)
        return _Moved(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to execute: attributes are looked up when they are asked for."""

    def get_code(self, fullname: str) -> CodeType:
        """Return what `python -m` runs under an old name: the module under its new one."""
        (home,) = MOVED[fullname]
        _warn(fullname, stacklevel=1)
        return compile(f"import runpy\nrunpy.run_module({home!r}, run_name='__main__', alter_sys=True)", home, "exec")


def _warn(name: str, stacklevel: int) -> None:
    homes = " and ".join(f"`{home}`" for home in MOVED[name])
    warnings.warn(
        f"`{name}` has moved to {homes}; the old name goes with the next version. Methods of your own import from "
        "`benchmark` itself.",
        FutureWarning,
        stacklevel=stacklevel,
    )


def install() -> None:
    """Let `import` find modules under their old names, after all names that exist."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
