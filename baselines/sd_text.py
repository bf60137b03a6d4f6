"""`sd-text`: images of the backbone for the true label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from benchmark import Conditioning, ConditioningMethod, MethodCard

if TYPE_CHECKING:
    from benchmark import Clip


class SDText(ConditioningMethod):
    """True label in the suite's prompt template."""

    card: ClassVar[MethodCard] = MethodCard(
        name="sd-text",
        summary="the true label as a text prompt",
        sees=("label",),
        paper="row 'SD (Text)' of arXiv 2305.13050, table 1",
        licence="Apache-2.0",
        training_data="none beyond the backbone's own",
    )

    def condition(self, clips: Sequence[Clip]) -> Conditioning:
        """Return the conditioning of each clip's label."""
        backbone = self.run.backbone
        return Conditioning(backbone.encode_prompts([backbone.prompt(clip.label) for clip in clips]))
