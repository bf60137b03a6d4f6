"""Version 3 of the suite `mini`, whose networks are in training; until they are done, `benchmark.mini` is version 2."""
