"""Helpers that know nothing of the field: errors, files, registry, environment, progress, processes, devices."""
