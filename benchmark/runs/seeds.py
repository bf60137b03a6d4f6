"""Seeds of the sampler's noise: each image has its own, which follows from suite, run, clip and number."""

from __future__ import annotations

import hashlib

MAX_SEED = 2**32 - 1
"""Largest seed of a run; larger ones would overflow the seeds that training derives from them."""


def image_seed(suite_seed: int, run_seed: int, clip_id: str, image: int) -> int:
    """Return the seed of one image's noise: the first 63 bits of sha256("suite seed/run seed/clip id/image").

    So batches, order, resuming and the number of processes do not change an image, and methods that run with the same
    seed share their noise (paired comparisons).
    """
    text = f"{suite_seed}/{run_seed}/{clip_id}/{image}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
