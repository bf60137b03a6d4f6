"""Training data of a method that reads a prompt beside its audio: the clip's caption in one half of the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from audiotoken.training_data import Batch, TrainingData

if TYPE_CHECKING:
    import numpy as np


class Captioned(TrainingData):
    """Batches of other training data with a prompt for each clip: its label's, or in every other step an empty one.

    Which of the two is drawn for a whole step, with equal chances, by a generator that depends on the seed and the step
    alone (SonicDiffusion: `ldm/old_adapter_train.py`).

    Args:
        data: The training data.
        empty: (1, L, D) encoded empty prompt.
        captions: (C, L, D) encoded prompts of the labels.
        classes: Index of each training clip's label.
        seed: Seed of the draws.
    """

    def __init__(self, data: TrainingData, empty: Tensor, captions: Tensor, classes: np.ndarray, seed: int) -> None:
        self.data, self.width, self.device = data, data.width, data.device
        self.empty, self.captions, self.classes, self.seed = empty, captions, torch.from_numpy(classes), seed

    def batch(self, step: int, count: int) -> Batch:
        """Return this process's share of a step's clips, with prompts."""
        batch = self.data.batch(step, count)
        draw = torch.rand((), generator=torch.Generator().manual_seed((self.seed + 1) * 1_000_000_009 + step))
        if draw < 0.5:
            prompts = self.empty.expand(len(batch.positions), -1, -1)
        else:
            prompts = self.captions[self.classes[batch.positions].to(self.captions.device)]
        return batch._replace(prompts=prompts)
