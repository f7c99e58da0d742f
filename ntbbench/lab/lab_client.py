# SPDX-License-Identifier: BSD-3-Clause
"""The lab's own client: doorbells traced one by one, each point beside its prediction."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from msgspec import Struct

from ntbbench.capture.readers.probe_hits import EventKind
from ntbbench.capture.readers.qp_stats import read_stats
from ntbbench.capture.recording import Recording, read_recording
from ntbbench.capture.replay import replay
from ntbbench.capture.replay_records import AGREES, DISAGREES, ReplayPoint
from ntbbench.core.errors import InputError
from ntbbench.core.options import Axis, Count, Word, Words
from ntbbench.lab.commands import GuestError, run
from ntbbench.lab.guest_task import BOOT_SECONDS, Task, record, script
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.modules import Kernel, build, build_program
from ntbbench.lab.qemu import KVM_OPTIONS, QEMU, accelerator, complaints, loopback_machine
from ntbbench.lab.records import LabPoint, LabResult, NetdevResult
from ntbbench.lab.watch import ASLEEP_SECONDS, Limits
from ntbbench.ntb.vectormap import bits_of

DOORBELLS = 16  # of the loopback device
# 16 bits give 15 QPs; max_num_clients must be below that, or the one memory window is the limit.
QUEUES_MAX = 14


class LabRunPlan(Protocol):
    """What one client is to do in a boot."""

    @abstractmethod
    def task(self) -> Task:
        """Return what the guest does; its programs are built, and its names say what it records."""

    @abstractmethod
    def result(self, folder: Path, facts: dict[str, Any]) -> LabResult | NetdevResult:
        """Return the result of what was recorded below `folder`.

        `facts`: the fields that the results of all clients have: the kernel, how it ran, warnings.
        """


def run_client(
    cache: Cache,
    kernel: Kernel,
    plan: LabRunPlan,
    folder: Path,
    *,
    say: Callable[[str], None],
    accel: str = "auto",
) -> LabResult | NetdevResult:
    """Run `plan` on `kernel` and leave what was recorded below `folder`; BuildError, GuestError:
    the modules did not build, the guest did not finish."""
    task = plan.task()
    modules = build(cache, kernel, say)
    programs = tuple(build_program(cache, name, say) for name in task.programs)
    options = accelerator(accel)
    name = "kvm" if options == KVM_OPTIONS else "tcg"
    say(f"booting {kernel.label} ({name}): {task.about}")
    recordings = record(
        task,
        folder,
        image=kernel.image,
        modules=modules,
        accel=options,
        machine=loopback_machine(),
        programs=programs,
    )
    warned = complaints(recordings.boot.console)
    facts = {
        "kernel": recordings.release,
        "kernel_source": kernel.label,
        "ntb_source": str(kernel.source),
        "source_tree": kernel.source_tree,
        "accelerator": name,
        "warnings": [f"the guest kernel warned: {line}" for line in warned],
    }
    return plan.result(folder, facts)


def environment() -> dict[str, str]:
    """Return the versions of the tools that made the guest."""
    asked = {"qemu": [QEMU, "--version"], "gcc": ["gcc", "--version"]}
    return {name: run(command).stdout.partition("\n")[0] for name, command in asked.items()}


DB_READS = ("latched", "zero")
ORDERS = ("turn", "together")
POINT_SECONDS, PACKET_SECONDS = 30.0, 0.05  # of processor time that a point may take
TRACE_EVENTS_MAX = 500_000  # what the guest's trace buffer and memory hold with room to spare
# What the report's tables call a replay's quantities.
QUANTITIES = {
    "interrupts": "doorbell events",
    "wakeups": "tasklet schedules",
    "runs": "tasklet runs",
}


@dataclass(frozen=True)
class PointPlan:
    """One point as the guest runs it; `latched`: db_read() shows a rung bit until db_clear()."""

    name: str
    vectors: int
    latched: bool
    gap_us: int
    packets: int
    order: str
    sending_qps: tuple[int, ...]

    @property
    def line(self) -> str:
        """The point's line in /points."""
        qps = " ".join(map(str, self.sending_qps))
        head = f"{self.name} {self.vectors} {int(self.latched)} {self.gap_us} {self.packets}"
        return f"{head} {self.order} {qps}\n"


class LabPlan(Struct, frozen=True, kw_only=True):
    """What to run: a point for each combination of `vectors` and `db_read`.

    InputError: a sender that is no queue, or more doorbells than a trace holds.
    """

    vectors: Annotated[
        tuple[int, ...],
        Axis(0, DOORBELLS, "0: no vector callbacks; k: bit b belongs to vector b % k"),
    ] = (0, 1, 2, 4, 16)
    queues: Annotated[int, Count(1, QUEUES_MAX, "QPs of each port")] = 4
    db_read: Annotated[
        tuple[str, ...],
        Words(DB_READS, "whether db_read() shows a rung bit until db_clear(), or always 0"),
    ] = ("latched",)
    senders: Annotated[tuple[int, ...], Axis(0, QUEUES_MAX - 1, "QPs that send; none: all")] = ()
    order: Annotated[
        str, Word(ORDERS, "one sender, a packet on each QP in turn; or a sender for each QP")
    ] = "turn"
    gap: Annotated[int, Count(0, 1_000_000, "us between two packets of a sender")] = 1000
    packets: Annotated[int, Count(1, 100_000, "packets of each sending QP")] = 50

    def __post_init__(self) -> None:
        for sender in self.senders:
            if sender >= self.queues:
                raise InputError("--senders", sender, f"a whole number from 0 to {self.queues - 1}")
        # a doorbell: the ring, the event, and schedule, run, entry and exit of each woken tasklet
        events = self.packets * len(self.sending) * (2 + 4 * (self.queues + 1))
        if events > TRACE_EVENTS_MAX:
            most = self.packets * TRACE_EVENTS_MAX // events
            raise InputError("--packets", self.packets, f"at most {most} with these QPs")

    @property
    def sending(self) -> tuple[int, ...]:
        """The QPs that send."""
        return self.senders or tuple(range(self.queues))

    def points(self) -> list[PointPlan]:
        """Return the points in the order of the axes."""
        return [
            PointPlan(
                name=f"vectors-{vectors}-{db_read}",
                vectors=vectors,
                latched=db_read == "latched",
                gap_us=self.gap,
                packets=self.packets,
                order=self.order,
                sending_qps=self.sending,
            )
            for vectors in self.vectors
            for db_read in self.db_read
        ]

    def task(self) -> Task:
        """Return the task that records the points."""
        points = self.points()
        packets = self.packets * len(self.sending) * len(points)
        asleep = 1e-6 * self.gap * packets
        busy = BOOT_SECONDS + POINT_SECONDS * len(points) + PACKET_SECONDS * packets
        return Task(
            script=script("points"),
            about=f"{len(points)} points",
            lines=tuple(point.line for point in points),
            names=tuple(point.name for point in points),
            limits=Limits(busy + ASLEEP_SECONDS * asleep, 2 * asleep),
            settings={"QUEUES": self.queues},
        )

    def result(self, folder: Path, facts: dict[str, Any]) -> LabResult:
        """Return each recording beside its prediction."""
        return LabResult(
            kernel_version=(folder / "kernel").read_text().splitlines()[1],
            environment=environment(),
            points=[evaluate(folder / point.name, point, self.queues) for point in self.points()],
            **facts,
        )


def evaluate(folder: Path, plan: PointPlan, queues: int) -> LabPoint:
    """Return the point whose recording is in `folder`, beside its prediction; GuestError: the
    recording is not of this point."""
    try:
        recording = read_recording(folder)
        found = replay(folder, plan.name)
        before, after = (read_stats(folder / f"{when}-stats") for when in ("before", "after"))
        received = sum(after[qp]["rx_pkts"] - before[qp]["rx_pkts"] for qp in after)
    except InputError as error:
        raise GuestError(f"recording {plan.name}: {error}") from error
    least, most = bounds(recording)
    sent = plan.packets * len(plan.sending_qps)
    whole = found.rings == sent == received
    lost = [] if whole else [f"{sent} packets sent, {found.rings} rung, {received} received"]
    pairs = zip(found.recorded.runs_per_qp, found.predicted.runs_per_qp, strict=True)
    return LabPoint(
        name=plan.name,
        vectors=plan.vectors,
        db_read=DB_READS[0] if plan.latched else DB_READS[1],
        queues=queues,
        sending_qps=list(plan.sending_qps),
        order=plan.order,
        gap_us=plan.gap_us,
        packets=plan.packets,
        doorbells_rung=found.rings,
        events=found.recorded.interrupts,
        events_per_vector=events_per_vector(recording),
        tasklet_schedules=found.recorded.wakeups,
        predicted_tasklet_schedules=found.predicted.wakeups,
        packets_received=received,
        runs_per_qp=found.recorded.runs_per_qp,
        predicted_runs_per_qp=found.predicted.runs_per_qp,
        difference_per_qp=[measured - expected for measured, expected in pairs],
        least_runs_per_qp=least,
        most_runs_per_qp=most,
        spaced=found.spaced,
        agrees=whole and _agrees(found, least, most),
        notes=[*_notes(found), *lost],
    )


def _agrees(found: ReplayPoint, least: list[int], most: list[int]) -> bool:
    """Spaced doorbells: exactly; close ones: in bounds, with a cause for each difference."""
    if found.spaced:
        return found.verdict == AGREES
    runs = zip(least, found.recorded.runs_per_qp, most, strict=True)
    return found.verdict != DISAGREES and all(low <= count <= high for low, count, high in runs)


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
    events = [masks[e.value] for e in recording.events if e.kind is EventKind.DB_EVENT]
    rung = Counter(
        b for e in recording.events if e.kind is EventKind.RING for b in bits_of(e.value)
    )
    entries = device.rx_max_entry or 1
    least, most = [], []
    for qp_num in range(recording.qp_count()):
        scheduled = sum(mask >> qp_num & 1 for mask in events)
        packets = rung[qp_num]
        least.append(max(-(-packets // entries), int(scheduled > 0)))
        race_checks = packets if device.db_read_latched else 0
        most.append(scheduled + race_checks + packets // entries)
    return least, most


def events_per_vector(recording: Recording) -> dict[str, int]:
    """Return how often the doorbell callback was called with each vector."""
    events = (event.value for event in recording.events if event.kind is EventKind.DB_EVENT)
    return {str(vector): count for vector, count in sorted(Counter(events).items())}


def _notes(found: ReplayPoint) -> Iterator[str]:
    """Yield each cause once, with what it adds to and the QPs, then the cautions beyond them."""
    causes: dict[tuple[str, int], dict[str, list[int]]] = {}
    for difference in found.differences:
        for cause in difference.causes:
            quantities = causes.setdefault((cause.text, cause.count), {})
            qps = quantities.setdefault(QUANTITIES[difference.quantity], [])
            qps += [] if difference.qp_num is None else [difference.qp_num]
    for (text, count), quantities in causes.items():
        by_qps: dict[tuple[int, ...], list[str]] = {}
        for name, numbers in quantities.items():
            by_qps.setdefault(tuple(numbers), []).append(name)
        for of_qps, names in by_qps.items():
            where = f" of QP {', '.join(map(str, of_qps))}" if of_qps else ""
            each = " each" if len(of_qps) * len(names) > 1 else ""
            yield f"{' and '.join(names)}{where}: {count:+d}{each}: {text}"
    texts = {text.partition(" ")[2] for text, _ in causes}
    yield from (text for text in found.cautions if text.partition(" ")[2] not in texts)
