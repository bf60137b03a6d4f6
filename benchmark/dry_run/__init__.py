"""Dry runs: estimates of a run's time and memory from a miniature of it."""
