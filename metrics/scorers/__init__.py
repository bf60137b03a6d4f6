"""Frozen networks with their weights' hash and their own preprocessing, as things that embed or classify."""
