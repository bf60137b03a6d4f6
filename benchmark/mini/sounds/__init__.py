"""What the things of the `mini` world sound like: small physical models, a scene around each, and a microphone."""
