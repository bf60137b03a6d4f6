"""What a result was made with: code, packages, machine. Facts only, gathered without importing what they describe."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field

from benchmark.utils.env import PACKAGE

DISTRIBUTION = "audio2image-bench"
PACKAGES = (
    "accelerate",
    "av",
    "diffusers",
    "numpy",
    "open-clip-torch",
    "peft",
    "pillow",
    "safetensors",
    "scipy",
    "soundfile",
    "soxr",
    "torch",
    "torchaudio",
    "torchvision",
    "transformers",
)


class Provenance(BaseModel):
    """The code, packages and machine behind a step of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    package_version: str | None
    """Version of the installed distribution; null when run from a checkout that is not installed."""
    commit: str | None
    """Full git commit of the package's own checkout; null outside one."""
    dirty: bool | None
    """Whether that checkout held changes or new files beside `results/`; null outside one."""
    origin: str | None
    """The checkout's remote, without user, token or query; null if there is none or it is a local path."""
    python: str
    """Python's version."""
    platform: str
    """Operating system, its release and the machine's architecture."""
    cpu: str
    """Name, family and model of the processor, and the widest vector instructions that it has."""
    packages: dict[str, str]
    """Version by distribution name, of those that are installed."""
    device: str | None
    """Where the networks ran: cpu, cuda, mps."""
    device_name: str | None
    """The accelerator's name; null on the CPU or where it was not asked."""
    threads: int | None
    """Threads that torch computed with; null where torch was not used."""
    date: str
    """When these facts were gathered: UTC, ISO 8601."""


def same_surroundings(one: Provenance, other: Provenance) -> bool:
    """Return whether equal computations give equal bits: processor, threads, device and packages are the same."""
    parts = ("python", "platform", "cpu", "packages", "device", "device_name", "threads")
    return all(getattr(one, part) == getattr(other, part) for part in parts)


class RunProvenance(BaseModel):
    """What each step of a run was made with, noted when it worked: usually one entry a step.

    A step that was interrupted and continued with other code, packages or threads has an entry for each. Finished work
    that is used again keeps the entries of the time when it was made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    fit: tuple[Provenance, ...] = ()
    """Of fitting; empty if nothing was fitted, or if the program of that time did not note it."""
    generate: tuple[Provenance, ...] = ()
    """Of making the images, or of taking them in; empty if the program of that time did not note it."""
    score: tuple[Provenance, ...] = Field(min_length=1)
    """Of scoring."""

    @property
    def steps(self) -> dict[str, tuple[Provenance, ...]]:
        """The entries by step, in order."""
        return {"fit": self.fit, "generate": self.generate, "score": self.score}

    @property
    def dirty(self) -> bool | None:
        """The worst of all entries: True if any tree held changes, else None if any was no checkout, else False."""
        found = {one.dirty for made in self.steps.values() for one in made}
        return True if True in found else None if None in found else False

    @property
    def commit(self) -> str | None:
        """The commit that scored; `commits` has all."""
        return self.score[-1].commit

    @property
    def commits(self) -> dict[str, list[str]]:
        """The different commits of each step, in order."""
        return {
            step: list(dict.fromkeys(one.commit for one in made if one.commit)) for step, made in self.steps.items()
        }

    @property
    def date(self) -> str:
        """When it was scored: UTC, ISO 8601."""
        return self.score[-1].date


class Checkout(NamedTuple):
    """State of a git checkout: commit, dirty flag, origin without credentials."""

    commit: str
    dirty: bool
    origin: str | None


def collect(packages: Iterable[str] = PACKAGES, device: str | None = None) -> Provenance:
    """Gather the facts now. `device` is what the caller computes on ("cpu", "cuda:0"); torch is never imported."""
    checkout = checkout_of(PACKAGE)
    torch = sys.modules.get("torch")
    device_name = None
    if torch is not None and device is not None and device.startswith("cuda"):
        device_name = torch.cuda.get_device_name(device)
    return Provenance(
        package_version=_version(DISTRIBUTION),
        commit=checkout.commit if checkout else None,
        dirty=checkout.dirty if checkout else None,
        origin=checkout.origin if checkout else None,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=_cpu(),
        packages={name: version for name in sorted(packages) if (version := _version(name))},
        device=device,
        device_name=device_name,
        threads=torch.get_num_threads() if torch is not None else None,
        date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def checkout_of(package: Path) -> Checkout | None:
    """The git state of the checkout that holds the folder `package` at its top, or None.

    A package installed into an environment that lies inside somebody's repository is no checkout: the repository must
    track the package's files and hold the package at its top. Changes below `results/` do not count as dirty,
    as publishing one record must not spoil the next run.
    """
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != package.resolve().parent:
        return None
    if not _git(package, "ls-files", "--", "."):
        return None
    commit = _git(package, "rev-parse", "HEAD")
    status = _git(package.parent, "status", "--porcelain", "--untracked-files=normal", "--", ".", ":(exclude)results")
    if commit is None or status is None:
        return None
    return Checkout(commit, bool(status), without_credentials(_git(package, "config", "--get", "remote.origin.url")))


def without_credentials(url: str | None) -> str | None:
    """A git remote without user, password, token and query; None for a local path, which tells nobody anything.

    >>> without_credentials("https://me:secret@example.org/a/b.git?x=1")
    'https://example.org/a/b.git'
    >>> without_credentials("git@example.org:a/b.git")
    'example.org:a/b.git'
    """
    if not url:
        return None
    if "://" in url:
        parts = urlsplit(url)
        if parts.scheme == "file" or not parts.netloc:
            return None
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    # git's short form user@host:path; a single letter before the colon is a Windows drive.
    short = re.fullmatch(r"(?:.*@)?([^@:/\\]{2,}:.+)", url)
    return short[1] if short else None


def _git(folder: Path, *arguments: str) -> str | None:
    # GIT_DIR and its kin (set inside hooks) would point git at another repository than the folder's own.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30, env=environment
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@cache
def _version(name: str) -> str | None:
    # Read once: what a process has imported stays, and the metadata of thirty packages take a tenth of a second.
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


VECTORS = ("avx512f", "avx2", "sve", "asimd")
"""Vector instructions, as Linux names them, that torch and MKL choose their kernels by; the widest first."""


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    return cpu_of(text, platform.processor() or platform.machine())


def cpu_of(cpuinfo: str, otherwise: str) -> str:
    r"""Return the processor as Linux describes the first of its cores, with the vector instructions.

    A processor without a name, as on Arm, is called what `otherwise` says.

    Virtual machines on different processors show one name, and sums come out differently on them.

    >>> cpu_of("model name : AMD EPYC\ncpu family : 25\nmodel : 1\nflags : fpu sse avx2\n", "x86_64")
    'AMD EPYC, family 25 model 1, avx2'
    """
    facts: dict[str, str] = {}
    for line in cpuinfo.partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        facts[name.strip().lower()] = value.strip()
    flags = facts.get("flags", facts.get("features", "")).split()
    keys = {"family": "cpu family", "model": "model", "part": "cpu part"}
    kind = [f"{word} {facts[key]}" for word, key in keys.items() if facts.get(key)]
    parts = [facts.get("model name") or otherwise, " ".join(kind), next((one for one in VECTORS if one in flags), "")]
    return ", ".join(part for part in parts if part)
