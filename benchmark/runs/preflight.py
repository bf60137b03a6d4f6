"""What a run needs is looked for before it starts: all that is missing is said at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from benchmark.utils.errors import RunError
from benchmark.weights import locate, remarks, stand_ins
from benchmark.weights.catalog import network
from metrics.definitions import INCEPTION
from metrics.definitions import get as definition

if TYPE_CHECKING:
    from benchmark.runs.plan import Plan
    from benchmark.runs.run import Run

Step = Literal["fit", "generate", "score"]


def check(job: Run, steps: Iterable[Step]) -> None:
    """Look for the clips and the released networks that the unfinished ones of `steps` need.

    Raises:
        RunError: A line for each thing that is missing, unusable, or not what was published.
    """
    plan = job.plan
    if plan.suite.published is None or stand_ins.active():
        return
    needed = dict.fromkeys(name for step in steps for name in _needed(plan, step))
    state = plan.test_data.state(plan.suite)
    usable = state is None or state.state in ("there", "incomplete")
    problems = [] if usable or state is None else list(state.problems)
    for name in needed:
        try:
            locate.checked(plan.suite, name)
        except RunError as error:
            problems += str(error).splitlines()
    if problems:
        problems += remarks.on_folder(
            [one for name in needed if locate.located(one := locate.entry(plan.suite, name)) is None]
        )
        raise RunError("\n".join(dict.fromkeys(problems)))


def _needed(plan: Plan, step: Step) -> list[str]:
    """Names of the suite's networks that a step loads."""
    suite = plan.suite
    if step == "score":
        roles = suite.scorers
        scorers = [roles.image_audio_space, roles.audio, roles.image, *roles.features]
        scorers += [] if roles.audio_label is None else [roles.audio_label]
        if any(definition(metric).extractor == INCEPTION for metric in suite.headline):
            scorers.append(INCEPTION)
        return scorers
    if plan.generated:
        return []
    names = [suite.backbone.source]
    if plan.method.network is not None and plan.method.network in suite.encoders:
        names.append(network(plan.method.network).name)
    return names
