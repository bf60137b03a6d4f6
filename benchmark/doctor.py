"""What a suite needs, what of it is on this machine, and where the rest is to be had."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from benchmark import weights
from benchmark.errors import RunError, UserError
from benchmark.fetch import free_space

if TYPE_CHECKING:
    from benchmark.suite import Suite
    from benchmark.ui import UI
    from benchmark.weights import Network


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
class Clips:
    """The clips of a suite, where they are prepared from files of the user.

    `state`: "there", "incomplete" (some clips are missing), "missing", "unfinished", or "wrong" (damaged, or prepared
    otherwise than the suite wants); only with the first two the suite can be run.
    """

    state: Literal["there", "incomplete", "missing", "unfinished", "wrong"]
    folder: str
    train: int = 0
    """Clips that are there."""
    train_of: int = 0
    """Clips that the suite lists."""
    test: int = 0
    test_of: int = 0
    board: str = ""
    """The suite that a run on these test clips belongs to."""
    labels: str = ""
    """Whose labels are there: "vggsound", or "vggsound, vggsounder"."""
    train_frame: str = ""
    test_frame: str = ""
    """Rule by which frames were taken."""
    problems: tuple[str, ...] = ()
    """What to do about it."""

    def lines(self) -> list[str]:
        """The same for people."""
        if not self.board:
            return [f"{self.state}: {problem}" for problem in self.problems]
        return [
            f"{self.state}: {self.test:,} of {self.test_of:,} test clips, {self.train:,} of {self.train_of:,} training "
            f"clips in {self.folder}; runs are of suite {self.board}",
            f"labels of {self.labels}; frames: {self.train_frame} (training), {self.test_frame} (test)",
            *self.problems,
        ]


@dataclass(frozen=True)
class Report:
    """The state of a suite on this machine.

    `complete`: nothing that is not optional is missing or wrong; some clips may be missing, but not all.
    """

    suite: str
    complete: bool
    needs: tuple[Need, ...]
    clips: Clips | None
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
        return list(dict.fromkeys(weights.network(name) for name in only))
    listed = [one for one in _networks(suite) if isinstance(one, weights.Network) and not one.optional]
    if not listed:
        raise UserError(f"suite {suite.name!r} has nothing to fetch: its networks ship with the package")
    return listed


def examine(suite: Suite, ui: UI) -> Report:
    """Look at every network of the suite; large files are hashed once and remembered."""
    listed = _networks(suite)
    needs = []
    with ui.task("checking weights", len(listed), "networks") as advance:
        for one in listed:
            needs.append(_released(one) if isinstance(one, weights.Network) else _packaged(suite, one))
            advance(1)
    missing = [need for need in needs if need.state != "there" and not need.optional]
    to_fetch, free = sum(need.size for need in missing), free_space(weights.folder())
    notes = [
        f"{one.name}: nobody published its sha256, and a source may change; records hold the hash of what was used"
        for one in listed
        if isinstance(one, weights.Network) and not one.pinned
    ]
    if to_fetch > free:
        notes.append(f"{weights.folder()} has {free / 1e9:.1f} GB left, {to_fetch / 1e9:.1f} GB are to be fetched")
    device, accelerated = _device()
    if suite.backbone.resolution >= 256 and not accelerated:
        notes.append("no GPU: a run at this resolution takes minutes a picture")
    clips = _clips(suite) if suite.data.source == "vggsound" else None
    complete = not missing and (clips is None or clips.state in ("there", "incomplete"))
    return Report(suite.name, complete, tuple(needs), clips, to_fetch, free, device, tuple(notes))


def _clips(suite: Suite) -> Clips:
    from benchmark.datasets.vggsound import Prepared, data_dir

    folder = data_dir() / "vggsound"
    try:
        prepared = Prepared.read(folder)
    except UserError as error:
        done, begun = ((folder / name).exists() for name in ("dataset.json", "plan.json"))
        return Clips(
            "wrong" if done else "unfinished" if begun else "missing", str(folder), problems=tuple(error.problems)
        )
    train, test = (len(prepared.ids(split)) for split in ("train", "test"))
    problems = list(dict.fromkeys(line for split in ("train", "test") for line in prepared.unfit(suite, split)))
    if not test:
        problems.append(f"{folder} holds no test clip: the videos or the list are of other splits")
    whole = test == suite.data.test and train == suite.data.train
    return Clips(
        "wrong" if problems else "there" if whole else "incomplete",
        str(folder), train, suite.data.train, test, suite.data.test, suite.as_present("test").name,
        "vggsound" if prepared.facts["vggsounder"] is None else "vggsound, vggsounder",
        prepared.facts["train_frame"], prepared.facts["test_frame"], tuple(problems),
    )  # fmt: skip


def _networks(suite: Suite) -> list[Network | str]:
    """The suite's networks, each once; those that ship with the package by name."""
    known = {alias: one for one in weights.networks().values() for alias in (one.name, *one.also)}
    names = [*suite.weights, *suite.encoders]
    packaged = suite.published is None
    listed: list[Network | str] = [name if packaged else known.get(name, name) for name in names]
    # without it there is no FID, but everything else
    inception = known["inception"].model_copy(update={"optional": True}) if packaged else known["inception"]
    # what methods may take besides, such as published weights in the place of a training
    besides = [] if packaged else [one for one in known.values() if one.optional]
    return list(dict.fromkeys([*listed, inception, *besides]))


def _released(one: Network) -> Need:
    root = weights.located(one)
    published = one.files[0].sha256 if len(one.files) == 1 else None
    name = f"bench fetch {one.name}"
    if root is not None:
        wrong = weights.wrong(one, root)
        detail = "; ".join(wrong) + f": delete it, and `{name}` gets it again" if wrong else str(root)
        state, found = "wrong" if wrong else "there", weights.hash_at(one, root)
    else:
        started = [place for place in weights.roots(one) if len(weights.absent(one, place)) < len(one.files)]
        gone = f" ({', '.join(weights.absent(one, started[0]))} missing in {started[0]})" if started else ""
        state, found, detail = "missing", None, f"`{name}`, or from {one.home}{gone}"
    return Need(
        one.name, one.title, one.use, state, one.optional, detail, found, published, one.size, one.licence,
        tuple(source.removesuffix("/{}") for source in one.sources),
    )  # fmt: skip


def _packaged(suite: Suite, name: str) -> Need:
    from benchmark.mini.dataset import checked

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
