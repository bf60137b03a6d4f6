"""A benchmark of audio-to-image generation: suites, methods, metrics, records and leaderboards.

    import benchmark as bench

    record = bench.run("audiotoken", limit=36)  # fit, generate, score
    board = bench.board("mini")                 # the packaged records and your own
    board.to_pandas()

Everything that outsiders use is imported from here: the functions above, `load_records`, `imagine`, `validate` and the
statistics; and for methods of your own `ConditioningMethod`, `MethodCard`, `Conditioning` and their kin. Names are
imported when they are first used, so `import benchmark` costs next to nothing. The command line is `bench`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.api import board as board
    from benchmark.api import imagine as imagine
    from benchmark.api import load_records as load_records
    from benchmark.api import run as run
    from benchmark.api import validate as validate
    from benchmark.backbone import Backbone as Backbone
    from benchmark.clips import Clip as Clip
    from benchmark.clips import ClipSet as ClipSet
    from benchmark.data.manifest import Manifest as Manifest
    from benchmark.data.manifest import load_manifest as load_manifest
    from benchmark.dataset import DataSet as DataSet
    from benchmark.dataset import DataState as DataState
    from benchmark.dataset import Sample as Sample
    from benchmark.dataset import StreamPlace as StreamPlace
    from benchmark.leaderboard.board import Board as Board
    from benchmark.method import Conditioning as Conditioning
    from benchmark.method import ConditioningMethod as ConditioningMethod
    from benchmark.method import FitReport as FitReport
    from benchmark.method import Method as Method
    from benchmark.method import MethodCard as MethodCard
    from benchmark.method import MethodSettings as MethodSettings
    from benchmark.method import RunContext as RunContext
    from benchmark.method_tools.validate import Check as Check
    from benchmark.records.record import MetricValue as MetricValue
    from benchmark.records.record import RunRecord as RunRecord
    from benchmark.runs.request import RunRequest as RunRequest
    from benchmark.suite import Suite as Suite
    from benchmark.suite import load_suite as load_suite
    from benchmark.suite import suite_names as suite_names
    from benchmark.text_encoder import encode_prompts as encode_prompts
    from benchmark.text_encoder import encode_with_token as encode_with_token
    from benchmark.text_encoder import label_embedding as label_embedding
    from benchmark.utils.errors import BenchError as BenchError
    from benchmark.utils.errors import RunError as RunError
    from benchmark.utils.errors import UserError as UserError
    from benchmark.utils.progress import UI as UI
    from benchmark.utils.progress import Console as Console
    from benchmark.utils.progress import Silent as Silent
    from metrics.statistics import bootstrap_interval as bootstrap_interval
    from metrics.statistics import paired_permutation_test as paired_permutation_test
    from metrics.statistics import welch_test as welch_test

    __version__: str

_HOMES = {
    "benchmark.api": ("board", "imagine", "load_records", "run", "validate"),
    "benchmark.backbone": ("Backbone",),
    "benchmark.clips": ("Clip", "ClipSet"),
    "benchmark.data.manifest": ("Manifest", "load_manifest"),
    "benchmark.dataset": ("DataSet", "DataState", "Sample", "StreamPlace"),
    "benchmark.leaderboard.board": ("Board",),
    "benchmark.method": (
        "Conditioning",
        "ConditioningMethod",
        "FitReport",
        "Method",
        "MethodCard",
        "MethodSettings",
        "RunContext",
    ),
    "benchmark.method_tools.validate": ("Check",),
    "benchmark.records.record": ("MetricValue", "RunRecord"),
    "benchmark.runs.request": ("RunRequest",),
    "benchmark.suite": ("Suite", "load_suite", "suite_names"),
    "benchmark.text_encoder": ("encode_prompts", "encode_with_token", "label_embedding"),
    "benchmark.utils.errors": ("BenchError", "RunError", "UserError"),
    "benchmark.utils.progress": ("Console", "Silent", "UI"),
    "metrics.statistics": ("bootstrap_interval", "paired_permutation_test", "welch_test"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [*sorted(_HOME_OF), "__version__"]  # noqa: PLE0604  # built from the table above


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("audio2image-bench")
        except PackageNotFoundError:
            return "0+unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


def _forward_moved_modules() -> None:
    from benchmark.utils.moved import install

    install()


_forward_moved_modules()
