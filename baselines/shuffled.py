"""`shuffled`: the floor, images of AudioToken's quality for the audio of other clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from audiotoken.method import AudioToken
from benchmark import Conditioning, MethodCard, RunContext

if TYPE_CHECKING:
    from benchmark import Clip


def derangement(count: int, seed: int) -> list[int]:
    """Return a random permutation of 0 .. `count` - 1 that keeps no item in place.

    The permutation has a single cycle (Sattolo's algorithm).

    Args:
        count: Number of items; a single one has the permutation [0].
        seed: Seed of the permutation.
    """
    order = list(range(count))
    rng = np.random.default_rng([seed, count])
    for last in range(count - 1, 0, -1):
        other = int(rng.integers(last))
        order[last], order[other] = order[other], order[last]
    return order


class Shuffled(AudioToken):
    """AudioToken (same fit, same noise) with the audio of another test clip."""

    card: ClassVar[MethodCard] = MethodCard(
        name="shuffled",
        summary="AudioToken fed with another clip's sound: the floor",
        sees=("other clips",),
        licence="Apache-2.0",
        training_data="the suite's training split, through audiotoken's fit of the same seed",
        weights="the suite's BEATs",
    )

    def fit_identity(self) -> tuple[str, dict[str, object]]:
        """Return the name and settings of AudioToken, whose fit is used."""
        return AudioToken.card.name, self.settings.model_dump(mode="json", exclude_none=True)

    def setup(self, run: RunContext) -> None:
        """Load AudioToken's encoder, and assign another test clip to each."""
        super().setup(run)
        partners = derangement(len(run.test), run.seed)
        self._partner = {clip.id: run.test[partner] for clip, partner in zip(run.test, partners, strict=True)}

    def condition(self, clips: Sequence[Clip]) -> Conditioning:
        """Return AudioToken's conditioning of the clips assigned to `clips`."""
        return super().condition([self._partner[clip.id] for clip in clips])
