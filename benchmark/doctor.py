"""What a suite needs, what of it is on this machine, and where the rest is to be had."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmark.registries import DATASETS
from benchmark.utils.errors import RunError, UserError
from benchmark.weights import catalog, locate
from benchmark.weights.download import free_space

if TYPE_CHECKING:
    from benchmark.dataset import DataState
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI
    from benchmark.weights.catalog import Network


@dataclass(frozen=True)
class Need:
    """One network of a suite. `state`: "there", "missing", or "wrong" (other bytes than were published)."""

    name: str
    title: str
    use: str
    state: str
    optional: bool
    detail: str
    """Where it lies, or what to do about it."""
    sha256: str | None
    """Of what lies here."""
    published: str | None
    """What it should be; None where nobody published a hash."""
    size: int
    """Bytes to download."""
    licence: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """The state of a suite on this machine.

    `complete`: nothing that is not optional is missing or wrong; some clips may be missing, but not all.
    """

    suite: str
    complete: bool
    needs: tuple[Need, ...]
    clips: DataState | None
    """None where the suite makes its clips itself."""
    to_fetch: int
    """Bytes of what is missing and not optional."""
    free: int
    """Bytes that are free where it would go."""
    device: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self)


def required(suite: Suite, only: list[str] | None = None) -> list[Network]:
    """The networks that `bench fetch` gets for a suite: those it cannot do without, or those called `only`.

    Raises UserError for a name that nobody knows, and for a suite whose networks all ship with the package.
    """
    if only:
        return list(dict.fromkeys(catalog.network(name) for name in only))
    listed = [one for one in _networks(locate.resolve(suite)) if isinstance(one, catalog.Network) and not one.optional]
    if not listed:
        raise UserError(f"suite {suite.name!r} has nothing to fetch: its networks ship with the package")
    return listed


def examine(suite: Suite, ui: UI) -> Report:
    """Look at every network of the suite; large files are hashed once and remembered."""
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
        f"{one.name}: nobody published its sha256, and a source may change; records hold the hash of what was used"
        for one in listed
        if isinstance(one, catalog.Network) and not one.pinned
    ]
    if to_fetch > free:
        notes.append(f"{locate.folder()} has {free / 1e9:.1f} GB left, {to_fetch / 1e9:.1f} GB are to be fetched")
    device, accelerated = _device()
    if suite.backbone.resolution >= 256 and not accelerated:
        notes.append("no GPU: a run at this resolution takes minutes a picture")
    clips = DATASETS.get(suite.data.source).state(suite)
    complete = not missing and (clips is None or clips.state in ("there", "incomplete"))
    return Report(suite.name, complete, tuple(needs), clips, to_fetch, free, device, tuple(notes))


def _networks(suite: Suite) -> list[Network | str]:
    """The suite's networks, each once; those that ship with the package by name."""
    known = {alias: one for one in catalog.networks().values() for alias in (one.name, *one.also)}
    names = [*suite.weights, *suite.encoders]
    packaged = suite.published is None
    listed: list[Network | str] = [name if packaged else known.get(name, name) for name in names]
    # without it there is no FID, but everything else
    inception = known["inception"].model_copy(update={"optional": True}) if packaged else known["inception"]
    # what methods may take besides, such as published weights in the place of a training
    besides = [] if packaged else [one for one in known.values() if one.optional]
    return list(dict.fromkeys([*listed, inception, *besides]))


def _released(one: Network) -> Need:
    root = locate.located(one)
    published = one.files[0].sha256 if len(one.files) == 1 else None
    name = f"bench fetch {one.name}"
    if root is not None:
        wrong = locate.wrong(one, root)
        detail = "; ".join(wrong) + f": delete it, and `{name}` gets it again" if wrong else str(root)
        state, found = "wrong" if wrong else "there", locate.hash_at(one, root)
    else:
        started = [place for place in locate.roots(one) if len(locate.absent(one, place)) < len(one.files)]
        gone = f" ({', '.join(locate.absent(one, started[0]))} missing in {started[0]})" if started else ""
        state, found, detail = "missing", None, f"`{name}`, or from {one.home}{gone}"
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
        tuple(source.removesuffix("/{}") for source in one.sources),
    )


def _packaged(suite: Suite, name: str) -> Need:
    from benchmark.mini.wiring import checked

    published = (suite.weights | suite.encoders)[name]
    try:
        state, detail = "there", str(checked(suite, name))
    except RunError as error:
        state, detail = "wrong" if "sha256" in str(error) else "missing", str(error)
    found = published if state == "there" else None
    return Need(name, name, "ships with the package", state, False, detail, found, published, 0, "Apache-2.0", ())


def _device() -> tuple[str, bool]:
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return f"cuda: {properties.name}, {properties.total_memory / 1e9:.0f} GB", True
    if torch.backends.mps.is_available():
        return "mps", True
    return f"cpu, {torch.get_num_threads()} threads", False
