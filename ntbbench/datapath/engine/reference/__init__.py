# SPDX-License-Identifier: BSD-3-Clause
"""The datapath in plain Python on a heapq: the specification that every compiled engine equals.

`machine` holds the state, `sender` and `receiver` say what happens, `cpus` who runs where, and
`loop` lets the time pass.
"""

from ntbbench.datapath.engine.reference.event_loop import run

__all__ = ["run"]
