"""The verbs about trust: verify, reproduce, submit, check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli import output
from benchmark.cli.exit_codes import say
from benchmark.cli.options import AsJson, Data, Device
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Console

if TYPE_CHECKING:
    from benchmark.verification.attestations import Level
    from benchmark.verification.findings import Report

MOST = 50
"""Findings of one run that are printed; --json has all."""

Sign = Annotated[Path | None, typer.Option("--sign", metavar="KEY", help="Sign it with this SSH key (ssh-keygen -Y).")]
Signers = Annotated[
    Path | None,
    typer.Option("--allowed-signers", metavar="FILE", help="Ask for signatures by those whom this file lists."),
]


@dataclass(frozen=True, kw_only=True)
class AttestOptions:
    """Who vouches for what was found."""

    attest: Annotated[
        str | None, typer.Option(metavar="NAME", help="If it holds, say so in the bundle, by this name.")
    ] = None
    sign: Sign = None


def verify(
    attesting: AttestOptions,
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Records, folders of runs, or bundles.")],
    data: Data = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The images, if they are not beside the record.")
    ] = None,
    device: Device = "auto",
    no_cache: Annotated[
        bool, typer.Option("--no-cache", metavar="", help="Compute clips and embeddings anew, in an empty cache.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score the stored pictures of a run again, and compare everything that its record says. Exit 1 if it differs."""
    _check_attest(attesting, runs)

    from benchmark.verification.verify import Means, verify_all

    means = Means(data=data, images=images, device=device, cached=not no_cache)
    reports: list[Report] = []
    with output.stdout_is_for_results():
        for path in runs:
            found = verify_all(path, Console(), means)
            reports += found.values()
            if attesting.attest and all(report.holds and report.rescored for report in found.values()):
                _attest(path, "rescored", {run: report.verdict for run, report in found.items()}, attesting)
            elif attesting.attest:
                say(f"{path}: nothing is attested, as not every run was rescored and holds")
    if as_json:
        output.print_json([report.to_dict() for report in reports])
    else:
        for report in reports:
            print_report(report)
    if any(not report.holds for report in reports):
        say("not everything is as the records say")
        raise typer.Exit(1)


def print_report(report: Report) -> None:
    """A report for people: the verdict, what differs, what was not checked."""
    print(f"{report.target}: {report.verdict}")
    for finding in report.findings[:MOST]:
        print(f"  {finding.line}")
    if (rest := len(report.findings) - MOST) > 0:
        print(f"  ... and {rest} more (--json lists them all)")
    for line in report.unchecked:
        print(f"  not checked: {line}")


def reproduce(
    attesting: AttestOptions,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A record, the folder of a run, or a bundle.")],
    data: Data = None,
    method: Annotated[
        str | None,
        typer.Option("--method", "-m", metavar="FILE:CLASS", help="The method, where no installed package has it."),
    ] = None,
    device: Device = "auto",
    runs: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Keep the new run here. \\[default: nowhere]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit, generate and score a run again from nothing, and compare. Exit 1 if it is not reproduced."""
    _check_attest(attesting, [run])

    from benchmark.verification.reproduce import Again, reproduce_all

    with output.stdout_is_for_results():
        found = reproduce_all(run, Console(), Again(data=data, method=method, device=device, runs=runs))
    held = all(one.reproduced for one in found.values())
    if attesting.attest and held:
        _attest(run, "reproduced", {name: one.verdict for name, one in found.items()}, attesting)
    if as_json:
        output.print_json([one.to_dict() for one in found.values()])
    else:
        for one in found.values():
            print_report(one.report)
            print(f"  {one.verdict}")
            for line in one.surroundings:
                print(f"  surroundings: {line}")
    if not held:
        raise typer.Exit(1)


def submit(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of complete runs, or published records.")],
    output_: Annotated[Path, typer.Option("--output", "-o", metavar="BUNDLE", help="A folder, or a file .zip.")],
    by: Annotated[str, typer.Option(metavar="NAME", help="Who submits it.")],
    images: Annotated[
        bool, typer.Option("--images", metavar="", help="With the pictures, so that others can rescore them.")
    ] = False,
    sign: Sign = None,
    as_json: AsJson = False,
) -> None:
    """Write a bundle of runs that can be sent: records, scores, hashes of the pictures, where the method's code is."""
    from benchmark.verification.attestations import sign_manifest
    from benchmark.verification.submit import write_bundle

    manifest = write_bundle(runs, output_, by=by, images=images)
    if sign is not None:
        sign_manifest(output_, sign)
    if as_json:
        output.print_json(manifest.model_dump(mode="json"))
    else:
        print(output_)


def check(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A folder or a zip of `bench submit`.")],
    all_: Annotated[bool, typer.Option("--all", metavar="", help="Every rule, not only the first broken one.")] = False,
    allowed_signers: Signers = None,
    as_json: AsJson = False,
) -> None:
    """Check that a bundle keeps the rules of submission; prints the first rule that it breaks. Exit 1 if it does."""
    from benchmark.verification.rules import check_bundle

    results = []
    for result in check_bundle(bundle, allowed=allowed_signers):
        results.append(result)
        if result.problems and not all_:
            break
    broken = [result for result in results if result.problems]
    if as_json:
        rules = [{"rule": one.rule, "what": one.what, "problems": one.problems} for one in results]
        output.print_json({"bundle": str(bundle), "compliant": not broken, "rules": rules})
    else:
        for result in results if all_ else broken:
            print(f"{result.rule:<12}{'broken' if result.problems else 'kept':<8}{result.what}")
            for line in result.problems[:MOST]:
                print(f"  {line}")
        print(f"{bundle}: {f'breaks the rule {broken[0].rule!r}' if broken else 'keeps all rules'}")
    if broken:
        raise typer.Exit(1)


def _check_attest(attesting: AttestOptions, places: list[Path]) -> None:
    if attesting.attest is None:
        if attesting.sign is not None:
            raise UserError("--sign is for an attestation: give --attest NAME, or leave it out")
        return

    from benchmark.verification.attestations import check_name
    from benchmark.verification.bundle import is_bundle

    check_name("--attest", attesting.attest)
    if wrong := [path for path in places if not is_bundle(path)]:
        raise UserError(f"--attest writes into a bundle, and {wrong[0]} is none: `bench submit` makes one")


def _attest(bundle: Path, what: Level, result: Mapping[str, str], attesting: AttestOptions) -> None:
    from benchmark.verification.attestations import attest, attestation_of

    assert attesting.attest is not None
    written = attest(bundle, attestation_of(bundle, what, attesting.attest, result), attesting.sign)
    Console().say(f"written to {bundle}: {written}")
