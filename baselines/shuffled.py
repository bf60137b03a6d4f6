"""The floor: pictures that are as good as AudioToken's, of the wrong sounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from audiotoken.method import AudioToken
from benchmark import Conditioning, MethodCard, RunContext

if TYPE_CHECKING:
    from benchmark import Clip


def derangement(count: int, seed: int) -> list[int]:
    """A random one-cycle permutation of 0..count-1 (Sattolo's algorithm): no item keeps its place; [0] for one item."""
    order = list(range(count))
    rng = np.random.default_rng([seed, count])
    for last in range(count - 1, 0, -1):
        other = int(rng.integers(last))
        order[last], order[other] = order[other], order[last]
    return order


class Shuffled(AudioToken):
    """AudioToken (the same fit, the same noise) fed with the sound of another test clip."""

    card: ClassVar[MethodCard] = MethodCard(
        name="shuffled",
        summary="AudioToken fed with another clip's sound: the floor",
        sees=("other clips",),
        licence="Apache-2.0",
        training_data="the suite's training split, through audiotoken's fit of the same seed",
        weights="the suite's BEATs",
    )

    def fit_identity(self) -> tuple[str, dict[str, object]]:
        return AudioToken.card.name, self.settings.model_dump(mode="json", exclude_none=True)

    def setup(self, run: RunContext) -> None:
        super().setup(run)
        partners = derangement(len(run.test), run.seed)
        self._partner = {clip.id: run.test[partner] for clip, partner in zip(run.test, partners, strict=True)}

    def condition(self, clips: Sequence[Clip]) -> Conditioning:
        return super().condition([self._partner[clip.id] for clip in clips])
