"""Decoding, conversion and writing of sounds and images."""
