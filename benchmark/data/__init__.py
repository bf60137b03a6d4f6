"""Data sets: a user's manifest, prepared VGGSound, clips in shards, coverage and export."""
