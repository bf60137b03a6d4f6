"""Trained weights that a setting names: AudioToken's published ones, or a file. They are identified by their hash."""

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
    """File of trained weights. Files of equal hash are equal, wherever they lie."""

    sha256: str
    """Hash of the file's bytes; in a dry run the address of the published file, which is not read."""
    setting: str = field(compare=False)
    """Name of the setting whose value it is."""
    network: str = field(compare=False)
    """Name of the published file in weights.toml."""
    path: Path | None = field(default=None, compare=False)
    """Path of the file; None where only its hash is known."""

    @property
    def name(self) -> str:
        """Name of the file."""
        return catalog.network(self.network).files[0].name if self.path is None else self.path.name

    def load(self, read: Callable[[Path], Any], substitute: Callable[[], Any]) -> Any:
        """Load the file; in a dry run of published weights, create a substitute instead.

        Args:
            read: Function that loads a file.
            substitute: Function that creates the substitute of a dry run.

        Returns:
            The result of the function called.

        Raises:
            UserError: The file is not known, or has changed since the run was planned.
        """
        if self.path is None:
            return stand_ins.load(self.network, lambda: read(self._file()), substitute)
        return read(self._file())

    def _file(self) -> Path:
        if self.path is None:
            raise UserError(
                f"{self.setting}={self.sha256}: no finished fit here holds this file, and a hash does not locate it: "
                f"--set {self.setting}=PATH"
            )
        try:
            found = sha256_of(self.path)
        except OSError as error:
            raise UserError(f"{self.setting}={self.path} cannot be read: {error.strerror or error}") from error
        if found != self.sha256:
            raise UserError(f"{self.path} was changed after the run was planned: start the run again")
        return self.path


def _given(setting: str, network: str, value: Any) -> Given | None:
    """Return the file that a setting's `value` names, or None.

    The value is a path, the folder of a fit, a sha256, the word `published`, or None.

    Raises:
        UserError: The file does not exist or cannot be read.
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
            f"{setting}={text}: there is no file {path}: give a file, the folder of a fit, or the word {PUBLISHED!r}"
        )
    try:
        return Given(locate.hash_of(path), setting, network, path.resolve())
    except OSError as error:
        raise UserError(f"{setting}={text} cannot be read: {error.strerror or error}") from error


def _inside(setting: str) -> str:
    """Return the name of the setting's file in the folder of a fit."""
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
"""Type of a setting that names an embedder; serialised as its sha256."""
GivenLora = Annotated[
    Given | None,
    PlainValidator(partial(_given, "lora", "audiotoken-lora")),
    PlainSerializer(_hash, return_type=str | None),
]
"""Type of a setting that names a LoRA of the U-Net; serialised as its sha256."""
