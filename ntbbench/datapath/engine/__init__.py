# SPDX-License-Identifier: BSD-3-Clause
"""The datapath simulator: one point in, its counts out; docs/datapath.md."""

from ntbbench.datapath.engine.simulate import ENGINES, simulate, simulate_logged

__all__ = ["ENGINES", "simulate", "simulate_logged"]
