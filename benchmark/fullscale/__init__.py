"""The full-scale suites' backbone, encoders and scorers: released weights, as `benchmark.registries` finds them."""
