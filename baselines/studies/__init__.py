"""Studies of the baselines: programs that answer one question each."""
