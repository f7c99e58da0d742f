# SPDX-License-Identifier: BSD-3-Clause
"""The boards of `ntbbench simulate --preset`; docs/simulate.md says where numbers are from."""

from ntbbench.datapath.scenario.sections import (
    MS,
    US,
    Device,
    Link,
    Receiver,
    Run,
    S,
    Scenario,
    Sender,
    Traffic,
)

NS = 10**3  # picoseconds

GENERIC = Scenario(
    name="generic",
    note="assumed costs of a server with cached windows; nothing is fitted to a measurement",
)

# Two R-Car S4 Spider boards, EP to RC, as in the list's measurement of the single queue
# (iperf3 -l 65480 -w 512M -P 4). `receiver.byte` is fitted to it with `ntbbench fit`; the ends of
# the published ranges (TCP 583-589, UDP 580-583 Mbit/s) stand in for runs, which nobody published.
RCAR_S4_SPIDER = Scenario(
    name="rcar-s4-spider",
    note="receiver.byte is fitted to the ends of the published single-queue ranges alone (TCP "
    "583-589, UDP 580-583 Mbit/s), which stand in for runs; the other costs are assumed, and "
    "whatever is not a single queue is a prediction",
    run=Run(warmup=500 * MS, duration=5 * S),
    device=Device(hardware="ntb_hw_epf-v4", doorbells=15, window_size=1 << 20),
    traffic=Traffic(flows=4, length=65480, window=512 << 20, ack=1 * MS, start=50 * MS),
    sender=Sender(cpus=8, packet=15 * US, byte=1_000_000, spread=20_000),
    link=Link(latency=2 * US, doorbell="msi"),
    receiver=Receiver(
        cpus=8,
        hardirq=4 * US,
        db_read=50 * NS,
        db_clear=100 * NS,
        scan=200 * NS,
        softirq=1 * US,
        tasklet=1 * US,
        spin=500 * NS,
        wakeup=20 * US,
        packet=20 * US,
        byte=13_320_000,
        spread=20_000,
    ),
)

BOARDS = {board.name: board for board in (GENERIC, RCAR_S4_SPIDER)}
