# SPDX-License-Identifier: BSD-3-Clause
"""The systems that the datapath engines are timed on."""

from ntbbench.datapath.system import Cost, Costs, Draw, Flow, InterruptSource, Queue, System

US = 10**6
QUEUES = 4
SIZE = 65522


def system(dispatch: str, affinity: str, byte_fs: int, end_ps: int) -> System:
    """Four closed flows on four queues, whose vectors are on a CPU each ("spread") or on one."""
    every = (1 << QUEUES) - 1
    return System(
        receiver_cpus=QUEUES,
        sender_cpus=QUEUES,
        flows=tuple(
            Flow(n, QUEUES + n, SIZE, "closed", window=8, ack_ps=20 * US) for n in range(QUEUES)
        ),
        queues=tuple(Queue(n, n, 15, 15, 1 << n) for n in range(QUEUES)),
        sources=tuple(
            InterruptSource(
                n if affinity == "spread" else 0, (every if dispatch == "fallback" else 1 << n,)
            )
            for n in range(QUEUES)
        ),
        end_ps=end_ps,
        costs=Costs(
            send=Cost(2 * US, 3_000),
            link_ps=US,
            hardirq_ps=2 * US,
            scan_ps=US // 10,
            pass_ps=3 * US // 10,
            tasklet_ps=US // 2,
            wakeup_ps=5 * US,
            copy=Cost(2 * US, byte_fs, Draw("uniform", 20_000)),
        ),
    )


SLOW, FAST = 13_600_000, 13_000  # femtoseconds per byte: 74 MB/s, 77 GB/s
# By name: the system, and picoseconds for about a million events on it.
SYSTEMS = {
    "slow copy, per-vector, spread": ("per-vector", "spread", SLOW, 42 * 10**12),
    "slow copy, fallback, one CPU": ("fallback", "single", SLOW, 140 * 10**12),
    "fast copy, per-vector, spread": ("per-vector", "spread", FAST, 25 * 10**10),
    "fast copy, fallback, spread": ("fallback", "spread", FAST, 29 * 10**10),
    "fast copy, per-vector, one CPU": ("per-vector", "single", FAST, 10**12),
}
