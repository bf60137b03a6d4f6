"""Baselines: one method per file, named as on the command line."""

import benchmark  # noqa: F401  # which finds the modules of this package that have moved
