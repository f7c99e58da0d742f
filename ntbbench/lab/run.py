# SPDX-License-Identifier: BSD-3-Clause
"""A lab run: points through the guest, each recording beside its prediction."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ntbbench.capture.ftrace import Kind
from ntbbench.capture.point import read_stats
from ntbbench.capture.recording import Recording, read_recording
from ntbbench.capture.records import AGREES, DISAGREES, ReplayPoint
from ntbbench.capture.replay import replay
from ntbbench.errors import InputError
from ntbbench.lab.build import Kernel, build
from ntbbench.lab.cache import Cache
from ntbbench.lab.commands import run
from ntbbench.lab.errors import GuestError
from ntbbench.lab.guest import PointPlan, record
from ntbbench.lab.qemu import KVM_OPTIONS, QEMU, accelerator, complaints
from ntbbench.lab.records import LabPoint, LabResult
from ntbbench.model.vectormap import bits_of

DB_READS = ("latched", "zero")
ORDERS = ("turn", "together")
DOORBELLS = 16  # of the loopback device
# 16 bits give 15 QPs; max_num_clients must be below that, or the one memory window is the limit.
QUEUES_MAX = 14
TRACE_EVENTS_MAX = 500_000  # what the guest's trace buffer and memory hold with room to spare


@dataclass(frozen=True)
class LabPlan:
    """What to run: a point for each combination of `vectors` and `db_reads`.

    Parameters
    ----------
    vectors : 0 .. 16 each; 0 means no vector callbacks.
    queues : QPs of each port, 1 .. 14.
    db_reads : `latched`, `zero`.
    senders : numbers of the QPs that send.
    order : `turn` or `together`.
    gap_us : microseconds between two packets of a sender.
    packets : of each sending QP, at least 1.

    Raises
    ------
    InputError : a sender that is no queue, or more doorbells than a trace holds.
    """

    vectors: tuple[int, ...] = (0, 1, 2, 4, 16)
    queues: int = 4
    db_reads: tuple[str, ...] = ("latched",)
    senders: tuple[int, ...] = (0, 1, 2, 3)
    order: str = "turn"
    gap_us: int = 1000
    packets: int = 50

    def __post_init__(self) -> None:
        for sender in self.senders:
            if sender >= self.queues:
                allowed = f"a QP of 0 .. {self.queues - 1} (--queues {self.queues})"
                raise InputError("--senders", sender, allowed)
        # a doorbell: the ring, the event, and schedule, run, entry and exit of each woken tasklet
        events = self.packets * len(self.senders) * (2 + 4 * (self.queues + 1))
        if events > TRACE_EVENTS_MAX:
            most = self.packets * TRACE_EVENTS_MAX // events
            raise InputError("--packets", self.packets, f"at most {most} with these QPs and senders")

    def points(self) -> list[PointPlan]:
        """Return the points in the order of the axes."""
        return [
            PointPlan(
                name=f"vectors-{vectors}-{db_read}",
                vectors=vectors,
                latched=db_read == "latched",
                gap_us=self.gap_us,
                packets=self.packets,
                order=self.order,
                sending_qps=self.senders,
            )
            for vectors in self.vectors
            for db_read in self.db_reads
        ]


def run_lab(
    cache: Cache,
    kernel: Kernel,
    plan: LabPlan,
    folder: Path,
    say: Callable[[str], None],
    accel: str = "auto",
) -> LabResult:
    """Run `plan` on `kernel` and leave the raw recordings below `folder`.

    Raises
    ------
    BuildError, GuestError : the modules did not build, the guest did not finish.
    """
    modules = build(cache, kernel, say)
    options = accelerator(accel)
    name = "kvm" if options == KVM_OPTIONS else "tcg"
    points = plan.points()
    say(f"booting {kernel.label} ({name}): {len(points)} points")
    recordings = record(kernel.image, modules, plan.queues, points, options, folder)
    version = (folder / "kernel").read_text().splitlines()[1]
    return LabResult(
        kernel=recordings.release,
        kernel_version=version,
        kernel_source=kernel.label,
        ntb_source=str(kernel.source),
        accelerator=name,
        environment=environment(),
        points=[evaluate(folder / point.name, point, plan.queues) for point in points],
        warnings=[f"the guest kernel warned: {line}" for line in complaints(recordings.boot.console)],
    )


def environment() -> dict[str, str]:
    """Return the versions of the tools that made the guest."""
    asked = {"qemu": [QEMU, "--version"], "gcc": ["gcc", "--version"]}
    return {name: run(command).stdout.partition("\n")[0] for name, command in asked.items()}


def evaluate(folder: Path, plan: PointPlan, queues: int) -> LabPoint:
    """Return the point whose recording is in `folder`, beside its prediction.

    Raises
    ------
    GuestError : the recording is none of this point's.
    """
    try:
        recording = read_recording(folder)
        told = replay(folder, plan.name)
    except InputError as error:
        raise GuestError(f"recording {plan.name}: {error}") from error
    received = received_packets(folder)
    sent = plan.packets * len(plan.sending_qps)
    least, most = bounds(recording)
    measured = told.recorded.runs_per_qp
    expected = told.predicted.runs_per_qp
    within = all(low <= runs <= high for low, runs, high in zip(least, measured, most, strict=True))
    good = told.verdict == AGREES if told.spaced else told.verdict != DISAGREES and within
    whole = told.rings == sent == received
    notes = [*_notes(told), *([] if whole else [f"{sent} packets sent, {received} received"])]
    return LabPoint(
        name=plan.name,
        vectors=plan.vectors,
        db_read=DB_READS[0] if plan.latched else DB_READS[1],
        queues=queues,
        sending_qps=list(plan.sending_qps),
        order=plan.order,
        gap_us=plan.gap_us,
        packets=plan.packets,
        doorbells_rung=told.rings,
        events=told.recorded.interrupts,
        events_per_vector=_events_per_vector(recording),
        tasklet_schedules=told.recorded.wakeups,
        predicted_tasklet_schedules=told.predicted.wakeups,
        packets_received=received,
        runs_per_qp=measured,
        predicted_runs_per_qp=expected,
        difference_per_qp=[m - e for m, e in zip(measured, expected, strict=True)],
        least_runs_per_qp=least,
        most_runs_per_qp=most,
        spaced=told.spaced,
        agrees=good and whole,
        notes=notes,
    )


def received_packets(folder: Path) -> int:
    """Return how many packets all QPs received between the two snapshots of a recording."""
    before, after = (read_stats(folder / f"{when}-stats") for when in ("before", "after"))
    return sum(after[qp]["rx_pkts"] - before[qp]["rx_pkts"] for qp in after)


def bounds(recording: Recording) -> tuple[list[int], list[int]]:
    """Return the fewest and the most runs of each QP that its doorbells and events allow.

    A run serves at most rx_max_entry packets, and a QP that an event scheduled runs at least once.
    Each event schedules it at most once; each ring of its own bit adds at most one race check, and
    each rx_max_entry packets one run more.

    Source: Linux 6.12, drivers/ntb/ntb_transport.c, ntb_transport_rxc_db().
    """
    device = recording.device
    vector_map = device.vector_map()
    masks = {device.vector_of(b): vector_map.db_vector_masks[b] for b in range(device.doorbells)}
    events = [masks[e.value] for e in recording.events if e.kind is Kind.DB_EVENT]
    rung = Counter(b for e in recording.events if e.kind is Kind.RING for b in bits_of(e.value))
    entries = device.rx_max_entry or 1
    least, most = [], []
    for qp_num in range(recording.qp_count()):
        scheduled = sum(mask >> qp_num & 1 for mask in events)
        packets = rung[qp_num]
        least.append(max(-(-packets // entries), int(scheduled > 0)))
        race_checks = packets if device.db_read_latched else 0
        most.append(scheduled + race_checks + packets // entries)
    return least, most


def _events_per_vector(recording: Recording) -> dict[str, int]:
    events = (event.value for event in recording.events if event.kind is Kind.DB_EVENT)
    return {str(vector): count for vector, count in sorted(Counter(events).items())}


def _notes(told: ReplayPoint) -> Iterable[str]:
    for difference in told.differences:
        for cause in difference.causes:
            yield f"{difference.quantity}: {cause.count:+d}: {cause.text}"
    yield from told.cautions
