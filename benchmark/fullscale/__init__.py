"""What the full-scale suites load: released weights, found by `benchmark.weights`, as the registries know them."""
