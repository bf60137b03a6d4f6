"""Requirements of a suite: which are met on this machine, and where to get the others."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmark.registries import DATASETS
from benchmark.utils.errors import RunError, UserError
from benchmark.weights import catalog, listing, locate, remarks
from benchmark.weights.download import free_space

if TYPE_CHECKING:
    from benchmark.dataset import DataState
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI
    from benchmark.weights.catalog import Network
    from benchmark.weights.listing import ListedFile


@dataclass(frozen=True)
class Need:
    """State of a network of a suite."""

    name: str
    """Name of the network."""
    title: str
    """Name and version for people."""
    use: str
    """What the suite uses it for."""
    state: str
    """One of "there", "missing", and "wrong" (other bytes than the published ones)."""
    optional: bool
    """Whether the suite can be run without it."""
    detail: str
    """Where it is, or how to get it."""
    sha256: str | None
    """Hash of the files on this machine."""
    published: str | None
    """Published hash; None if nobody published one."""
    size: int
    """Bytes to download."""
    licence: str
    """Licence of the weights."""
    sources: tuple[str, ...]
    """Addresses."""
    files: tuple[ListedFile, ...]
    """Its files; empty for a network that ships with the package."""


@dataclass(frozen=True)
class Report:
    """State of a suite on this machine."""

    suite: str
    """Name of the suite."""
    complete: bool
    """Whether every network that is not optional is present and right; some clips may be missing, but not all."""
    needs: tuple[Need, ...]
    """The networks."""
    clips: DataState | None
    """The clips; None if the suite generates them itself."""
    to_fetch: int
    """Bytes of missing networks that are not optional."""
    free: int
    """Free bytes of the disk to which they are downloaded."""
    device: str
    """Best device of this machine, with its memory or threads."""
    notes: tuple[str, ...]
    """Remarks."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return asdict(self)


def required(suite: Suite, only: list[str] | None = None) -> list[Network]:
    """Return the networks that `bench fetch` downloads for a suite.

    Args:
        suite: The suite.
        only: Names of the networks; None for all that are not optional.

    Raises:
        UserError: A name is unknown, or all networks of the suite ship with the package.
    """
    if only:
        return list(dict.fromkeys(catalog.network(name) for name in only))
    wanted = [one for one in released(suite) if not one.optional]
    if not wanted:
        raise UserError(
            f"suite {suite.name!r} has nothing to fetch, as its networks ship with the package: name another one, such "
            "as --suite vggsound"
        )
    return wanted


def released(suite: Suite) -> list[Network]:
    """Return the networks of a suite that do not ship with the package, the optional ones last."""
    listed = [one for one in _networks(locate.resolve(suite)) if isinstance(one, catalog.Network)]
    return sorted(listed, key=lambda one: one.optional)


def examine(suite: Suite, ui: UI) -> Report:
    """Check every network of a suite and its clips; large files are hashed once, and the hashes are cached."""
    suite = locate.resolve(suite)
    listed = _networks(suite)
    needs = []
    with ui.task("checking weights", len(listed), "networks") as advance:
        for one in listed:
            needs.append(_released(one) if isinstance(one, catalog.Network) else _packaged(suite, one))
            advance(1)
    missing = [need for need in needs if need.state != "there" and not need.optional]
    to_fetch, free = sum(need.size for need in missing), free_space(locate.folder())
    notes = [
        f"{one.name}: nobody published its sha256, and a source may change; records state the hash of the file used"
        for one in listed
        if isinstance(one, catalog.Network) and not one.pinned and not one.sources[0].startswith(catalog.MADE)
    ]
    notes += remarks.on_folder([one for one in listed if isinstance(one, catalog.Network) and not one.optional])
    if to_fetch > free:
        notes.append(f"{locate.folder()} has {free / 1e9:.1f} GB left, the downloads need {to_fetch / 1e9:.1f} GB")
    device, accelerated = _device()
    if suite.backbone.resolution >= 256 and not accelerated:
        notes.append("no GPU: a run at this resolution takes minutes per image")
    clips = DATASETS.get(suite.data.source).state(suite)
    complete = not missing and (clips is None or clips.state in ("there", "incomplete"))
    return Report(suite.name, complete, tuple(needs), clips, to_fetch, free, device, tuple(notes))


def _networks(suite: Suite) -> list[Network | str]:
    """Return the suite's networks, each once; networks that ship with the package are given by name."""
    known = {alias: one for one in catalog.networks().values() for alias in (one.name, *one.also)}
    names = [*suite.weights, *suite.encoders]
    packaged = suite.published is None
    listed: list[Network | str] = [
        name if packaged or name not in known else locate.entry(suite, name) for name in names
    ]
    inception = locate.entry(suite, "inception")
    if packaged:  # only FID needs it
        inception = inception.model_copy(update={"optional": True})
    # Networks of some methods, such as published weights instead of a training.
    besides = [] if packaged or suite.variant else [one for one in known.values() if one.optional]
    return list(dict.fromkeys([*listed, inception, *besides]))


def _released(one: Network) -> Need:
    root = locate.located(one)
    published = one.files[0].sha256 if len(one.files) == 1 else None
    name = f"bench fetch {one.name}"
    if root is not None:
        wrong = locate.wrong(one, root)
        detail = "; ".join(wrong) + f": delete it, and `{name}` gets it again" if wrong else str(root)
        if not wrong and (file := locate.linked(one, root)) is not None:
            detail = f"{file}, recognised by its hash"
        state, found = "wrong" if wrong else "there", locate.hash_at(one, root)
    else:
        started = [place for place in locate.roots(one) if len(locate.absent(one, place)) < len(one.files)]
        gone = f" ({', '.join(locate.absent(one, started[0]))} missing in {started[0]})" if started else ""
        made = one.sources[0].startswith(catalog.MADE)
        how = "`bench tiny DIR` writes it to DIR/weights" if made else f"`{name}`, or from {one.home}"
        state, found, detail = "missing", None, how + gone
    return Need(
        one.name,
        one.title,
        one.use,
        state,
        one.optional,
        detail,
        found,
        published,
        one.size,
        one.licence,
        tuple(source.removesuffix("/{}") for source in locate.sources(one)),
        tuple(listing.files([one])),
    )


def _packaged(suite: Suite, name: str) -> Need:
    from benchmark.mini.wiring import checked

    published = (suite.weights | suite.encoders)[name]
    try:
        state, detail = "there", str(checked(suite, name))
    except RunError as error:
        state, detail = "wrong" if "sha256" in str(error) else "missing", str(error)
    found = published if state == "there" else None
    return Need(name, name, "ships with the package", state, False, detail, found, published, 0, "Apache-2.0", (), ())


def _device() -> tuple[str, bool]:
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return f"cuda: {properties.name}, {properties.total_memory / 1e9:.0f} GB", True
    if torch.backends.mps.is_available():
        return "mps", True
    return f"cpu, {torch.get_num_threads()} threads", False
