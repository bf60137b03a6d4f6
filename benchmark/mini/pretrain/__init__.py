"""Pretraining of the networks of the suite `mini` from scratch."""
