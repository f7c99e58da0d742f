# SPDX-License-Identifier: BSD-3-Clause
"""ntb_netdev as the client: UDP flows between two network namespaces, by vector map."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from msgspec import Struct

from ntbbench.capture.readers.qp_stats import RX_MAX_ENTRY, read_stats
from ntbbench.core.errors import InputError
from ntbbench.core.options import Axis, Count
from ntbbench.lab.commands import GuestError
from ntbbench.lab.guest_task import BOOT_SECONDS, Task, script
from ntbbench.lab.lab_client import DOORBELLS, QUEUES_MAX
from ntbbench.lab.records import NetdevPoint, NetdevResult
from ntbbench.lab.watch import ASLEEP_SECONDS, Limits

TRACE_IT = "(`ntbbench lab run` with the same kernel and tree traces each schedule)"


def calls(events: Sequence[int], vectors: int) -> list[int]:
    """Return how many of the doorbell events, given by bit, schedule each QP.

    `vectors` 0: no callbacks, every event schedules every QP.
    """
    every = vectors or 1
    of_vector = [sum(events[vector::every]) for vector in range(every)]
    return [of_vector[qp_num % every] for qp_num in range(len(events))]


def predicted_runs(doorbells: Sequence[int], vectors: int) -> list[int]:
    """Return each QP's runs for spaced doorbells: one for each event that wakes it, one for itself.

    ntb_netdev posts a buffer for each packet, which schedules the tasklet of that QP once more; the
    race check then meets it scheduled.
    """
    return [own + called for own, called in zip(doorbells, calls(doorbells, vectors), strict=True)]


def run_bounds(
    doorbells: Sequence[int], events: Sequence[int], vectors: int, rx_max_entry: int
) -> tuple[list[int], list[int]]:
    """Return the fewest and the most runs of each QP that any order of these doorbells allows.

    Each event schedules a QP at most once; each packet's repost and each packet's race check once
    more, which close doorbells may keep apart; each rx_max_entry packets once more.
    """
    called = calls(events, vectors)
    pairs = list(zip(doorbells, called, strict=True))
    least = [int(own + count > 0) for own, count in pairs]
    most = [count + 2 * own + own // max(rx_max_entry, 1) for own, count in pairs]
    return least, most


def likely_cause(doorbells: Sequence[int], runs: Sequence[int], vectors: int) -> str:
    """Return what most likely makes spaced runs differ from their prediction, in words.

    `runs` differ from `predicted_runs()`. Counters do not tell what scheduled a tasklet, so the
    cause is the one whose arithmetic gives the runs of every QP.
    """
    expected = predicted_runs(doorbells, vectors)
    excess = [count - due for count, due in zip(runs, expected, strict=True)]
    if vectors and list(runs) == predicted_runs(doorbells, 0):
        cause = "every doorbell wakes every active QP, as without vector callbacks"
    else:
        cause = _by_packet(excess, doorbells) or _by_event(excess, doorbells)
    return f"{cause} {TRACE_IT}"


def _by_packet(excess: Sequence[int], doorbells: Sequence[int]) -> str | None:
    pairs = list(zip(excess, doorbells, strict=True))
    rates = {more / own for more, own in pairs if own}
    idle = any(more for more, own in pairs if not own)
    if idle or len(rates) != 1 or not (rate := rates.pop()).is_integer():
        return None
    if rate < 0:
        return f"{-rate:.0f} run fewer per packet of its own QP: a schedule is missing in its path"
    beside = len(doorbells) > 1 and len(set(doorbells)) == 1
    other = f", or the doorbell callback schedules {rate:.0f} QP too many" if beside else ""
    return f"{rate:.0f} run more per packet of its own QP: its path schedules it once more{other}"


def _by_event(excess: Sequence[int], doorbells: Sequence[int]) -> str:
    rate = sum(excess) / max(sum(doorbells), 1)
    if rate > 0 and rate.is_integer() and min(excess) >= 0:
        return (
            f"{rate:.0f} run more per doorbell, not of the QP that rang: the doorbell callback "
            "scheduled a QP whose bit is not under its vector"
        )
    if rate < 0 and max(excess) <= 0:
        return "fewer runs than doorbells wake: the doorbell callback skipped a QP under its vector"
    return "no single cause gives these differences"


BYTES = 1400  # of a datagram: SIZE of guest/netdev
FLOW_SECONDS = 120.0
FAST_FACTOR = 20  # so that what happens once, at the start, weighs little
RECEIVER = 1  # the flows go from port 0 to port 1
GAP_MIN = 700  # us; below it a doorbell may come before the last one is served
LOOP_LINE = re.compile(r"port (\d+) bit (\d+) rung (\d+) delivered (\d+)")


class NetdevPlan(Struct, frozen=True, kw_only=True):
    """What to run: for each of `vectors` a spaced set of flows and one as fast as it goes."""

    vectors: Annotated[
        tuple[int, ...],
        Axis(0, DOORBELLS, "0: no vector callbacks; k: bit b belongs to vector b % k"),
    ] = (0, 16)
    queues: Annotated[
        int, Count(1, QUEUES_MAX, "queues of each interface, where the kernel has multi-queue")
    ] = 4
    flows: Annotated[int, Count(1, 64, "UDP flows, hashed to queues by the stack")] = 16
    packets: Annotated[
        int,
        Count(1, 1000, f"packets of a spaced flow; a fast one sends {FAST_FACTOR} times as many"),
    ] = 10
    gap: Annotated[int, Count(GAP_MIN, 100_000, "us between two packets of a spaced flow")] = 1000

    def points(self) -> list[tuple[str, int, int]]:
        """Return name, vectors and gap of each point."""
        return [
            (f"vectors-{vectors}-{'spaced' if gap else 'fast'}", vectors, gap)
            for vectors in self.vectors
            for gap in (self.gap, 0)
        ]

    def task(self) -> Task:
        """Return what the guest does."""
        points = self.points()
        lines = tuple(
            f"{name} {v} {self.flows} {self.packets * (1 if gap else FAST_FACTOR)} {gap}\n"
            for name, v, gap in points
        )
        asleep = 1e-6 * self.gap * self.packets * self.flows * len(self.vectors)
        busy = BOOT_SECONDS + FLOW_SECONDS * len(points)
        return Task(
            script=script("netdev"),
            about=f"{len(points)} points of {self.flows} flows over ntb_netdev",
            lines=lines,
            names=tuple(name for name, _, _ in points),
            limits=Limits(busy + ASLEEP_SECONDS * asleep, 2 * asleep),
            settings={"QUEUES": self.queues},
            programs=("ntb_flow",),
        )

    def result(self, folder: Path, facts: dict[str, Any]) -> NetdevResult:
        """Return the flows beside what the model says of the spaced ones."""
        points = [
            evaluate(folder / name, name, vectors, gap, flows=self.flows)
            for name, vectors, gap in self.points()
        ]
        ping = (folder / points[0].name / "ping").read_text()
        cautions = self._cautions(facts["kernel"], points)
        return NetdevResult(
            ping=next((line for line in ping.splitlines() if "packet loss" in line), ping.strip()),
            queues_asked=self.queues,
            points=points,
            **facts | {"warnings": cautions + facts["warnings"]},
        )

    def _cautions(self, release: str, points: list[NetdevPoint]) -> list[str]:
        queues = min(point.queues for point in points)
        found = []
        if queues < self.queues:
            found.append(
                f"ntb_netdev of Linux {release} gave {queues} of the {self.queues} queues asked "
                "for (more than one needs 7.2 or later: --kernel debian:7.3)"
            )
        if min(point.active_qps for point in points) == 1:
            found.append("one QP is active: neither the vector map nor a patch of its use can show")
        return found


def evaluate(folder: Path, name: str, vectors: int, gap_us: int, *, flows: int) -> NetdevPoint:
    """Return the flows whose counters are in `folder`; GuestError: a counter is missing."""
    try:
        sent, seconds = (folder / "sent").read_text().split()
        received = int((folder / "received").read_text())
        channels = (folder / "channels").read_text().split()
        rung, delivered = _doorbells(folder)
        runs, rx_max_entry = _runs(folder)
    except (OSError, ValueError, KeyError, IndexError, InputError) as error:
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
    return runs, min(after[qp][RX_MAX_ENTRY] for qp in qps)
