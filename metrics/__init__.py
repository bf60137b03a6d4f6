"""Metrics of audio-to-image generation: pure functions over embeddings, and the frozen networks that make embeddings.

`similarity`, `content`, `frechet` and `statistics` hold the mathematics (numpy only), `catalog` the names,
definitions and `compute`. Nothing is imported here, so that no caller pays for what it does not use.
"""
