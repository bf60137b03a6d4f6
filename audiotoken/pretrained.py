"""Trained weights that a setting names: AudioToken's published ones, or a file. They are known by their hash."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

from benchmark.utils.errors import UserError
from benchmark.utils.files import sha256_of
from benchmark.weights import catalog, locate, stand_ins

PUBLISHED = "published"


@dataclass(frozen=True)
class Given:
    """A file of trained weights. What matters is what it holds: equal hashes are equal, wherever the files lie."""

    sha256: str
    """Of its bytes; in a dry run the address of the published file, which is not read."""
    setting: str = field(compare=False)
    """Name of the setting that it is the value of."""
    network: str = field(compare=False)
    """The published file's name in weights.toml."""
    path: Path | None = field(default=None, compare=False)
    """None where it is known by its hash alone."""

    @property
    def name(self) -> str:
        """The file's name."""
        return catalog.network(self.network).files[0].name if self.path is None else self.path.name

    def load(self, read: Callable[[Path], Any], made_up: Callable[[], Any]) -> Any:
        """What `read` makes of the file; in a dry run of published weights what `made_up` builds.

        Raises UserError where the file is not known, or not any more what it was when the run was planned.
        """
        if self.path is None:
            return stand_ins.load(self.network, lambda: read(self._file()), made_up)
        return read(self._file())

    def _file(self) -> Path:
        if self.path is None:
            raise UserError(
                f"{self.setting}={self.sha256}: no finished fit here holds this file, and a hash says not where it "
                f"lies: --set {self.setting}=PATH"
            )
        try:
            found = sha256_of(self.path)
        except OSError as error:
            raise UserError(f"{self.setting}={self.path} cannot be read: {error.strerror or error}") from error
        if found != self.sha256:
            raise UserError(f"{self.path} was changed after the run was planned: start again")
        return self.path


def _given(setting: str, network: str, value: Any) -> Given | None:
    """The file that `value` names: None for none, a path, the folder of a fit, a sha256, or the word `published`.

    Raises UserError for a file that is not there.
    """
    if value is None or isinstance(value, Given):
        return value
    text = str(value)
    if text == PUBLISHED:
        one = catalog.network(network)
        unread = Given(one.identity, setting, network)
        return stand_ins.load(network, lambda: _published(setting, one), lambda: unread)
    path = Path(text).expanduser()
    if path.is_dir():
        path /= _inside(setting)
    if re.fullmatch("[0-9a-f]{64}", text) and not path.exists():
        return Given(text, setting, network)
    if not path.is_file():
        raise UserError(
            f"{setting}={text}: there is no file {path}: name a file, the folder of a fit, or the word {PUBLISHED!r}"
        )
    try:
        return Given(locate.hash_of(path), setting, network, path.resolve())
    except OSError as error:
        raise UserError(f"{setting}={text} cannot be read: {error.strerror or error}") from error


def _inside(setting: str) -> str:
    """The file's name in the folder of a fit."""
    if setting == "embedder":
        return "embedder.safetensors"
    from audiotoken.lora import FILE

    return FILE


def _published(setting: str, one: catalog.Network) -> Given:
    root = locate.located(one)
    if root is None:
        raise UserError(
            f"{setting}={PUBLISHED}: {one.title} is not on this machine: `bench fetch {one.name}` gets it "
            f"({one.size / 1e6:.2g} MB)"
        )
    if problems := locate.wrong(one, root):
        raise UserError([f"{line}: delete it, and `bench fetch {one.name}` gets it again" for line in problems])
    path = root / one.files[0].name
    return Given(locate.hash_of(path), setting, one.name, path)


def _hash(given: Given | None) -> str | None:
    return None if given is None else given.sha256


GivenEmbedder = Annotated[
    Given | None,
    PlainValidator(partial(_given, "embedder", "audiotoken-embedder")),
    PlainSerializer(_hash, return_type=str | None),
]
"""Type of a setting that names an embedder; written down as its sha256."""
GivenLora = Annotated[
    Given | None,
    PlainValidator(partial(_given, "lora", "audiotoken-lora")),
    PlainSerializer(_hash, return_type=str | None),
]
"""The same of a LoRA of the U-Net."""
