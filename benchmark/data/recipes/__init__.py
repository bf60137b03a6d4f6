"""Recipes: the field's data sets, as they are published, turned into manifests with fixed lists of clips."""
