"""`label-painter`: `tagger-text` with the label written into the picture, for scorers that can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from PIL import Image, ImageDraw, ImageFont

from baselines.tagger_text import TaggerText
from benchmark import MethodCard

if TYPE_CHECKING:
    from benchmark import Clip

BAND = 0.2
"""Share of the image's height that the writing may take."""


def write_below(image: Image.Image, text: str) -> Image.Image:
    """Return a copy of an image with a text in black on a white band at its lower edge, as large as fits."""
    width, height = image.size
    most = max(8, round(BAND * height))
    font = next(
        (font for size in range(most, 4, -1) if (font := ImageFont.load_default(size)).getlength(text) <= width - 2),
        ImageFont.load_default(5),
    )
    made = image.copy()
    pen = ImageDraw.Draw(made)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    pen.rectangle((0, height - (bottom - top) - 3, width, height), fill="white")
    pen.text(((width - (right - left)) / 2 - left, height - (bottom - top) - 2 - top), text, fill="black", font=font)
    return made


class LabelPainter(TaggerText):
    """Typographic attack (Goh et al. 2021, distill.pub/2021/multimodal-neurons): the heard label, in letters."""

    card: ClassVar[MethodCard] = TaggerText.card.model_copy(
        update={
            "name": "label-painter",
            "summary": "tagger-text, with the label that was heard written into the picture",
            "notes": None,
            "attack": "writes the class into the picture: a scorer that reads takes the word for the thing",
        }
    )

    def generate(self, clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image.Image]:
        """Return tagger-text's images with each clip's label at the lower edge."""
        drawn = super().generate(clips, seeds)
        return [write_below(image, label) for image, label in zip(drawn, self.choose(clips), strict=True)]
