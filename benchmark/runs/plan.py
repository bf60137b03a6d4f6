"""A resolved request: the suite, method and settings of a run, the identities of its steps, and its folders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.data.manifest import Manifest, load_manifest
from benchmark.data.present import as_present, present_ids
from benchmark.method import Method, MethodSettings, make_settings
from benchmark.records.record import run_identity
from benchmark.records.store import Folder, RunFolder, Store, suite_folder
from benchmark.registries import DATASETS, METHODS, find_method, name_of_another
from benchmark.runs.external_method import ExternalImages, ImageSettings, external_method
from benchmark.runs.method_calls import calling
from benchmark.runs.request import FILE, RunRequest, UsedClips
from benchmark.runs.seeds import MAX_SEED
from benchmark.runs.tracking import check_trackers
from benchmark.runs.variations import Variation
from benchmark.suite import load_suite
from benchmark.utils.device import check_device, device_type, find_device
from benchmark.utils.errors import UserError
from benchmark.utils.files import digest
from benchmark.utils.sources import class_hash, source_hash
from benchmark.weights.locate import resolve

if TYPE_CHECKING:
    from benchmark.dataset import DataSet
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI

# Raised with any change of a step's numerics: older output is then not reused.
FIT_VERSION = 1
GENERATE_VERSION = 1
SCORE_VERSION = 2


@dataclass(frozen=True, eq=False)
class Plan:
    """A run that is asked for: suite x method x settings x seed (x limit). `of` makes and checks it."""

    request: RunRequest
    suite: Suite
    """The protocol, with the test clips that are scored and the weights that lie here."""
    base: Suite
    """The suite that it is derived from, whole; `suite` itself where it is not derived."""
    fit_suite: Suite
    """The suite whose training split is fitted on; it has all test clips, so a fit serves however many there are."""
    method: type[Method]
    settings: MethodSettings
    seed: int | None
    """None for a method without randomness."""
    device: str
    """Where the networks run, never "auto"."""
    store: Store
    manifest: Manifest | None = None
    variation: Variation | None = None
    """What the test clips go through before the method hears them."""

    @classmethod
    def of(cls, request: RunRequest, ui: UI) -> Plan:
        """Check and resolve a request.

        Raises:
            UserError: All problems at once, before any work is done.
        """
        check_trackers(request.trackers)
        base = load_suite(request.suite)
        method = find_method(request.method) if isinstance(request.method, str) else request.method
        _check(request, method)
        with calling(method, "Settings"):
            settings = with_budget(make_settings(method, request.settings), base)
        variation = None if request.variation is None else Variation.parse(request.variation)
        if variation is not None and request.data is None:
            variation.check(base.data.source, DATASETS.get(base.data.source))
        manifest = None if request.data is None else _manifest(request.data, request.skip_bad, ui)
        if variation is not None and manifest is not None:
            variation.check(manifest.path.name, manifest)
        base = resolve(base)
        if manifest is not None:
            plain = base.with_manifest(manifest.name, manifest.identity, manifest.counts)
        else:
            plain = _used_suite(base, request.used)
        own_train = settings.trains and manifest is not None and manifest.train is not None
        return cls(
            request=request,
            suite=plain if variation is None else variation.of(plain),
            base=base,
            fit_suite=plain if own_train else _fit_suite(base, settings, request.used),
            method=method,
            settings=settings,
            seed=request.seed if method.random else None,
            device=find_device(request.device),
            store=Store(request.runs),
            manifest=manifest,
            variation=variation,
        )

    @classmethod
    def from_folder(cls, path: Path, ui: UI, device: str = "auto", *, trust_method: bool = False) -> Plan:
        """Return the plan that made the run in `path`, with the clips that it was made on.

        Args:
            path: The run's folder.
            ui: Progress and warnings.
            device: Where the networks run.
            trust_method: Whether a Python file that the folder names as its method may be executed.

        Raises:
            UserError: The folder is not that of a run, names a file that is not trusted, or some of its clips are gone.
        """
        request, facts = RunRequest.load(path, device)
        if ".py:" in str(request.method) and "sees" not in facts and not trust_method:
            raise UserError(
                f"{path} names the method {request.method!r}, a file that would be executed: look at it first, and if "
                "you trust it, add --trust-method"
            )
        if "sees" in facts:
            request = replace(request, method=external_method(facts["method"], facts["sees"]))
        if "clips" not in facts:  # an older run, which noted nothing of its clips
            request = replace(request, used=None)
        plan = cls.of(request, ui)
        if facts.get("source") != plan.source:
            raise UserError(
                f"{path} was made by other code than {plan.method_name} holds now, or before that was noted: its "
                "images and its record stay as they are; `bench run` makes a run of the present code beside it"
            )
        if request.used is not None and plan.manifest is None:
            _compare_with_present(plan, path, ui)
        return plan

    @property
    def name(self) -> str:
        """The method's name."""
        return self.method.card.name

    @property
    def limit(self) -> int | None:
        """Number of test clips in class-round-robin order; None for all."""
        return self.request.limit

    @property
    def used(self) -> UsedClips:
        """The clips that the run uses, as plan.json names them."""
        if self.request.used is not None:
            return self.request.used
        ids = present_ids(self.suite, "test") if self.suite.data.test_clips is not None else None
        fitted = self.fit_suite.data.model_dump(include={"train", "train_clips"}) if self.method.fits else None
        return UsedClips(None if ids is None else tuple(ids), fitted)

    @property
    def test_data(self) -> DataSet:
        """The data set of the test clips."""
        return self.manifest or DATASETS.get(self.suite.data.source)

    @property
    def train_data(self) -> DataSet:
        """The data set of the training clips."""
        own = self.manifest is not None and self.fit_suite.data.manifest is not None
        return self.manifest if self.manifest and own else DATASETS.get(self.base.data.source)

    @property
    def changed_settings(self) -> dict[str, Any]:
        """The settings that differ from the method's defaults and from the suite's budget."""
        defaults = self.method.Settings().model_dump(mode="json")
        budget = self.suite.budget.model_dump(mode="json")
        return {
            key: value
            for key, value in self.settings.model_dump(mode="json").items()
            if key not in defaults
            or (value != defaults[key] and not (defaults[key] is None and value == budget.get(key)))
        }

    @cached_property
    def folder(self) -> RunFolder:
        """Where the run lives."""
        place = suite_folder(self.suite.name, self.suite.fingerprint())
        changed = self.changed_settings if self.source is None else {**self.changed_settings, "source": self.source}
        return self.store.run(place, self.name, self.seed, limit=self.limit, changed=changed)

    @cached_property
    def identity(self) -> str:
        """`run_identity` of the run."""
        settings = self.settings.model_dump(mode="json")
        return run_identity(self.suite.fingerprint(), self.name, settings, self.seed, self.limit, self.source)

    @cached_property
    def source(self) -> str | None:
        """Hash of the method's code, with the modules beside it; None if its name says which code that is."""
        file, is_file, _ = self.method_name.rpartition(".py:")
        if is_file:
            return source_hash(Path(file + ".py"))
        known = isinstance(self.request.method, str) or issubclass(self.method, ExternalImages)
        return None if known or self.name in METHODS else class_hash(self.method)

    @property
    def _sources(self) -> list[str]:
        return [] if self.source is None else [self.source]

    @property
    def method_name(self) -> str:
        """How the method is found again: its name, or `file.py:Class` with an absolute path."""
        asked = self.request.method
        file, is_file, inside = (asked if isinstance(asked, str) else self.name).rpartition(".py:")
        return f"{Path(file + '.py').expanduser().resolve()}:{inside}" if is_file else inside

    @cached_property
    def _fit_key(self) -> tuple[str, dict[str, Any]]:
        with calling(self.method, "fit_identity()"):
            return self.method(self.settings).fit_identity()

    @cached_property
    def fit_identity(self) -> str | None:
        """What a fit depends on, hashed; None for a method that is not fitted."""
        return self.fit_identity_on(self.device)

    def fit_identity_on(self, device: str) -> str | None:
        """Return what the fit would depend on if it was made on another device."""
        if not self.method.fits:
            return None
        name, settings = self._fit_key
        suite = self.fit_suite
        encoders = {key: sha256 for key, sha256 in suite.encoders.items() if key == self.method.network}
        with calling(self.method, "Settings"):
            chosen = self.settings.chosen(suite, device)
        more = [*([chosen] if chosen else []), *self._sources]
        return digest(
            [FIT_VERSION, suite.fingerprint(), encoders, name, settings, self.seed, device_type(device), *more]
        )

    @cached_property
    def fit_folder(self) -> Folder | None:
        """Where the fit lies; None for a method that is not fitted."""
        return self.fit_folder_on(self.device)

    def fit_folder_on(self, device: str) -> Folder | None:
        """Return where the fit would lie if it was made on another device."""
        identity = self.fit_identity_on(device)
        if identity is None:
            return None
        place = suite_folder(self.fit_suite.name, self.fit_suite.fingerprint())
        return self.store.fit(place, self._fit_key[0], identity)

    @cached_property
    def generate_identity(self) -> str:
        """What the images depend on, hashed."""
        device = device_type(self.device)
        if device == "cuda" and self.suite.backbone.dtype != "float32":
            device += ", networks cast once"
        return digest([GENERATE_VERSION, self.identity, self.fit_identity, device, *self._sources])

    @property
    def images_per_clip(self) -> int:
        """Images of each clip: the suite's number, unless they were made elsewhere."""
        if isinstance(self.settings, ImageSettings):
            return self.settings.images_per_clip
        return self.suite.generation.images_per_clip

    @property
    def clip_count(self) -> int:
        """Test clips that are asked for. Looks at no clip."""
        return self.suite.data.test if self.limit is None else min(self.limit, self.suite.data.test)

    @property
    def generated(self) -> bool:
        """Whether the images of all test clips are there, and are what was made. Looks at no clip."""
        there = sum(1 for _ in self.folder.images.glob("*.png"))
        wanted = self.clip_count * self.images_per_clip
        return there >= wanted and self.folder.step_done("generate", self.generate_identity) and not self.failures

    @property
    def failures(self) -> dict[str, str]:
        """Clips whose image could not be made in the last attempt, with the reason."""
        if not self.folder.step_done("generate", self.generate_identity):
            return {}
        failures: dict[str, str] = self.folder.payload("generate").get("failures", {})
        return failures

    def save(self) -> None:
        """Write plan.json to the run's folder."""
        changed = self.settings.model_dump(mode="json")
        stated = {key: changed.get(key, value) for key, value in self.request.settings.items()}
        more: dict[str, Any] = {}
        if issubclass(self.method, ExternalImages):
            stated, more = changed, {"sees": list(self.method.card.sees)}
        if self.source is not None:
            more["source"] = self.source
        self.request.save(self.folder.path, self.method_name, stated, self.used, **more)
        self.folder.mark_done("plan", self.identity, files=[self.folder.path / FILE])


def with_budget(settings: MethodSettings, suite: Suite) -> MethodSettings:
    """Return `settings` with the suite's training budget in the place of those that are None."""
    budget = suite.budget.model_dump()
    return settings.model_copy(
        update={key: budget[key] for key, value in settings.model_dump().items() if value is None and key in budget}
    )


def _check(request: RunRequest, method: type[Method]) -> None:
    problems = []
    if why := name_of_another(request.method, method):
        problems.append(why)
    if request.limit is not None and request.limit < 1:
        problems.append(f"--limit {request.limit}: give at least 1, or leave it out for all clips")
    if not 0 <= request.seed <= MAX_SEED:
        problems.append(f"--seed {request.seed}: give 0 to {MAX_SEED}")
    if request.skip_bad and request.data is None:
        problems.append("--skip-bad is for the rows of a manifest: give --data, or leave it out")
    if not method.fits:
        options = {"--track": request.trackers, "--samples-every": request.samples_every}
        problems += [
            f"{option} is for a method that is fitted, and {method.card.name!r} is not: leave it out"
            for option, given in options.items()
            if given
        ]
    try:
        check_device(request.device)
    except UserError as error:
        problems += error.problems
    if problems:
        raise UserError(problems)


def _manifest(path: Path, skip_bad: bool, ui: UI) -> Manifest:
    with ui.task(f"checking {Path(path).name}", 0, "files") as advance:
        reached = 0

        def progress(done: int, total: int) -> None:
            nonlocal reached
            advance(done - reached)
            reached = done

        manifest = load_manifest(Path(path), skip_bad=skip_bad, progress=progress)
    for problem in manifest.skipped:
        ui.warn(f"left out: line {problem.line}, {problem.id!r}: {problem.reason}")
    for remark in manifest.remarks:
        ui.warn(remark)
    return manifest


def _used_suite(base: Suite, used: UsedClips | None) -> Suite:
    """The suite with the test clips that an earlier run used, or with those that are here."""
    if used is None:
        return as_present(base, "test")
    return base if used.test is None else base.with_clips("test", used.test)


def _fit_suite(base: Suite, settings: MethodSettings, used: UsedClips | None) -> Suite:
    if used is not None and used.train is not None:
        return base.model_copy(update={"data": base.data.model_copy(update=dict(used.train))})
    return as_present(base, "train") if settings.trains else base


def _compare_with_present(plan: Plan, path: Path, ui: UI) -> None:
    """Warn where other test clips are there than the run used; raise UserError where some of its own are gone."""
    base, made = plan.base, plan.suite
    now = as_present(base, "test")
    if made.data.test_clips == now.data.test_clips:
        return
    here = present_ids(base, "test")
    used = plan.used.test
    gone = base.data.test - len(here or ()) if used is None else len(set(used) - set(here or ()))
    if here and gone:
        raise UserError(
            f"{path} was made on {made.data.test:,} test clips, {gone:,} of which are not there any more: its images "
            f"and its record stay as they are; to score it again, prepare those clips again, and for a run on the "
            f"{len(here):,} that are there use `bench run`"
        )
    if here:
        ui.warn(
            f"{path} was made when {made.data.test:,} of {base.data.test:,} test clips were there, and is scored on "
            f"those; {len(here):,} are there now: the same `bench run` makes a run on them, of suite {now.name!r}, "
            "beside it"
        )
