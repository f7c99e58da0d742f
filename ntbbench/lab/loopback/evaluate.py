# SPDX-License-Identifier: BSD-3-Clause
"""One recording of the lab beside its prediction: the numbers, and whether they agree."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ntbbench.capture.readers.doorbell_point import read_stats
from ntbbench.capture.readers.ftrace import Kind
from ntbbench.capture.replay.recording import Recording, read_recording
from ntbbench.capture.replay.records import AGREES, DISAGREES, ReplayPoint
from ntbbench.capture.replay.replay import replay
from ntbbench.core.errors import InputError
from ntbbench.lab.lab_errors import GuestError
from ntbbench.lab.loopback.records import LabPoint
from ntbbench.lab.machine.guest_task import PointPlan
from ntbbench.ntb.vectormap import bits_of

DB_READS = ("latched", "zero")
# What the report's tables call a replay's quantities.
QUANTITIES = {
    "interrupts": "doorbell events",
    "wakeups": "tasklet schedules",
    "runs": "tasklet runs",
}


def evaluate(folder: Path, plan: PointPlan, queues: int) -> LabPoint:
    """Return the point whose recording is in `folder`, beside its prediction.

    Raises
    ------
    GuestError : the recording is none of this point's.
    """
    try:
        recording = read_recording(folder)
        told = replay(folder, plan.name)
        received = received_packets(folder)
    except InputError as error:
        raise GuestError(f"recording {plan.name}: {error}") from error
    least, most = bounds(recording)
    sent = plan.packets * len(plan.sending_qps)
    whole = told.rings == sent == received
    lost = [] if whole else [f"{sent} packets sent, {told.rings} rung, {received} received"]
    pairs = zip(told.recorded.runs_per_qp, told.predicted.runs_per_qp, strict=True)
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
        events_per_vector=events_per_vector(recording),
        tasklet_schedules=told.recorded.wakeups,
        predicted_tasklet_schedules=told.predicted.wakeups,
        packets_received=received,
        runs_per_qp=told.recorded.runs_per_qp,
        predicted_runs_per_qp=told.predicted.runs_per_qp,
        difference_per_qp=[measured - expected for measured, expected in pairs],
        least_runs_per_qp=least,
        most_runs_per_qp=most,
        spaced=told.spaced,
        agrees=whole and _agrees(told, least, most),
        notes=[*_notes(told), *lost],
    )


def _agrees(told: ReplayPoint, least: list[int], most: list[int]) -> bool:
    """Spaced doorbells: exactly; close ones: in bounds, with a cause for each difference."""
    if told.spaced:
        return told.verdict == AGREES
    runs = zip(least, told.recorded.runs_per_qp, most, strict=True)
    return told.verdict != DISAGREES and all(low <= count <= high for low, count, high in runs)


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


def events_per_vector(recording: Recording) -> dict[str, int]:
    """Return how often the doorbell callback was called with each vector."""
    events = (event.value for event in recording.events if event.kind is Kind.DB_EVENT)
    return {str(vector): count for vector, count in sorted(Counter(events).items())}


def _notes(told: ReplayPoint) -> Iterator[str]:
    """Yield each cause once, with what it adds to and the QPs, then the cautions beyond them."""
    found: dict[tuple[str, int], dict[str, list[int]]] = {}
    for difference in told.differences:
        for cause in difference.causes:
            quantities = found.setdefault((cause.text, cause.count), {})
            qps = quantities.setdefault(QUANTITIES[difference.quantity], [])
            qps += [] if difference.qp_num is None else [difference.qp_num]
    for (text, count), quantities in found.items():
        by_qps: dict[tuple[int, ...], list[str]] = {}
        for name, numbers in quantities.items():
            by_qps.setdefault(tuple(numbers), []).append(name)
        for of_qps, names in by_qps.items():
            where = f" of QP {', '.join(map(str, of_qps))}" if of_qps else ""
            each = " each" if len(of_qps) * len(names) > 1 else ""
            yield f"{' and '.join(names)}{where}: {count:+d}{each}: {text}"
    texts = {text.partition(" ")[2] for text, _ in found}
    yield from (text for text in told.cautions if text.partition(" ")[2] not in texts)
