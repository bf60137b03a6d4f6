"""Leaderboards: built from records and nothing else, compared, and written in every format."""
