"""Metrics of audio-to-image generation: pure functions over embeddings, and the frozen networks that compute them.

`similarity`, `content`, `frechet` and `statistics` hold the mathematics (NumPy; SciPy only for `welch_test`),
`definitions` the named metrics, `compute` their evaluation, and `encoders` and `scorers` the networks. Nothing is
imported from them here, so that importing one module does not load the others.
"""

from pathlib import Path


def network_sources() -> list[Path]:
    """Return the source files of the networks and of their preprocessing: what an embedding depends on as code."""
    home = Path(__file__).parent
    return sorted([*home.glob("encoders/*.py"), *home.glob("scorers/*.py"), home / "preprocessing.py"])
