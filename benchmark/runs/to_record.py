"""The record of a run, from what its steps left and from its scores."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmark.records.provenance import RunProvenance
from benchmark.records.record import ClipCounts, Cost, ImagesRef, MethodRef, RunRecord, SuiteRef
from benchmark.runs.scoring import metric_value
from benchmark.utils.device import peak_memory

if TYPE_CHECKING:
    from benchmark.data.manifest import Manifest
    from benchmark.runs.run import Run
    from benchmark.runs.scoring import Scores


def to_record(job: Run, scores: Scores, images: ImagesRef) -> RunRecord:
    """Return the record of a scored run; its warnings are also given to the UI."""
    plan, test = job.plan, job.test
    fitted = plan.fit_folder.payload("fit") if plan.fit_folder else {}
    generated = plan.folder.payload("generate")
    failures = {**plan.failures, **scores.failures}
    failures = {clip: failures[clip] for clip in test.ids if clip in failures}
    skipped = _skipped(plan.manifest) if plan.manifest else []
    warnings = []
    if scores.silent:
        warnings.append(
            f"silent clips (all samples zero), scored like any other: {len(scores.silent)} ({', '.join(scores.silent)})"
        )
    if skipped:
        warnings.append(f"rows of the manifest that were left out (--skip-bad): {len(skipped)}")
    if plan.method.fits and plan.fit_suite.data.train_clips is not None:
        warnings.append(f"fitted on the {plan.fit_suite.data.train} training clips that were there, not on all of them")
    made = RunProvenance(
        fit=plan.fit_folder.made_with("fit") if plan.fit_folder else (),
        generate=plan.folder.made_with("generate"),
        score=plan.folder.made_with("score"),
    )
    warnings += _several_commits(made)
    warnings += plan.manifest.remarks if plan.manifest else ()
    warnings += generated.get("remarks", [])
    warnings += fitted.get("remarks", [])
    for line in warnings:
        job.ui.warn(line)
    memory = [peak_memory(plan.device), generated.get("peak_memory_bytes") or 0, fitted.get("peak_memory_bytes") or 0]
    complete = not failures and not any(result.failed for result in scores.results.values())
    return RunRecord(
        status="complete" if complete else "incomplete",
        suite=SuiteRef(name=plan.suite.name, version=plan.suite.version, fingerprint=plan.suite.fingerprint()),
        method=MethodRef(
            name=plan.name,
            card=plan.method.card.model_dump(mode="json"),
            settings=plan.settings.model_dump(mode="json", exclude_none=True),
            source=plan.source,
        ),
        seed=plan.seed,
        limit=plan.limit,
        metrics={name: metric_value(result, scores.scorers[name]) for name, result in scores.results.items()},
        per_class=scores.per_class(test.labels),
        clips=ClipCounts(
            total=len(test), failed=len(failures), failures=failures, silent=len(scores.silent), skipped=skipped
        ),
        images=images,
        cost=Cost(
            fit_seconds=fitted.get("seconds"),
            fit_steps=fitted.get("steps"),
            generate_seconds=generated.get("seconds"),
            images_per_second=generated.get("images_per_second"),
            trainable_parameters=fitted.get("trainable_parameters"),
            peak_memory_bytes=max(memory),
        ),
        provenance=made,
        weights={**plan.suite.weights, **generated.get("encoders", {})},
        identity=plan.identity,
        warnings=warnings,
    )


def _several_commits(made: RunProvenance) -> list[str]:
    commits = made.commits
    if len({commit for found in commits.values() for commit in found}) < 2:
        return []
    steps = [f"{step} {', '.join(commit[:8] for commit in found)}" for step, found in commits.items() if found]
    return [f"the steps were made at different commits: {'; '.join(steps)}"]


def facts_of(record: RunRecord) -> dict[str, Any]:
    """Return what a record says besides its numbers.

    Score's marker keeps it, as most of it (cost, machine, warnings) is what no second scoring can find.
    """
    facts: dict[str, Any] = json.loads(record.to_json())
    return {key: value for key, value in facts.items() if key not in ("metrics", "per_class")}


def _skipped(manifest: Manifest) -> list[str]:
    """A line for each row that was left out, with all that is wrong with it."""
    problems: dict[int, str] = {}
    for p in manifest.skipped:
        problems[p.line] = f"{problems[p.line]}; {p.reason}" if p.line in problems else f"{p.id}: {p.reason}"
    return [f"line {line}: {reasons}" for line, reasons in problems.items()]
