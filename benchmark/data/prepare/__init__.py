"""Preparation of VGGSound: from a folder of videos to shards that can be streamed."""
