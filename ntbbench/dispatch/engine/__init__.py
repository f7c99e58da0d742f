# SPDX-License-Identifier: BSD-3-Clause
"""The counting kernels; the only importer of compiled modules.

Four queues without db_vector_mask: each doorbell schedules all of them.

>>> import numpy as np
>>> vectors = np.array([0, 1, 2, 3], np.uint8)
>>> rung = np.uint64(1) << vectors.astype(np.uint64)
>>> masks = np.full(4, 0b1111, np.uint64)
>>> counts = count("scan", vectors, rung, masks, qp_bitmap=0b1111, active=0b1111)
>>> counts.interrupts, counts.schedule_calls, counts.useful_wakeups, counts.spurious_wakeups
(4, 16, 4, 12)
"""

from ntbbench.dispatch.engine.counts import Counts
from ntbbench.dispatch.engine.kernels import KERNELS, Prepared, count, prepare

__all__ = ["KERNELS", "Counts", "Prepared", "count", "prepare"]
