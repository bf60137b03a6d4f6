"""Released weights: the catalogue of networks, their location, download, and random replacements in a dry run."""
