# SPDX-License-Identifier: BSD-3-Clause
"""One seeded system's full event log, kept as a file: no engine and no platform may change it.

`python tests/test_engine_datapath_golden.py` writes it anew, where the model was meant to change.
"""

from pathlib import Path

import pytest

from ntbbench.datapath.engine import ENGINES, simulate_logged
from ntbbench.datapath.system import (
    Cost,
    Costs,
    Deferral,
    Draw,
    Flow,
    Queue,
    Source,
    System,
    Transmit,
)

GOLDEN = Path(__file__).parents[2] / "data" / "datapath-events.txt"
US = 10**6
SEED = 20260306
SYSTEM = System(
    receiver_cpus=2,
    sender_cpus=2,
    flows=(
        Flow(0, 2, 1500, "closed", window=3, ack_ps=4 * US),
        Flow(1, 3, 9000, "open", gap_ps=9 * US, gap_draw=Draw("exponential"), backlog=2),
        Flow(1, 2, 64, "back-to-back", start_ps=50 * US),
    ),
    queues=(Queue(0, 0, 8, 8, 1), Queue(1, 1, 12, 4, 2), Queue(3, 1, 12, 12, 8)),
    sources=(Source(0, (0b1011,)), Source(1, (0b1011,))),
    end_ps=400 * US,
    costs=Costs(
        send=Cost(US, 300_000, Draw("uniform", 100_000)),
        link_ps=US,
        hardirq_ps=US,
        db_read_ps=US // 2,
        db_clear_ps=US // 4,
        scan_ps=US // 10,
        pass_ps=US // 5,
        tasklet_ps=US // 5,
        spin_ps=US // 2,
        wakeup_ps=3 * US,
        copy=Cost(2 * US, 500_000, Draw("exponential")),
    ),
    transmit=Transmit(tx_stop=3, tx_start=5),
    deferral=Deferral(2 * US, Draw("uniform", 500_000), US // 2),
    jiffy_ps=100 * US,
)


def event_log(engine: str) -> str:
    outcome, log = simulate_logged(SYSTEM, SEED, engine)
    lines = [f"{r.time_ps:>10} {r.happening.name} {r.cpu} {r.index} {r.value}" for r in log]
    return "\n".join([*lines, f"events {outcome.events}", f"{outcome.queues[1]}", ""])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_event_log_is_the_one_on_file(engine: str) -> None:
    assert event_log(engine) == GOLDEN.read_text()


if __name__ == "__main__":
    GOLDEN.write_text(event_log("reference"))
