"""The method that stands for images made elsewhere, in any language."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast, get_args

from pydantic import Field

from benchmark.method import Method, MethodCard, MethodSettings, Sight
from benchmark.utils.errors import RunError, unknown

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark.clips import Clip


class ImageSettings(MethodSettings):
    """What tells one set of images from another."""

    pictures: str = ""
    """First 16 hexadecimal digits of the sha256 of all images' pixels."""
    images_per_clip: int = Field(1, ge=1)
    """Images of each clip; scores are averaged over them, so that a clip counts once."""


class ExternalImages(Method):
    """Base of the methods that stand for images made elsewhere; `external_method` makes one of a name."""

    Settings: ClassVar[type[MethodSettings]] = ImageSettings
    random = False

    def generate(self, clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image]:
        """Refuse: the images exist already."""
        raise RunError(f"the images of {self.card.name!r} were made elsewhere: `bench score DIR` takes them in")


def external_method(name: str, sees: Iterable[str]) -> type[ExternalImages]:
    """Return a method class called `name`, whose card says what its images were made from.

    Raises:
        UserError: `sees` holds something that no card knows.
    """
    given = tuple(sees)
    for sight in given:
        if sight not in get_args(Sight):
            raise unknown("sight of --sees", sight, get_args(Sight))

    class Named(ExternalImages):
        card = MethodCard(
            name=name,
            summary="pictures made elsewhere",
            sees=cast("tuple[Sight, ...]", given),
            licence="unknown",
            training_data="unknown",
            notes="How they were made was not checked; what it sees is what was said when they were scored.",
        )

    return Named
