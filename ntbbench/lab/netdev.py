# SPDX-License-Identifier: BSD-3-Clause
"""ntb_netdev on a real kernel: UDP flows between two network namespaces, by vector map."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ntbbench.capture.point import read_stats
from ntbbench.lab.build import Kernel, build, build_program
from ntbbench.lab.cache import Cache
from ntbbench.lab.errors import GuestError
from ntbbench.lab.guest import BOOT_SECONDS, Task, record, script
from ntbbench.lab.netdev_records import NetdevPoint, NetdevResult
from ntbbench.lab.qemu import KVM_OPTIONS, accelerator, loopback_machine

BYTES = 1400  # of a datagram: SIZE of guest/netdev
FLOW_SECONDS = 120.0
FAST_FACTOR = 20  # so that what happens once, at the start, weighs little
RECEIVER = 1  # the flows go from port 0 to port 1
LOOP_LINE = re.compile(r"port (\d+) bit (\d+) rung (\d+) delivered (\d+)")


@dataclass(frozen=True)
class NetdevPlan:
    """What to run: for each of `vectors` a spaced flow and one as fast as it goes.

    Parameters
    ----------
    vectors : 0: no vector callbacks; k: bit b belongs to vector b % k.
    queues : queues of each interface, where the kernel has multi-queue ntb_netdev.
    flows : UDP flows, which the stack hashes to queues.
    packets : datagrams a spaced flow; one as fast as it goes sends FAST_FACTOR times as many.
    gap_us : between two datagrams of the spaced flows.
    """

    vectors: tuple[int, ...] = (0, 16)
    queues: int = 4
    flows: int = 16
    packets: int = 10
    gap_us: int = 1000

    def task(self) -> Task:
        """Return what the guest does."""
        points = [(v, gap) for v in self.vectors for gap in (self.gap_us, 0)]
        names = tuple(f"vectors-{v}-{'spaced' if gap else 'fast'}" for v, gap in points)
        lines = tuple(
            f"{name} {v} {self.flows} {self.packets * (1 if gap else FAST_FACTOR)} {gap}\n"
            for name, (v, gap) in zip(names, points, strict=True)
        )
        seconds = BOOT_SECONDS + FLOW_SECONDS * len(points)
        return Task(script("netdev"), lines, names, seconds, {"QUEUES": self.queues})


def run_netdev(
    cache: Cache,
    kernel: Kernel,
    plan: NetdevPlan,
    folder: Path,
    *,
    say: Callable[[str], None],
    accel: str = "auto",
) -> NetdevResult:
    """Run the flows of `plan` on `kernel` and leave what was counted below `folder`.

    Raises
    ------
    BuildError, GuestError : the modules did not build, the guest did not finish.
    """
    modules = build(cache, kernel, say)
    options = accelerator(accel)
    task = plan.task()
    say(f"booting {kernel.label}: {len(task.names)} flows over ntb_netdev")
    recordings = record(
        task,
        folder,
        image=kernel.image,
        modules=modules,
        accel=options,
        machine=loopback_machine(),
        programs=(build_program(cache, "ntb_flow", say),),
    )
    spaced = (plan.gap_us, 0) * len(plan.vectors)
    vectors = [v for v in plan.vectors for _ in (0, 1)]
    points = zip(task.names, vectors, spaced, strict=True)
    ping = (folder / task.names[0] / "ping").read_text()
    return NetdevResult(
        kernel=recordings.release,
        kernel_source=kernel.label,
        accelerator="kvm" if options == KVM_OPTIONS else "tcg",
        ping=next((line for line in ping.splitlines() if "packet loss" in line), ping.strip()),
        points=[evaluate(folder / name, name, v, gap) for name, v, gap in points],
    )


def evaluate(folder: Path, name: str, vectors: int, gap_us: int) -> NetdevPoint:
    """Return the flows whose counters are in `folder`.

    Raises
    ------
    GuestError : a counter is missing.
    """
    try:
        sent, seconds = (folder / "sent").read_text().split()
        received = int((folder / "received").read_text())
        channels = (folder / "channels").read_text().split()
        rung, delivered = _doorbells(folder)
        runs = _runs(folder)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise GuestError(f"flows {name}: {error}") from error
    queues = min(int(count) for count in channels) if all(map(str.isdigit, channels)) else 1
    doorbells = [rung[qp] for qp in range(len(runs))]
    events = sum(delivered.values())
    expected = predicted_runs(doorbells, vectors) if gap_us else None
    return NetdevPoint(
        name=name,
        vectors=vectors,
        queues=queues,
        active_qps=len(runs),
        gap_us=gap_us,
        packets_sent=int(sent),
        packets_received=received,
        seconds=float(seconds),
        bits_per_second=received * BYTES * 8 / float(seconds),
        doorbells_per_qp=doorbells,
        events=events,
        runs_per_qp=runs,
        runs_per_event=sum(runs) / max(events, 1),
        predicted_runs_per_qp=expected,
        agrees=received == int(sent) == sum(doorbells) and expected in (None, runs),
    )


def predicted_runs(doorbells: list[int], vectors: int) -> list[int]:
    """Return each QP's runs for spaced doorbells: one for each event that wakes it, one for itself.

    ntb_netdev posts a buffer for each packet, which schedules the tasklet of that QP once more; the
    race check then meets it scheduled.

    Source: Linux 7.3, drivers/ntb/ntb_transport.c (ntb_transport_doorbell_callback,
    ntb_transport_rxc_db, ntb_transport_rx_enqueue), drivers/net/ntb_netdev.c.
    """

    def wakes(bit: int, qp_num: int) -> bool:
        return vectors == 0 or bit % vectors == qp_num % vectors

    return [
        own + sum(count for bit, count in enumerate(doorbells) if wakes(bit, qp_num))
        for qp_num, own in enumerate(doorbells)
    ]


def _doorbells(folder: Path) -> tuple[dict[int, int], dict[int, int]]:
    """Return rings and events of the receiving port between the snapshots, by bit."""
    before, after = (
        {
            (int(port), int(bit)): (int(rung), int(delivered))
            for port, bit, rung, delivered in LOOP_LINE.findall(path.read_text())
        }
        for path in (folder / "before-loop", folder / "after-loop")
    )
    own = [key for key in after if key[0] == RECEIVER]
    return (
        {bit: after[port, bit][0] - before[port, bit][0] for port, bit in own},
        {bit: after[port, bit][1] - before[port, bit][1] for port, bit in own},
    )


def _runs(folder: Path) -> list[int]:
    """Return the runs of the receiving port's QPs; a QP without a link has no counters."""
    before, after = (read_stats(folder / f"{when}-stats") for when in ("before", "after"))
    port = sorted({name.split("/")[0] for name in after})[RECEIVER]
    qps = [name for name in after if name.startswith(f"{port}/") and after[name]]
    qps.sort(key=lambda name: int(name.rpartition("qp")[2]))
    return [after[qp]["rx_ring_empty"] - before[qp]["rx_ring_empty"] for qp in qps]
