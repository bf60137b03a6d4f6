"""A plan being carried out: its clips, backbone and method, each loaded once, when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from benchmark.data.present import only
from benchmark.method import Method, RunContext
from benchmark.registries import BACKBONES
from benchmark.runs.learning import known_clips, learnt_clips, suite_train
from benchmark.runs.method_calls import calling
from benchmark.runs.plan import Plan
from benchmark.utils.device import arithmetic
from benchmark.utils.env import cache_dir
from benchmark.utils.errors import listed

if TYPE_CHECKING:
    from pathlib import Path

    from benchmark.backbone import Backbone
    from benchmark.clips import ClipSet
    from benchmark.runs.request import RunRequest
    from benchmark.utils.progress import UI


@dataclass(frozen=True, eq=False)
class Run:
    """What the steps of a run share."""

    plan: Plan
    ui: UI

    @classmethod
    def of(cls, request: RunRequest, ui: UI) -> Run:
        """Plan a run. Raises UserError as `Plan.of`."""
        return cls(Plan.of(request, ui), ui)

    @cached_property
    def all_test(self) -> ClipSet:
        """All test clips as they are scored, without the limit."""
        plan, data = self.plan, self.plan.suite.data
        if plan.variation is not None and plan.variation.other_clips:
            return plan.variation.made_by(plan.test_data, plan.suite, self.ui)
        if data.test_clips is not None and plan.request.used is None:
            self.ui.warn(
                f"{data.test:,} of {plan.base.data.test:,} test clips are there: this is suite {plan.suite.name!r}, "
                "with a board of its own, and compares only with runs on the same clips"
            )
        used = plan.request.used
        if used is not None and used.test is not None and plan.manifest is None:
            from benchmark.data.present import as_present

            here = plan.test_data.clips(as_present(plan.base, "test"), "test", cache_dir(), self.ui)
            return only(here, used.test)
        return plan.test_data.clips(plan.suite, "test", cache_dir(), self.ui)

    @cached_property
    def test(self) -> ClipSet:
        """The clips that are scored, in order, with the sounds that scorers hear: those that were there."""
        return self.all_test if self.plan.limit is None else self.all_test.limit(self.plan.limit)

    @cached_property
    def heard(self) -> ClipSet:
        """The same clips with the sounds that the method hears: those of a variation, if one was asked for."""
        plan = self.plan
        if plan.variation is None or plan.variation.other_clips:
            return self.test
        # All of them first: which sound is mixed with which does not depend on a limit.
        varied = plan.variation.heard(self.all_test, plan.test_data, plan.suite, self.ui)
        return varied if plan.limit is None else varied.limit(plan.limit)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The label set of the test clips."""
        return self.plan.test_data.labels(self.plan.suite, cache_dir(), self.ui)

    @cached_property
    def train(self) -> ClipSet:
        """The clips that the method is fitted on; none where its settings say that nothing is trained."""
        plan = self.plan
        if not plan.settings.trains:
            from benchmark.clips import ClipSet

            return ClipSet("no clips", (), ())
        data = plan.fit_suite.data
        if data.train_clips is not None:
            self.ui.warn(
                f"{data.train:,} of {plan.base.data.train:,} training clips are there: a fit on others is another fit"
            )
        return plan.train_data.clips(plan.fit_suite, "train", cache_dir(), self.ui)

    def suite_train(self) -> ClipSet:
        """Return the suite's own training clips, whatever the method is fitted on: what probes of images learn from."""
        return suite_train(self.plan.base, self.ui)

    def known_frames(self) -> ClipSet | None:
        """Return clips beside the scored ones, whose frames show a judge the classes; None where there are none."""
        return known_clips(self.plan.test_data, self.plan.suite, self.ui)

    def learnt_frames(self) -> ClipSet:
        """Return the clips that methods are fitted on, whatever this one is: what an image may be a copy of."""
        return learnt_clips(self.plan.test_data, self.plan.suite, self.plan.base, self.ui)

    @cached_property
    @arithmetic()
    def backbone(self) -> Backbone:
        """The suite's frozen pipeline, on the run's device."""
        return BACKBONES.get(self.plan.suite.backbone.source)(self.plan.suite, self.plan.device)

    @cached_property
    def remarks(self) -> list[str]:
        """What the backbone makes of a user's own labels, a line each: those that it cannot tell apart."""
        if self.plan.manifest is None:
            return []
        return [
            f"labels that the text encoder cannot tell apart: {' = '.join(map(repr, listed(labels, 20)))}"
            for labels in self.backbone.alike(self.test.labels)
        ]

    @arithmetic()
    def make(self, clips: ClipSet, *, to_fit: bool = False, fitted: Path | None = None) -> Method:
        """Return the method, set up to look at `clips`; `to_fit` with the suite that it is fitted on.

        `fitted` is the folder of its fit, where that is not the run's own.
        """
        plan = self.plan
        context = RunContext(
            suite=plan.fit_suite if to_fit else plan.suite,
            backbone=self.backbone,
            test=clips,
            seed=plan.seed or 0,
            folder=fitted or (plan.fit_folder.path if plan.fit_folder else plan.folder.path),
            cache=cache_dir(),
            device=plan.device,
            ui=self.ui,
            trackers=plan.request.trackers,
            samples_every=plan.request.samples_every,
            data=plan.train_data,
        )
        with calling(plan.method, "setup()"):
            method = plan.method(plan.settings)
            method.setup(context)
        return method
