"""The networks that do not ship with the package: sources, files, sizes, licences (`weights.toml`)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmark.utils.errors import unknown
from benchmark.utils.models import FrozenModel
from benchmark.utils.toml import read_toml, validated

if TYPE_CHECKING:
    pass

MANIFEST = Path(__file__).with_name("weights.toml")
HUB = "hf://"


class File(FrozenModel):
    """One file of a network."""

    name: str
    """Its path below the network's folder."""
    sha256: str | None = None
    """Its published hash; None where nobody published one."""
    size: int | None = None
    """Its length in bytes, where that is known."""


class Network(FrozenModel):
    """An entry of weights.toml, whose comments say what each field means."""

    name: str
    title: str
    use: str
    licence: str
    home: str
    sources: tuple[str, ...]
    files: tuple[File, ...]
    also: tuple[str, ...] = ()
    about: int | None = None
    optional: bool = False
    torch_hub: bool = False

    @property
    def size(self) -> int:
        """Bytes to download, rounded where only that is known."""
        return self.about or sum(file.size or 0 for file in self.files)

    @property
    def pinned(self) -> bool:
        """Whether its bytes are known beforehand: by their hashes, or by a hub's commit."""
        return all(file.sha256 for file in self.files) or all(
            source.startswith(HUB) and HubAddress.of(source).pinned for source in self.sources
        )

    @property
    def identity(self) -> str:
        """How a suite's file names these weights: the published sha256 of the only file, else their first address."""
        return (len(self.files) == 1 and self.files[0].sha256) or self.sources[0].removesuffix("/{}")


class HubAddress(NamedTuple):
    """A place on the Hugging Face hub: `hf://[spaces/|datasets/]owner/repo@revision/path`."""

    kind: str
    repo: str
    revision: str
    path: str

    @classmethod
    def of(cls, address: str) -> HubAddress:
        found = re.fullmatch(r"hf://(?:(spaces|datasets)/)?([^/@]+/[^/@]+)@([^/]+)/(.+)", address)
        if found is None:
            raise ValueError(f"{address!r} is no address on the hub: write hf://owner/repo@revision/path")
        return cls((found[1] or "models").removesuffix("s"), *found.groups()[1:])

    @property
    def pinned(self) -> bool:
        return re.fullmatch("[0-9a-f]{40}", self.revision) is not None


@cache
def _read(path: Path) -> dict[str, Network]:
    return {name: validated(Network, {"name": name, **entry}, path) for name, entry in read_toml(path).items()}


def networks() -> dict[str, Network]:
    """Every network of weights.toml by name."""
    return _read(MANIFEST)


def network(name: str) -> Network:
    """The network that is called `name`, or is asked for by it. Raises UserError with the nearest names."""
    for one in networks().values():
        if name == one.name or name in one.also:
            return one
    raise unknown("network", name, networks())
