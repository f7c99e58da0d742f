# SPDX-License-Identifier: BSD-3-Clause
"""The datapath simulator: one point in, its counts out; docs/datapath.md."""

from ntbbench.core.names import unknown
from ntbbench.datapath.engine import _datapath_heap, _datapath_slots, buffers, reference
from ntbbench.datapath.engine.engine_plan import outcome, plan
from ntbbench.datapath.outcome import Logged, SystemOutcome
from ntbbench.datapath.system import System, check_range, check_system

COMPILED = {
    "specialised": buffers.Engine(_datapath_slots.run, buffers.slots_of),
    "general": buffers.Engine(_datapath_heap.run, buffers.heap_of),
}
ENGINES = (*COMPILED, "reference")
SEED_MAX = (1 << 64) - 1
LOG_MAX = 10**7


def simulate(system: System, seed: int, engine: str = "specialised") -> SystemOutcome:
    """Simulate one point.

    The system and the seed (u64) decide everything: all `ENGINES` give the same outcome.
    InputError: names the field of the system that is out of range, and what is allowed.
    """
    return simulate_logged(system, seed, engine, capacity=0)[0]


def simulate_logged(
    system: System, seed: int, engine: str = "specialised", *, capacity: int = 100_000
) -> tuple[SystemOutcome, tuple[Logged, ...]]:
    """Simulate one point and keep the first `capacity` (0 .. 10**7) rows of its event log."""
    check_system(system)
    check_range("seed", seed, 0, SEED_MAX)
    check_range("capacity", capacity, 0, LOG_MAX)
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    resolved = plan(system)
    if engine == "reference":
        run, rows = reference.run(resolved, seed, capacity)
    else:
        run, rows = buffers.run(resolved, seed, COMPILED[engine], capacity)
    return outcome(resolved, run), tuple(Logged(*row) for row in rows)
