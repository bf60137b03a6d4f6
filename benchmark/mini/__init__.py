"""The embedded suite `mini`: a generated world, its captions, its small networks and their weights."""
