# SPDX-License-Identifier: BSD-3-Clause
"""The compiled engines against the reference: every row of the event log, every count."""

from datapath_systems import contended_systems, crowded_systems, systems
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ntbbench.datapath.engine import ENGINES, simulate, simulate_logged
from ntbbench.datapath.system import System

COMPILED = [engine for engine in ENGINES if engine != "reference"]
EXAMPLES = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@EXAMPLES
@given(system=systems() | contended_systems() | crowded_systems(), seed=st.integers(0, 2**64 - 1))
def test_engines_agree_event_by_event(system: System, seed: int) -> None:
    outcome, log = simulate_logged(system, seed, "reference", capacity=5000)
    for engine in COMPILED:
        other, other_log = simulate_logged(system, seed, engine, capacity=5000)
        for row, other_row in zip(log, other_log, strict=False):
            assert row == other_row, engine
        assert len(log) == len(other_log), engine
        assert outcome == other, engine
        assert simulate(system, seed, engine) == outcome, engine  # not changed by being watched
