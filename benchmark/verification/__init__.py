"""Results that nobody has to take on trust: rescoring, running again, bundles and their rules, attestations."""
