# SPDX-License-Identifier: BSD-3-Clause
"""ntb_netdev on a real kernel: UDP flows between two network namespaces, by vector map."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ntbbench.capture.readers.doorbell_point import read_stats
from ntbbench.lab.lab_errors import GuestError
from ntbbench.lab.loopback.netdev_records import NetdevPoint, NetdevResult
from ntbbench.lab.loopback.netdev_rule import likely_cause, predicted_runs, run_bounds
from ntbbench.lab.machine.guest_task import BOOT_SECONDS, Task, record, script
from ntbbench.lab.machine.qemu import KVM_OPTIONS, accelerator, loopback_machine
from ntbbench.lab.machine.watch import ASLEEP_SECONDS, Limits
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.modules import Kernel, build_program
from ntbbench.lab.packages.tree import build_tree

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
        asleep = 1e-6 * self.gap_us * self.packets * self.flows * len(self.vectors)
        busy = BOOT_SECONDS + FLOW_SECONDS * len(points)
        limits = Limits(busy + ASLEEP_SECONDS * asleep, 2 * asleep)
        return Task(script("netdev"), lines, names, limits, {"QUEUES": self.queues})


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
    modules = build_tree(cache, kernel, say)
    options = accelerator(accel)
    task = plan.task()
    name = "kvm" if options == KVM_OPTIONS else "tcg"
    told = f"{len(task.names)} points of {plan.flows} flows over ntb_netdev"
    say(f"booting {kernel.label} ({name}): {told}")
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
    results = [evaluate(folder / name, name, v, gap, flows=plan.flows) for name, v, gap in points]
    return NetdevResult(
        kernel=recordings.release,
        kernel_source=kernel.label,
        ntb_source=str(kernel.source),
        source_tree=kernel.source_tree,
        accelerator=name,
        ping=next((line for line in ping.splitlines() if "packet loss" in line), ping.strip()),
        queues_asked=plan.queues,
        points=results,
        warnings=_cautions(plan, recordings.release, results),
    )


def _cautions(plan: NetdevPlan, release: str, points: list[NetdevPoint]) -> list[str]:
    """Return what keeps the flows from showing what was asked for."""
    queues = min(point.queues for point in points)
    least = min(point.active_qps for point in points)
    found = []
    if queues < plan.queues:
        found.append(
            f"ntb_netdev of Linux {release} gave {queues} of the {plan.queues} queues asked for "
            "(more than one needs 7.2 or later: --kernel debian:7.3)"
        )
    if least == 1:
        found.append("one QP is active: neither the vector map nor a patch of its use can show")
    return found


def evaluate(folder: Path, name: str, vectors: int, gap_us: int, *, flows: int) -> NetdevPoint:
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
        runs, rx_max_entry = _runs(folder)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise GuestError(f"flows {name}: {error}") from error
    queues = min(int(count) for count in channels) if all(map(str.isdigit, channels)) else 1
    doorbells = [rung[qp] for qp in range(len(runs))]
    events = sum(delivered.values())
    expected = predicted_runs(doorbells, vectors) if gap_us else None
    by_bit = [delivered[qp] for qp in range(len(runs))]
    least, most = run_bounds(doorbells, by_bit, vectors, rx_max_entry)
    notes = _lost(int(sent), sum(doorbells), received)
    if expected is not None:
        notes += [f"likely cause: {likely_cause(doorbells, runs, vectors)}"] * (expected != runs)
    else:
        notes += _beyond(runs, least, most)
    return NetdevPoint(
        name=name,
        vectors=vectors,
        queues=queues,
        active_qps=len(runs),
        flows=flows,
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
        difference_per_qp=(
            None if expected is None else [a - b for a, b in zip(runs, expected, strict=True)]
        ),
        least_runs_per_qp=least,
        most_runs_per_qp=most,
        checked="exact" if gap_us else "bounds",
        agrees=not notes,
        notes=notes,
    )


def _lost(sent: int, rung: int, received: int) -> list[str]:
    whole = sent == rung == received
    return [] if whole else [f"{sent} packets sent, {rung} doorbells, {received} received"]


def _beyond(runs: list[int], least: list[int], most: list[int]) -> list[str]:
    rows = enumerate(zip(least, runs, most, strict=True))
    return [
        f"runs of QP {qp_num}: {count}; any order of these doorbells gives {low} .. {high}"
        for qp_num, (low, count, high) in rows
        if not low <= count <= high
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


def _runs(folder: Path) -> tuple[list[int], int]:
    """Return the runs of the receiving port's QPs, and rx_max_entry.

    A QP without a link has no counters.
    """
    before, after = (read_stats(folder / f"{when}-stats") for when in ("before", "after"))
    port = sorted({name.split("/")[0] for name in after})[RECEIVER]
    qps = [name for name in after if name.startswith(f"{port}/") and after[name]]
    if not qps:
        raise ValueError("no QP of the receiving port has a link")
    qps.sort(key=lambda name: int(name.rpartition("qp")[2]))
    runs = [after[qp]["rx_ring_empty"] - before[qp]["rx_ring_empty"] for qp in qps]
    return runs, min(after[qp]["rx_max_entry"] for qp in qps)
