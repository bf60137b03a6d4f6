"""The pictures of the `mini` world."""
