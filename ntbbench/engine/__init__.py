# SPDX-License-Identifier: BSD-3-Clause
"""The counting kernels; the only importer of compiled modules."""

from ntbbench.engine.build import BUILD, Build
from ntbbench.engine.counts import Counts
from ntbbench.engine.kernels import KERNELS
from ntbbench.engine.run import Prepared, SegmentedRun, count, prepare

__all__ = ["BUILD", "KERNELS", "Build", "Counts", "Prepared", "SegmentedRun", "count", "prepare"]
