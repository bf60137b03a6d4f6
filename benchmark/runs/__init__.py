"""Runs: what is asked for, the steps fit, generate and score, and the record that comes out."""
