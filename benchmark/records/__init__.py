"""Records of runs: their layout, where they lie, and what they were made with."""
