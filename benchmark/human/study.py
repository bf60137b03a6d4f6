"""A study's key: what was asked, on which sheets, and which run each picture is of. Raters must not see it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from benchmark.utils.errors import UserError, listed
from benchmark.utils.files import digest, read_file, write_atomic
from benchmark.utils.models import FrozenModel

KEY = "key.json"
LARGEST = 256_000_000
"""Bytes of a key that is read."""

Question = Literal["relevance", "pair"]
ANSWERS: dict[Question, tuple[int, ...]] = {"relevance": (1, 2, 3, 4, 5), "pair": (1, 2, 3)}
"""Possible answers: points, or 1 for the left picture, 2 for neither, 3 for the right one."""


class StudyRun(FrozenModel):
    """A run whose images are rated."""

    path: str
    """Its folder when the study was made."""
    identity: str
    """`run_identity` of its record."""
    images: str | None
    """`ImagesRef.sha256` of its record; None where it has none."""
    method: str
    """The method's name."""
    seed: int | None
    """The run's seed."""


class Item(FrozenModel):
    """What is judged in one answer: the images of a clip by one method, or by two."""

    clip: str
    """The clip's id."""
    runs: tuple[str, ...]
    """One run, or two, by their names in the study."""


class Trial(FrozenModel):
    """One question of a sheet."""

    item: str
    """What is shown."""
    swapped: bool = False
    """Whether the second of two images stands at the left."""
    expects: int | None = None
    """The answer that an attention check asks for; None for a rating."""


class Study(FrozenModel):
    """Everything that is needed to make sense of ratings."""

    format: Literal["bench human study 1"] = "bench human study 1"
    """What this file is."""
    id: str = ""
    """sha256 of all the rest."""
    question: Question
    """What is asked."""
    suite: str
    """Name of the suite."""
    fingerprint: str
    """Its protocol."""
    seed: int = Field(ge=0)
    """Where chance began."""
    made: str
    """When, in UTC."""
    runs: dict[str, StudyRun]
    """The runs by name: the method's, with the folder's where two runs are of one method."""
    clips: tuple[str, ...]
    """Ids of the clips."""
    items: dict[str, Item]
    """What is judged, by its blinded name."""
    sheets: tuple[tuple[Trial, ...], ...]
    """The trials of each sheet; sheets are numbered from 1."""

    @model_validator(mode="after")
    def _check(self) -> Study:
        own = digest(self.model_dump(mode="json", exclude={"id"}))
        if not self.id:
            self.__dict__["id"] = own
        elif self.id != own:
            raise ValueError("it is not as it was written: id and contents differ")
        return self

    @property
    def short(self) -> str:
        """The beginning of the id, as file names and messages show it."""
        return self.id[:8]

    def save(self, folder: Path) -> None:
        """Write the key into the study's folder, atomically."""
        write_atomic(folder / KEY, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Study:
        """Read a study's key. Raises UserError naming the file if it is missing, damaged or edited."""
        path = folder / KEY if folder.is_dir() else folder
        try:
            return cls.model_validate_json(read_file(path, LARGEST))
        except OSError as error:
            raise UserError(
                f"{path}: cannot be read ({error.strerror or error}): name the folder that `bench human build` wrote"
            ) from error
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, one['loc'])) or 'key'}: {one['msg']}" for one in error.errors()]
            raise UserError(
                listed([f"{path}: not the key of a study: {line.replace('Value error, ', '')}" for line in lines], 3)
            ) from error
