"""A run belongs to the clips that it was made with, also when others of its data set are there by now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import UserError
from benchmark.files import digest
from benchmark.suite import PRESENT, load_suite

if TYPE_CHECKING:
    from benchmark.clips import ClipSet
    from benchmark.runner import Plan
    from benchmark.suite import Suite


def tested_ids(suite: Suite) -> list[str] | None:
    """Ids of the test clips of a suite as present; None where they are all that it lists."""
    if suite.data.test_clips is None:
        return None
    return list(PRESENT.get(suite.data.source)(suite, "test") or ())


def fitted_on(plan: Plan) -> dict[str, Any] | None:
    """The training clips that the plan's fit is made with, as fields of `Suite.data`; None for nothing to fit."""
    return plan.fit_suite.data.model_dump(include={"train", "train_clips"}) if plan.method.fits else None


def as_made(plan: Plan, path: Path, stored: Mapping[str, Any]) -> Plan:
    """`plan`, which asks for what is there now, with the clips that the run in `path` was made with.

    `stored` is its plan.json: `clips` as `tested_ids` gave them, `fitted_on`. Warns where other test clips are there
    now; raises UserError where some of the run's own are gone.
    """
    plan = replace(plan, fitted_on=stored.get("fitted_on"))
    if "clips" not in stored or plan.manifest is not None:
        return plan
    whole, ids = load_suite(plan.suite.base), stored["clips"]
    made = whole if ids is None else whole.with_clips("test", ids)
    if made.data.test_clips == plan.suite.data.test_clips:
        return plan
    here = PRESENT.get(whole.data.source)(whole, "test")
    gone = whole.data.test - len(here or ()) if ids is None else len(set(ids) - set(here or ()))
    if here and gone:
        raise UserError(
            f"{path} was made on {made.data.test:,} test clips, {gone:,} of which are not there any more: its pictures "
            f"and its record stay as they are; to score it again, prepare those clips again, and for a run on the "
            f"{len(here):,} that are there use `bench run`"
        )
    if here:
        plan.ui.warn(
            f"{path} was made when {made.data.test:,} of {whole.data.test:,} test clips were there, and is scored on "
            f"those; {len(here):,} are there now: the same `bench run` makes a run on them, of suite "
            f"{plan.suite.name!r}, beside it"
        )
    return replace(plan, suite=made, clips=None if ids is None else tuple(ids))


def only(clips: ClipSet, ids: Sequence[str]) -> ClipSet:
    """The clips called `ids`, in the order of `clips`; the label set stays whole."""
    from benchmark.clips import ClipSet

    wanted = set(ids)
    identity = digest({"of": clips.identity, "ids": sorted(ids)})
    return ClipSet(clips.name, tuple(clip for clip in clips if clip.id in wanted), clips.labels, identity)
