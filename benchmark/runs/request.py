"""What is asked for: the parameters of a run, as the command line, Python and plan.json give them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.utils.errors import UserError
from benchmark.utils.files import read_json, write_atomic

if TYPE_CHECKING:
    from benchmark.method import Method

FILE = "plan.json"
_KINDS = {"suite": str, "method": str, "seed": int, "limit": int | None, "settings": dict, "skip_bad": bool}


@dataclass(frozen=True)
class UsedClips:
    """The clips that an earlier run used, where its data set may hold others by now."""

    test: tuple[str, ...] | None = None
    """Ids of the test clips; None: all that the suite lists."""
    train: Mapping[str, Any] | None = None
    """The training clips of its fit as fields of `Suite.data`; None: nothing was fitted, or nobody noted it."""


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """The parameters of a run; `Plan.of` checks and resolves them.

    Example:
        >>> RunRequest(method="audiotoken", seed=1, settings={"steps": 100}).suite
        'mini'
    """

    method: str | type[Method]
    """Name of a method, `path/to/file.py:Class`, or the class itself."""
    suite: str = "mini"
    """Name of a suite."""
    data: Path | None = None
    """A manifest of the user's own clips; None for the suite's."""
    variation: str | None = None
    """Change of the test clips (`benchmark.runs.variations`), such as "snr=0"; None for the clips as they are."""
    seed: int = 0
    """Seed of the run, 0 to 2**32 - 1."""
    limit: int | None = None
    """Only the first so many test clips, in class-round-robin order; None for all."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Changed settings of the method: values, or texts as `--set` takes them."""
    device: str = "auto"
    """"auto", "cpu", "cuda", "cuda:N" or "mps"."""
    runs: Path | None = None
    """Folder of the runs; None for BENCH_RUNS, else ./runs."""
    skip_bad: bool = False
    """Leave out the manifest's bad rows instead of refusing it."""
    trackers: tuple[str, ...] = ()
    """Where a training shows its losses: "tensorboard", "wandb"."""
    samples_every: int | None = None
    """Training steps between images of the same few clips; None for no such images."""
    used: UsedClips | None = None
    """The clips of an earlier run, to score it again on those; None for the clips that are there now."""

    def save(self, folder: Path, method: str, settings: Mapping[str, Any], used: UsedClips, **more: Any) -> None:
        """Write plan.json to a run's folder, from which `load` makes the request again.

        Args:
            folder: The run's folder.
            method: How the method is found again: its name, or `file.py:Class` with an absolute path.
            settings: The changed settings, resolved: a file is named by its hash.
            used: The clips that the run uses.
            **more: Facts that stand beside the request.
        """
        facts: dict[str, Any] = {
            "suite": self.suite,
            "method": method,
            "data": None if self.data is None else str(Path(self.data).resolve()),
            "variation": self.variation,
            "seed": self.seed,
            "limit": self.limit,
            "settings": {key: as_text(value) for key, value in settings.items()},
            "skip_bad": self.skip_bad,
            "clips": None if used.test is None else list(used.test),
            **more,
            "fitted_on": used.train,
        }
        write_atomic(folder / FILE, json.dumps(facts, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> tuple[RunRequest, dict[str, Any]]:
        """Return the request that made the run in `folder`, and all that plan.json says.

        Raises:
            UserError: The folder is not that of a run.
        """
        try:
            facts = read_json(Path(folder) / FILE)
            asked = {name: facts[name] for name in ("suite", "method", "seed", "limit", "settings", "skip_bad")}
            if wrong := [name for name, kinds in _KINDS.items() if not isinstance(asked[name], kinds)]:
                raise ValueError(f"{wrong[0]} is {asked[wrong[0]]!r}")
            data = None if facts["data"] is None else Path(facts["data"])
            clips = facts.get("clips")
            used = UsedClips(None if clips is None else tuple(clips), facts.get("fitted_on"))
            _check(facts)
            runs = Path(folder).resolve().parents[2]
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f"{folder} is not a run: it has no readable {FILE}; name a folder of `bench run`, or one of pictures"
            ) from error
        # Older runs say nothing of a variation, and have none.
        request = cls(**asked, data=data, variation=facts.get("variation"), device=device, runs=runs, used=used)
        return request, facts


def _check(facts: Mapping[str, Any]) -> None:
    """Raise TypeError where a plan says something else than `save` writes."""
    kinds: dict[str, tuple[type, ...]] = {
        "suite": (str,),
        "method": (str,),
        "data": (str, type(None)),
        "variation": (str, type(None)),
        "seed": (int,),
        "limit": (int, type(None)),
        "settings": (dict,),
        "skip_bad": (bool,),
        "clips": (list, type(None)),
        "fitted_on": (dict, type(None)),
    }
    for name, allowed in kinds.items():
        if not isinstance(facts.get(name), allowed):
            raise TypeError(name)


def as_text(value: Any) -> str:
    """Return a setting's value as `--set` takes it.

    >>> as_text(0.01), as_text(None), as_text(True), as_text("cosine")
    ('0.01', 'none', 'true', 'cosine')
    """
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)
