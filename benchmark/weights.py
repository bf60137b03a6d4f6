"""The networks that do not ship with the package: what they are, and where they lie on this machine."""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from benchmark.errors import RunError, unknown
from benchmark.files import digest, sha256_of, write_atomic
from benchmark.store import cache_dir

if TYPE_CHECKING:
    from benchmark.suite import Suite

MANIFEST = Path(__file__).with_name("weights.toml")
HUB = "hf://"

Maker = Callable[[str, Callable[[], Any]], Any]
"""Called with a network's name and what builds it, returns the network."""

_maker: ContextVar[Maker | None] = ContextVar("maker", default=None)


@contextlib.contextmanager
def made_up(maker: Maker = lambda name, build: build()) -> Iterator[None]:
    """In this block the full-scale suites have random networks of the true shapes, and no file of theirs is read.

    Each of them is made by `maker`, for a caller who wants to watch.
    """
    token = _maker.set(maker)
    try:
        yield
    finally:
        _maker.reset(token)


def load(name: str, released: Callable[[], Any], random: Callable[[], Any]) -> Any:
    """The network `name`: what `released` reads from files, or within `made_up` what `random` builds."""
    maker = _maker.get()
    return released() if maker is None else maker(name, random)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class File(_Frozen):
    """One file of a network."""

    name: str
    """Its path below the network's folder."""
    sha256: str | None = None
    """Its published hash; None where nobody published one."""
    size: int | None = None
    """Its length in bytes, where that is known."""


class Network(_Frozen):
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
    with open(path, "rb") as file:
        listed = tomllib.load(file)
    return {name: Network(name=name, **entry) for name, entry in listed.items()}


def networks() -> dict[str, Network]:
    """Every network of weights.toml by name."""
    return _read(MANIFEST)


def network(name: str) -> Network:
    """The network that is called `name`, or is asked for by it. Raises UserError with the nearest names."""
    for one in networks().values():
        if name == one.name or name in one.also:
            return one
    raise unknown("network", name, networks())


def folder() -> Path:
    """Where `bench fetch` puts what comes from plain links: BENCH_WEIGHTS, else `weights` in the user's cache."""
    given = os.environ.get("BENCH_WEIGHTS")
    return Path(given).expanduser() if given else cache_dir() / "weights"


def target(one: Network) -> Path:
    """The folder that a network's files are downloaded to, where they do not come from the hub."""
    return _torch_hub() if one.torch_hub and not os.environ.get("BENCH_WEIGHTS") else folder() / one.name


def _torch_hub() -> Path:
    # torch.hub.get_dir() without importing torch
    cached = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    return Path(os.environ.get("TORCH_HOME", cached)).expanduser() / "hub" / "checkpoints"


def roots(one: Network) -> Iterator[Path]:
    """Where a network's files may lie, best first: one's own folder, what was fetched, torch's and the hub's caches."""
    for root in dict.fromkeys((folder(), cache_dir() / "weights")):
        yield root / one.name
        if len(one.files) == 1:
            yield root
    if one.torch_hub:
        yield _torch_hub()
    for source in one.sources:
        if source.startswith(HUB) and (cached := hub_root(source, one.files[0])) is not None:
            yield cached


def hub_root(source: str, file: File) -> Path | None:
    """The folder in the hub's cache that holds what comes from `source`; None if not even `file` does."""
    from huggingface_hub import try_to_load_from_cache

    kind, repo, revision, path = HubAddress.of(source.format(file.name))
    found = try_to_load_from_cache(repo, path, revision=revision, repo_type=kind)
    return Path(found).parents[len(Path(file.name).parts) - 1] if isinstance(found, str) else None


def absent(one: Network, root: Path) -> list[str]:
    """Names of the network's files that are not below `root`."""
    return [file.name for file in one.files if not (root / file.name).is_file()]


def located(one: Network) -> Path | None:
    """The first folder that holds all of a network's files, or None."""
    return next((root for root in roots(one) if not absent(one, root)), None)


def hash_of(path: Path) -> str:
    """sha256 of a file; remembered for as long as its size and time stay the same, for these files are large."""
    state = path.stat()
    key = digest([state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns])
    memory = cache_dir() / "hashes" / key[:40]
    if not memory.is_file():
        write_atomic(memory, sha256_of(path))
    return memory.read_text(encoding="ascii")


def hash_at(one: Network, root: Path) -> str:
    """What identifies a network's files below `root`: the sha256 of the only one, or that of all their hashes."""
    if len(one.files) == 1:
        return hash_of(root / one.files[0].name)
    return digest({file.name: hash_of(root / file.name) for file in one.files})


def wrong(one: Network, root: Path) -> list[str]:
    """A line for each file below `root` that is not what was published."""
    problems = []
    for file in one.files:
        if file.sha256 is not None and (found := hash_of(root / file.name)) != file.sha256:
            problems.append(f"{root / file.name} has sha256 {found[:12]}..., {file.sha256[:12]}... was published")
    return problems


def in_use(named: Mapping[str, str]) -> dict[str, str]:
    """`named` (as in a suite's file), each address replaced by the hash of what lies here; it stays if nothing does."""
    found = dict(named)
    if _maker.get() is not None:
        return found
    for name, value in named.items():
        if "://" in value and (root := located(network(name))) is not None:
            found[name] = hash_at(network(name), root)
    return found


def checked(suite: Suite, name: str) -> Path:
    """The folder with the files of the suite's network `name`, compared with the published hashes.

    Raises RunError, with the way out, for what is missing or is not what was published.
    """
    one = network(name)
    root = located(one)
    if root is None:
        raise RunError(
            f"{one.title} is not on this machine: `bench fetch --suite {suite.base} {one.name}` gets it "
            f"({one.size / 1e9:.2g} GB), or put {one.files[0].name if len(one.files) == 1 else 'its files'} "
            f"into {folder() / one.name}"
        )
    if problems := wrong(one, root):
        raise RunError("\n".join(f"{line}: delete it, and `bench fetch {one.name}` gets it again" for line in problems))
    return root
