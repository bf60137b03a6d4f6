"""Catalogue of the networks that do not ship with the package (`weights.toml`): sources, files, sizes, licences."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from benchmark.utils.errors import unknown
from benchmark.utils.models import FrozenModel
from benchmark.utils.toml import read_toml, validated

MANIFEST = Path(__file__).with_name("weights.toml")
HUB = "hf://"
PIP = "pip://"
MADE = "made://"


class File(FrozenModel):
    """One file of a network."""

    name: str
    """Path below the network's folder."""
    sha256: str | None = None
    """Published hash; None if nobody published one."""
    size: int | None = None
    """Size in bytes; None if it is unknown."""


class Network(FrozenModel):
    """An entry of weights.toml."""

    name: str
    """Name under which suites ask for it."""
    title: str
    """Name and version for people."""
    use: str
    """What the suites use it for."""
    licence: str
    """Licence of the weights."""
    home: str
    """Page of its publisher."""
    sources: tuple[str, ...]
    """Addresses, tried in order; `{}` stands for the file's name, `hf://` for the Hugging Face hub, `pip://` for an
    installed package: `pip://distribution/package/folder/{}`, and `made://` for what `bench tiny` writes."""
    files: tuple[File, ...]
    """Its files."""
    also: tuple[str, ...] = ()
    """Further names under which suites ask for the same files."""
    about: int | None = None
    """Approximate size of all files in bytes, if only a rounded figure is public."""
    optional: bool = False
    """Whether it is fetched only when it is asked for by name."""
    torch_hub: bool = False
    """Whether it is kept in torch's hub folder, where torch-fidelity looks for it."""

    @property
    def size(self) -> int:
        """Bytes to download, possibly rounded."""
        return self.about or sum(file.size or 0 for file in self.files)

    @property
    def pinned(self) -> bool:
        """Whether its bytes are determined beforehand: by published hashes, or by a commit of the hub."""
        return all(file.sha256 for file in self.files) or all(
            source.startswith(HUB) and HubAddress.of(source).pinned for source in self.sources
        )

    @property
    def identity(self) -> str:
        """Text by which a suite's file names these weights: the published sha256 of a single file, else an address."""
        return (len(self.files) == 1 and self.files[0].sha256) or self.sources[0].removesuffix("/{}")


class HubAddress(NamedTuple):
    """Address on the Hugging Face hub: `hf://[spaces/|datasets/]owner/repo@revision/path`."""

    kind: str
    """Type of the repository: "model", "space" or "dataset"."""
    repo: str
    """The repository, `owner/name`."""
    revision: str
    """Branch, tag or commit."""
    path: str
    """Path of the file in the repository."""

    @classmethod
    def of(cls, address: str) -> HubAddress:
        """Parse an address.

        Raises:
            ValueError: The address has another form.
        """
        found = re.fullmatch(r"hf://(?:(spaces|datasets)/)?([^/@]+/[^/@]+)@([^/]+)/(.+)", address)
        if found is None:
            raise ValueError(f"{address!r} is not an address on the hub: write hf://owner/repo@revision/path")
        return cls((found[1] or "models").removesuffix("s"), *found.groups()[1:])

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, which determines the file."""
        return re.fullmatch("[0-9a-f]{40}", self.revision) is not None


@cache
def _read(path: Path) -> dict[str, Network]:
    return {name: validated(Network, {"name": name, **entry}, path) for name, entry in read_toml(path).items()}


def networks() -> dict[str, Network]:
    """Return all networks of weights.toml, by name."""
    return _read(MANIFEST)


def network(name: str) -> Network:
    """Return the network with a name, which may be one of its further names.

    Raises:
        UserError: The name is unknown; the message gives the nearest known names.
    """
    for one in networks().values():
        if name == one.name or name in one.also:
            return one
    raise unknown("network", name, networks())
