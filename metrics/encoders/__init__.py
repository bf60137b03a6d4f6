"""Frozen audio and image encoders that methods and scorers use."""
