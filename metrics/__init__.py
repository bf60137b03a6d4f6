"""Metrics of audio-to-image generation: pure functions over embeddings, and the frozen networks that compute them.

`similarity`, `content`, `frechet` and `statistics` hold the mathematics (NumPy; SciPy only for `welch_test`),
`definitions` the named metrics, `compute` their evaluation, and `encoders` and `scorers` the networks. Nothing is
imported here, so that importing one module does not load the others.
"""
