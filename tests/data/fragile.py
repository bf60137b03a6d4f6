"""Work for other processes, which import it by name."""

from __future__ import annotations

import os
import time


def tenfold(job: int) -> int:
    """Ten times the job, slowly at first; negative jobs end the process."""
    if job < 0:
        os._exit(1)
    time.sleep(0.1 if job == 0 else 0)
    return 10 * job
