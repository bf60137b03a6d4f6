"""`reference`: the true frames themselves, the ceiling that the scorers allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from benchmark import Method, MethodCard
from benchmark.media.images import resize

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark import Clip


class Reference(Method):
    """Each clip's own frame, resized to the suite's resolution; it depends on no seed."""

    card: ClassVar[MethodCard] = MethodCard(
        name="reference",
        summary="the true frames: the ceiling",
        sees=("frame",),
        paper="row 'Reference' of arXiv 2305.13050, table 1",
        licence="Apache-2.0",
        training_data="none",
    )
    random = False
    draws = False

    def generate(self, clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image]:
        """Return the clips' frames as images."""
        spec = self.run.suite.backbone
        return [resize(clip.picture(), spec.resolution, spec.resize) for clip in clips]
