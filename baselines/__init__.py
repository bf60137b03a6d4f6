"""Baselines: one method per file, named as on the command line."""
