"""The tests. A package only so that `python -m tests.campaigns` is ours, and not that of some installed `tests`."""
