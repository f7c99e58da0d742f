# SPDX-License-Identifier: BSD-3-Clause
"""One boot of the pair beside its prediction: a record for each of its points."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ntbbench.core.errors import InputError
from ntbbench.lab.commands import GuestError
from ntbbench.lab.hosts.bridge_records import HostPoint
from ntbbench.lab.pair.boot.left import PairRecordings, PointRecording
from ntbbench.lab.pair.disagreements import (
    STALE,
    cautions,
    count_complaints,
    register_complaints,
    slot_complaints,
)
from ntbbench.lab.pair.plan import EP, HostSetup
from ntbbench.lab.pair.point_files import READ_PATCHES, RecordedPoint, read_point_folder
from ntbbench.lab.pair.predict import (
    LINK_DOWN,
    MISROUTED,
    MISSED,
    WORKING,
    Prediction,
    measured_verdict,
    pair_model,
    predict,
    predicted_verdict,
    same_verdict,
    telling,
)
from ntbbench.lab.pair.records import FAILED, UNAVAILABLE, PairObserved, PairPoint
from ntbbench.pair.coalesce import Hop
from ntbbench.pair.setting import RC_TO_EP, Traffic

UP, DOWN = "up", "down"
LOST = {MISSED, MISROUTED}


def evaluate(recordings: PairRecordings) -> list[PairPoint]:
    """Return the points of one boot, each beside its prediction; GuestError: a recording is
    damaged."""
    boot = _Boot(recordings)
    if not recordings.available:  # nothing was measured, nothing is compared
        why = recordings.cause
        return [
            boot.point(traffic, status=UNAVAILABLE, link=DOWN, cause=why, agrees=None)
            for traffic in recordings.plan.traffic
        ]
    return [_point(boot, point) for point in recordings.points]


def all_points(recordings: PairRecordings) -> list[PairPoint]:
    """Return a point for each that was asked for: those that a guest which died left have failed.

    GuestError: a recording is damaged.
    """
    failed = failed_points(recordings)
    return evaluate(recordings)[: len(recordings.plan.traffic) - len(failed)] + failed


def failed_points(recordings: PairRecordings) -> list[PairPoint]:
    """Return a point for each that a guest which died has not finished: what it died of.

    The last one is not finished before the guest has come to its end.
    """
    if not recordings.died:
        return []
    boot, traffics = _Boot(recordings), recordings.plan.traffic
    first = min(len(recordings.points), len(traffics) - 1)
    return [boot.failed(traffic, recordings.died) for traffic in traffics[first:]]


def all_agree(points: Iterable[PairPoint]) -> bool:
    """Return whether kernel and model agree in every point that was run."""
    return all(point.agrees for point in points if point.status != UNAVAILABLE)


def observed(recordings: PairRecordings) -> list[PairObserved]:
    """Return what either driver was observed to do; a driver that was not observed is left out."""
    return [
        PairObserved(
            side=driver.place or driver.side,
            driver=driver.spec,
            behaves=driver.behaviour.words,
            alike=driver.behaviour.alike,
            findings=list(driver.behaviour.findings),
            observations=dict(driver.behaviour.observations),
        )
        for driver in recordings.drivers
        if driver.behaviour is not None
    ]


class _Boot:
    """One boot, its model and the model's link."""

    def __init__(self, recordings: PairRecordings) -> None:
        self.recordings = recordings
        self.model = pair_model(recordings)
        self.link = self.model.link

    @property
    def qp_counts_agree(self) -> bool:
        return (self.recordings.ep_qp_count, self.recordings.rc_qp_count) == self.link.counts

    def point(self, traffic: Traffic, **found: Any) -> PairPoint:
        """Return a point: what was asked, and what was found."""
        setup, ep, rc = self.recordings.plan.setup, self.recordings.ep, self.recordings.rc
        asked = ("ep_driver", "rc_driver", "ep_slots", "rc_vectors", "mw_count", "queues")
        sent = ("name", "direction", "flows", "packets", "gap_us", "spaced")
        shared: dict[str, Any] = {
            **{name: getattr(setup, name) for name in asked},
            **{name: getattr(traffic, name) for name in sent},
            "ep_patches": sorted(ep.patches),
            "rc_patches": sorted(rc.patches),
            "ep_behaves": ep.behaviour.words if ep.behaviour else "",
            "rc_behaves": rc.behaviour.words if rc.behaviour else "",
            "doorbell": str(setup.doorbell),
            "predicted_link": self.link.link,
            "ep_qp_count": self.recordings.ep_qp_count,
            "rc_qp_count": self.recordings.rc_qp_count,
            "predicted_ep_qp_count": self.link.counts[0],
            "predicted_rc_qp_count": self.link.counts[1],
            "warnings": list(self.recordings.warnings),
        }
        if isinstance(setup, HostSetup):
            return HostPoint(**shared | found, ntb_driver=setup.ntb_driver)
        return PairPoint(**shared | found)

    def failed(self, traffic: Traffic, cause: str) -> PairPoint:
        """Return a point that the guest did not come to: of no driver does the model say that."""
        return self.point(
            traffic,
            status=FAILED,
            link=DOWN,
            cause=cause,
            predicted_verdict=predicted_verdict(self.model, traffic.direction),
            agrees=False,
            notes=list(self.recordings.findings),
        )

    def down(self, traffic: Traffic) -> PairPoint:
        """Return a point without a link: the model agrees if it says so too, QP count for count."""
        model = self.link.cause and f"the model: {self.link.cause}"
        return self.point(
            traffic,
            link=DOWN,
            cause="; ".join(filter(None, [self.recordings.cause, model])),
            verdict=LINK_DOWN,
            predicted_verdict=predicted_verdict(self.model, traffic.direction),
            agrees=self.link.link == DOWN and self.qp_counts_agree and not self.recordings.findings,
            notes=list(self.recordings.findings),
        )


def _point(boot: _Boot, point: PointRecording) -> PairPoint:
    """Return one point; what a driver that is known to be wrong has made unreadable has failed."""
    if point.link == DOWN:
        return boot.down(point.traffic)
    try:
        return _up(boot, point)
    except GuestError as error:
        if not boot.recordings.findings:
            raise
        return boot.failed(point.traffic, str(error))


def _up(boot: _Boot, point: PointRecording) -> PairPoint:
    traffic, setup = point.traffic, boot.recordings.plan.setup
    polled = traffic.direction == RC_TO_EP and setup.doorbell == "poll"
    try:
        recorded = read_point_folder(point.folder, traffic, polled=polled, devices=setup.devices)
    except InputError as error:
        raise GuestError(f"recording {traffic.name}: {error}") from error
    trace, active = recorded.trace, recorded.active(traffic.receiver)
    spaced = traffic.spaced and len(trace.cpus) <= 1
    predicted = predict(
        boot.model,
        traffic.direction,
        trace,
        active=active,
        spaced=spaced,
        rx_max_entry=max(recorded.counted.rx_max_entry, 1),
        preemptible=recorded.preemptible,
    )
    expected = predicted_verdict(boot.model, traffic.direction, trace.doorbells)
    measured = measured_verdict(trace, len(predicted.runs)) if spaced else ""
    verdict = telling(measured, expected, trace)
    complaints = list(_complaints(boot, recorded, predicted, traffic))
    receiver = boot.recordings.ep if traffic.receiver == EP else boot.recordings.rc
    if verdict and not same_verdict(verdict, expected):
        complaints.append(f"the doorbells are {verdict}, the model says {expected}")
    elif verdict in LOST and receiver.behaviour is not None and receiver.behaviour.inferred:
        complaints.append(f"the doorbells are {verdict}: no set of patches makes that right")
    ep_qps = boot.link.qps[0].qp_count if boot.link.qps[0] else 0
    return boot.point(
        traffic,
        **_counts(recorded, predicted),
        spaced=predicted.exact and predicted.bounds is None,
        link=UP,
        cause=_shortage(boot, len(active)),
        queues_open=len(active),
        verdict=verdict,
        predicted_verdict=expected,
        agrees=not complaints and not boot.recordings.findings,
        # What this direction shows comes before what was seen of either driver at set-up.
        notes=[
            *complaints,
            *boot.recordings.findings,
            *cautions(recorded, predicted, traffic, ep_qps),
        ],
    )


def _shortage(boot: _Boot, open_qps: int) -> str:
    asked = boot.recordings.plan.setup.queues
    if asked is None or open_qps >= asked:
        return ""
    sides = zip(boot.recordings.plan.setup.ends.titles, boot.link.qps, strict=True)
    made = (f"{qps.qp_count} on {side} ({qps.limit})" for side, qps in sides if qps)
    return f"{open_qps} of {asked} QPs: the model has {' and '.join(made)}"


def _complaints(
    boot: _Boot, recorded: RecordedPoint, predicted: Prediction, traffic: Traffic
) -> Iterator[str]:
    trace = recorded.trace
    if boot.link.link == DOWN:
        yield f"the link is up; the model says down: {boot.link.cause}"
    elif not boot.qp_counts_agree:
        yield "qp_count is not what the model says"
    works = predicted_verdict(boot.model, traffic.direction, trace.doorbells) in WORKING
    if recorded.sent != recorded.received and works:
        yield f"{recorded.sent} packets sent, {recorded.received} received"
    if stale := recorded.counted.rx_errors[STALE]:
        yield f"{STALE}: {stale}: the receiver took what was no new packet for one"
    if recorded.handed != trace.rings:
        yield f"{trace.rings} doorbells of {recorded.handed} packets in the sender's rings"
    slots = None if traffic.by_msi else boot.recordings.plan.setup.ep_slots
    yield from slot_complaints(trace, slots)
    yield from count_complaints(trace, predicted)
    receiver = boot.recordings.ep if traffic.receiver == EP else boot.recordings.rc
    if set(receiver.patches) & READ_PATCHES:
        yield from register_complaints(recorded, traffic)


def _counts(recorded: RecordedPoint, predicted: Prediction) -> dict[str, Any]:
    trace, bounds = recorded.trace, predicted.bounds
    qps = range(len(predicted.runs))
    runs = [trace.runs[qp_num] for qp_num in qps]
    pairs = zip(runs, predicted.runs, strict=True)
    return {
        "ep_qp_links": [UP if is_up else DOWN for is_up in recorded.links["ep"]],
        "rc_qp_links": [UP if is_up else DOWN for is_up in recorded.links["rc"]],
        "doorbells_rung": trace.rings,
        "doorbells_per_qp": [trace.doorbells[qp_num] for qp_num in qps],
        "msis_raised": trace.msis.total(),
        "predicted_msis": predicted.msis.total(),
        **_bounds("msis", predicted.msis, predicted.msi_hops),
        "msis_per_number": _by_key(trace.msis),
        "predicted_msis_per_number": _by_key(predicted.msis),
        "slots_per_number": _by_key(trace.slots.arrived),
        "slots_per_bit": {str(bit): slots for bit, slots in trace.slots.of_bits().items()},
        "events": trace.vectors.total(),
        "predicted_events": predicted.vectors.total(),
        **_bounds("events", predicted.vectors, predicted.event_hops),
        "events_per_vector": _by_key(trace.vectors),
        "predicted_events_per_vector": _by_key(predicted.vectors),
        "packets_sent": recorded.sent,
        "packets_received": recorded.received,
        "runs_per_qp": runs,
        "predicted_runs_per_qp": predicted.runs,
        "difference_per_qp": [measured - expected for measured, expected in pairs],
        "least_runs_per_qp": bounds.least if bounds else predicted.runs,
        "most_runs_per_qp": bounds.most if bounds else predicted.runs,
    }


def _bounds(what: str, exact: Counter[int], hops: Mapping[int, Hop]) -> dict[str, int]:
    """Return the fewest and the most that there may be; without hops the prediction is exact."""
    least = sum(hop.least for hop in hops.values()) if hops else exact.total()
    most = sum(hop.most for hop in hops.values()) if hops else exact.total()
    return {f"least_{what}": least, f"most_{what}": most}


def _by_key(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(key): count for key, count in sorted(counts.items()) if count}
