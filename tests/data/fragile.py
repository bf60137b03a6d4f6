"""Work for other processes, which import it by name."""

from __future__ import annotations

import os
import time


def tenfold(job: int) -> int:
    """Ten times the job, slowly at first; -1 ends the process, and -2 takes for ever."""
    if job == -1:
        os._exit(1)
    while job == -2:
        time.sleep(1)
    time.sleep(0.1 if job == 0 else 0)
    return 10 * job
