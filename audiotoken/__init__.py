"""AudioToken (arXiv 2305.13050) as a method of the benchmark and as a diffusers pipeline."""
