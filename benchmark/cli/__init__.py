"""The command line `bench`: thin verbs over the functions of this package. `benchmark.cli.app` lists them."""

from __future__ import annotations

from benchmark.cli.process import main

__all__ = ["main"]
