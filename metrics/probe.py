"""What a classifier that learnt from true frames reads off generated images: who is shown, or which kind of person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metrics.similarity import Array, indices, unit

PENALTY = 1e-4
"""Weight of the squared norm of the probe's coefficients beside the mean cross-entropy."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Probe:
    """A linear classifier of image embeddings, and what it should read off each clip's images.

    It is multinomial logistic regression on embeddings of unit length, standardised over the frames it learns from:
    the W and b that minimise mean cross-entropy + `PENALTY` |W|^2, a convex problem with one solution.

    Raises:
        ValueError: Shapes do not fit together, a class has no frame to learn from, or a value is outside the classes.
    """

    names: Sequence[str]
    """K classes."""
    features: ArrayLike
    """(T, d) embeddings of the true frames to learn from, in the space of the images; none of them is a test clip's."""
    targets: ArrayLike
    """(T,) int, class of each of these frames."""
    wanted: ArrayLike
    """(M,) int, class that each test clip's images should show; -1 for a clip that the question is not about."""
    guess: ArrayLike | None = None
    """(M,) percentage that one gets for a clip who knows all but what is asked; None: one class in K, for all."""

    def __post_init__(self) -> None:
        classes = len(self.names)
        targets = indices(self.targets, "targets", len(np.asarray(self.features)), classes)
        unseen = [name for place, name in enumerate(self.names) if not np.any(targets == place)]
        if unseen:
            raise ValueError(f"no frame of {unseen[0]!r} to learn from")
        wanted = np.asarray(self.wanted)
        if wanted.ndim != 1 or not np.all((wanted >= -1) & (wanted < classes)):
            raise ValueError(f"`wanted` holds values outside -1 to {classes - 1}")

    @property
    def chance(self) -> float:
        """Percentage that guessing gets on the clips that the question is about."""
        asked = np.asarray(self.wanted) >= 0
        if self.guess is None or not asked.any():
            return 100.0 / len(self.names)
        return float(np.asarray(self.guess, dtype=np.float64)[asked].mean())

    def read(self, images: ArrayLike) -> NDArray[np.intp]:
        """Return the class that the probe sees in each image: (N,) int, the first of equals.

        Args:
            images: (N, d) embeddings.
        """
        mean, deviation, weights, bias = self._fitted
        scores = ((unit(images, "images") - mean) / deviation) @ weights + bias
        return scores.argmax(axis=1)

    def score(self, images: ArrayLike, owner: NDArray[np.intp]) -> Array:
        """Return 100 for each image that shows what its clip wants and 0 for another: (N,); NaN where nothing is asked.

        Args:
            images: (N, d) embeddings.
            owner: (N,) int, the clip of each image.
        """
        wanted = np.asarray(self.wanted)[owner]
        return np.where(wanted < 0, np.nan, np.where(self.read(images) == wanted, 100.0, 0.0))

    @cached_property
    def _fitted(self) -> tuple[Array, Array, Array, Array]:
        from scipy.optimize import minimize

        rows = unit(self.features, "features")
        mean, deviation = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-9)
        rows = (rows - mean) / deviation
        truth = np.eye(len(self.names))[np.asarray(self.targets)]
        shape = (rows.shape[1] + 1, len(self.names))

        def loss(flat: Array) -> tuple[float, Array]:
            parameters = flat.reshape(shape)
            logits = rows @ parameters[:-1] + parameters[-1]
            logits = logits - logits.max(axis=1, keepdims=True)
            log_sum = np.log(np.exp(logits).sum(axis=1, keepdims=True))
            error = (np.exp(logits - log_sum) - truth) / len(rows)
            gradient = np.concatenate([rows.T @ error + 2 * PENALTY * parameters[:-1], error.sum(axis=0)[None]])
            value = -((logits - log_sum) * truth).sum() / len(rows) + PENALTY * (parameters[:-1] ** 2).sum()
            return float(value), gradient.ravel()

        best = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
        parameters = best.reshape(shape)
        return mean, deviation, parameters[:-1], parameters[-1]
