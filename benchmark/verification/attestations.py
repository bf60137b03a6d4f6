"""Who rescored or reproduced a bundle, in files inside it, and signatures by `ssh-keygen -Y` that need no network."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.records.provenance import collect
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.files import replacing, sha256_of, write_atomic
from benchmark.utils.models import FrozenModel
from benchmark.verification.bundle import MANIFEST, NAME, Bundle, Name, Sha256, add_to_zip, opened, read_model

NAMESPACE = "audio2image-bench"
SECONDS = 30
"""Longest time that ssh-keygen may take."""

Level = Literal["rescored", "reproduced"]


class Attestation(FrozenModel):
    """What somebody found when they checked runs of a bundle."""

    attestation: Literal[1] = 1
    """Version of the format."""
    what: Level
    """rescored: the images gave the scores; reproduced: the run, made again, gave the images or their values."""
    by: Name
    """Who did it."""
    date: str
    """When: UTC, ISO 8601."""
    result: dict[str, str]
    """What came out, in words, by run."""
    records: dict[str, Sha256]
    """sha256 of the record that was checked, by run."""
    surroundings: dict[str, str]
    """Packages, processor, device and threads that it was done with."""


@dataclass(frozen=True)
class Vouched:
    """Who vouches for a run."""

    what: Literal["self-reported", "rescored", "reproduced"]
    """How far it was checked."""
    by: tuple[str, ...]
    """Who did."""
    signed: bool | None = None
    """Whether all of their signatures are good; None where nobody asked."""

    def __str__(self) -> str:
        """Return it in words, as the board shows it."""
        sign = "" if self.signed is None else " (signed)" if self.signed else " (unsigned)"
        return f"{self.what} by {', '.join(self.by)}{sign}"


def check_name(option: str, name: str) -> None:
    """Raise UserError unless `name` can be that of somebody who submits or vouches."""
    if not re.fullmatch(NAME, name):
        raise UserError(f"{option} {name!r}: give a name of letters, digits, spaces and . @ + - _, at most 64")


def attestation_of(bundle: Path, what: Level, by: str, result: Mapping[str, str]) -> Attestation:
    """Return an attestation about the runs of a bundle, made here and now.

    Args:
        bundle: The bundle.
        what: What was done.
        by: Who did it.
        result: What came out, by run.
    """
    made = collect()
    with opened(bundle, images=False) as one:
        records = {run: sha256_of(one.run(run) / "record.json") for run in one.manifest().runs}
    packages = " ".join(f"{name}=={version}" for name, version in made.packages.items())
    return Attestation(
        what=what,
        by=by,
        date=made.date,
        result={run: result.get(run, "") for run in records},
        records=records,
        surroundings={
            "version": made.package_version or "",
            "commit": made.commit or "",
            "python": made.python,
            "platform": made.platform,
            "cpu": made.cpu,
            "threads": str(made.threads),
            "packages": packages,
        },
    )


def attest(bundle: Path, attestation: Attestation, key: Path | None = None) -> str:
    """Put an attestation into a bundle, a folder or a zip, and sign it with an SSH key if one is given.

    Returns:
        The path inside the bundle.

    Raises:
        UserError: There is one by the same name already.
        RunError: It cannot be signed.
    """
    who = re.sub(r"[^\w+-]", "_", attestation.by)
    name = f"attestations/{who}-{attestation.what}.json"
    with tempfile.TemporaryDirectory(prefix="bench-attest-") as folder:
        file = Path(folder) / Path(name).name
        file.write_text(attestation.model_dump_json(indent=2) + "\n", encoding="utf-8")
        made = {name: file}
        if key is not None:
            made[f"{name}.sig"] = sign(file, key)
        add(bundle, {where: path.read_bytes() for where, path in made.items()})
    return name


def add(bundle: Path, files: Mapping[str, bytes]) -> None:
    """Add files to a bundle. Raises UserError if one of them is there."""
    if bundle.is_dir():
        if taken := [name for name in files if (bundle / name).exists()]:
            raise UserError(f"{bundle} has {taken[0]} already: remove it first")
        for name, data in files.items():
            write_atomic(bundle / name, data)
        return
    with replacing(bundle) as temporary:
        shutil.copyfile(bundle, temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            if taken := [name for name in files if name in archive.namelist()]:
                raise UserError(f"{bundle} has {taken[0]} already: remove it first")
            for name, data in files.items():
                add_to_zip(archive, name, data)


def sign_manifest(bundle: Path, key: Path) -> None:
    """Sign a bundle's manifest, which has the hash of all of its files."""
    with opened(bundle, images=False) as one, tempfile.TemporaryDirectory(prefix="bench-sign-") as folder:
        file = Path(folder) / MANIFEST
        shutil.copyfile(one.root / MANIFEST, file)
        signature = sign(file, key).read_bytes()
    add(bundle, {f"{MANIFEST}.sig": signature})


def sign(file: Path, key: Path) -> Path:
    """Sign a file with an SSH key, as `<file>.sig` beside it. Raises RunError if that fails."""
    done = _ssh_keygen("-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(file))
    if done is None or done.returncode:
        why = "ssh-keygen is not installed" if done is None else done.stderr.decode(errors="replace").strip()
        raise RunError(f"{file.name} cannot be signed with {key}: {' '.join(why.split())}")
    return file.with_name(f"{file.name}.sig")


def is_signed(file: Path, by: str, allowed: Path) -> bool:
    """Return whether the signature beside a file is good, and by somebody whom `allowed` lists under the name `by`.

    Args:
        file: The file; its signature is `<file>.sig`.
        by: The principal in the list.
        allowed: A file of allowed signers (`man ssh-keygen`).

    Raises:
        UserError: `allowed` does not exist.
        RunError: ssh-keygen is not installed.
    """
    if not allowed.is_file():
        raise UserError(f"--allowed-signers {allowed} does not exist: a line of it is `NAME ssh-ed25519 AAAA...`")
    signature = file.with_name(f"{file.name}.sig")
    if not signature.is_file() or not re.fullmatch(NAME, by):
        return False
    arguments = ("-Y", "verify", "-f", str(allowed), "-I", by, "-n", NAMESPACE, "-s", str(signature))
    done = _ssh_keygen(*arguments, data=file.read_bytes())
    if done is None:
        raise RunError("signatures cannot be checked: ssh-keygen is not installed")
    return done.returncode == 0


def _ssh_keygen(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes] | None:
    """Run ssh-keygen; None if it is not installed. Raises RunError if it takes too long."""
    program = shutil.which("ssh-keygen")
    if program is None:
        return None
    try:
        return subprocess.run([program, *arguments], input=data, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise RunError(f"ssh-keygen did not end in {SECONDS} s: does the key ask for a passphrase?") from None


def vouched(bundle: Bundle, allowed: Path | None = None) -> tuple[dict[str, Vouched], list[str]]:
    """Return who vouches for each run of a bundle that its rules accept, and a line for each attestation left out.

    An attestation by the submitter's own name is worth what the submission is. With `allowed`, one without a good
    signature does not count, and neither does a submitter's name without one count as signed.

    Args:
        bundle: The bundle.
        allowed: A file of allowed signers; None where signatures are not looked at.
    """
    manifest = bundle.manifest()
    notes: list[str] = []
    found: dict[str, dict[str, set[str]]] = {name: {} for name in manifest.runs}
    for name in sorted(bundle.files):
        if not (name.startswith("attestations/") and name.endswith(".json")):
            continue
        try:
            one = read_model(Attestation, bundle.root / name, name)
        except UserError as error:
            notes += [f"{bundle.source.name}: {line}" for line in error.problems]
            continue
        if one.by == manifest.by:
            notes.append(f"{bundle.source.name}: {name} is by the submitter, and does not count")
            continue
        if allowed is not None and not is_signed(bundle.root / name, one.by, allowed):
            notes.append(f"{bundle.source.name}: {name} has no good signature of {one.by}, and does not count")
            continue
        for run, sha256 in one.records.items():
            if run not in found or sha256_of(bundle.run(run) / "record.json") != sha256:
                notes.append(f"{bundle.source.name}: {name} is about another record than this {run[:80]!r}")
            else:
                found[run].setdefault(one.what, set()).add(one.by)
    signed = None if allowed is None else is_signed(bundle.root / MANIFEST, manifest.by, allowed)
    result: dict[str, Vouched] = {}
    for run, levels in found.items():
        result[run] = Vouched("self-reported", (manifest.by,), signed)
        for what in ("rescored", "reproduced"):
            if what in levels:
                result[run] = Vouched(what, tuple(sorted(levels[what])), None if allowed is None else True)
    return result, notes
