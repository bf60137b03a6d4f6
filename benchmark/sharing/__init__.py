"""What a group gives to others beside its results: trained methods as model repositories, clips as described data."""
