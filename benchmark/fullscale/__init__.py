"""Backbone, encoders and scorers of the full-scale suites from released weights."""
