"""Frozen networks that embed or classify, each with its own preprocessing and the hash of its weights."""
