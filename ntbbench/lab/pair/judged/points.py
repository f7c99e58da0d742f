# SPDX-License-Identifier: BSD-3-Clause
"""One boot of the pair beside its prediction: a record for each of its points."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from ntbbench.core.errors import InputError
from ntbbench.lab.lab_errors import GuestError
from ntbbench.lab.pair.judged.boot import Boot, asked, booted, is_spaced
from ntbbench.lab.pair.judged.disagreements import count_complaints, slot_complaints
from ntbbench.lab.pair.judged.point_notes import cautions
from ntbbench.lab.pair.judged.predict import (
    LINK_DOWN,
    MISROUTED,
    MISSED,
    WORKING,
    Prediction,
    differences,
    measured_verdict,
    predict,
    predicted_verdict,
    same_verdict,
    telling,
)
from ntbbench.lab.pair.plan import EP_TO_RC, PairRecordings, PointRecording, Traffic
from ntbbench.lab.pair.recording.point_files import RecordedPoint, read_point_folder
from ntbbench.lab.pair.records import FAILED, UNAVAILABLE, PairPoint
from ntbbench.pair.coalesce import Hop
from ntbbench.pair.setting import Direction

UP, DOWN = "up", "down"
LOST = {MISSED, MISROUTED}


def evaluate(recordings: PairRecordings) -> list[PairPoint]:
    """Return the points of one boot, each beside its prediction.

    Raises
    ------
    GuestError : a recording is damaged.
    """
    boot = booted(recordings)
    if not recordings.available:
        return [_unavailable(boot, traffic) for traffic in recordings.plan.traffic]
    return [_point(boot, point) for point in recordings.points]


def all_points(recordings: PairRecordings) -> list[PairPoint]:
    """Return a point for each that was asked for: those that a guest which died left have failed.

    Raises
    ------
    GuestError : a recording is damaged.
    """
    failed = failed_points(recordings)
    return evaluate(recordings)[: len(recordings.plan.traffic) - len(failed)] + failed


def _point(boot: Boot, point: PointRecording) -> PairPoint:
    """Return one point; what a driver that is known to be wrong has made unreadable has failed."""
    if point.link == DOWN:
        return _down(boot, point.traffic)
    try:
        return _up(boot, point)
    except GuestError as error:
        if not boot.findings:
            raise
        return _failed(boot, point.traffic, str(error))


def failed_points(recordings: PairRecordings) -> list[PairPoint]:
    """Return a point for each that a guest which died has not finished: what it died of.

    The last one is not finished before the guest has come to its end.
    """
    if not recordings.died:
        return []
    boot, traffics = booted(recordings), recordings.plan.traffic
    first = min(len(recordings.points), len(traffics) - 1)
    return [_failed(boot, traffic, recordings.died) for traffic in traffics[first:]]


def all_agree(points: Iterable[PairPoint]) -> bool:
    """Return whether kernel and model agree in every point that was run."""
    return all(point.agrees for point in points if point.status != UNAVAILABLE)


def _unavailable(boot: Boot, traffic: Traffic) -> PairPoint:
    """Return a point that this driver cannot give: nothing was measured, nothing is compared."""
    told = asked(boot, traffic)
    return PairPoint(
        **told, status=UNAVAILABLE, link=DOWN, cause=boot.recordings.cause, agrees=None
    )


def _failed(boot: Boot, traffic: Traffic, cause: str) -> PairPoint:
    """Return a point that the guest did not come to: of no driver does the model say that."""
    return PairPoint(
        **asked(boot, traffic),
        status=FAILED,
        link=DOWN,
        cause=cause,
        predicted_verdict=predicted_verdict(boot.model, cast(Direction, traffic.direction)),
        agrees=False,
        notes=list(boot.findings),
    )


def _down(boot: Boot, traffic: Traffic) -> PairPoint:
    """Return a point without a link: the model agrees if it says so too, QP count for QP count."""
    told = asked(boot, traffic)
    model, kernel = boot.link.cause, boot.recordings.cause
    cause = "; ".join(filter(None, [kernel, model and f"the model: {model}"]))
    return PairPoint(
        **told,
        link=DOWN,
        cause=cause,
        verdict=LINK_DOWN,
        predicted_verdict=predicted_verdict(boot.model, cast(Direction, traffic.direction)),
        agrees=boot.link.link == DOWN and _qp_counts_agree(boot) and not boot.findings,
        notes=list(boot.findings),
    )


def _qp_counts_agree(boot: Boot) -> bool:
    measured = boot.recordings.ep_qp_count, boot.recordings.rc_qp_count
    predicted = boot.shared["predicted_ep_qp_count"], boot.shared["predicted_rc_qp_count"]
    return measured == predicted


def _up(boot: Boot, point: PointRecording) -> PairPoint:
    """Return a point whose link is up: counts beside their prediction."""
    traffic = point.traffic
    try:
        recorded = read_point_folder(point.folder, traffic, polled=_is_polled(boot, traffic))
    except InputError as error:
        raise GuestError(f"recording {traffic.name}: {error}") from error
    trace, active = recorded.trace, recorded.active(traffic.receiver)
    spaced = is_spaced(traffic) and len(trace.cpus) <= 1
    direction = cast(Direction, traffic.direction)
    predicted = predict(
        boot.model,
        direction,
        trace,
        active=active,
        spaced=spaced,
        rx_max_entry=max(recorded.counted.rx_max_entry, 1),
        preemptible=recorded.preemptible,
    )
    expected = predicted_verdict(boot.model, direction, trace.doorbells)
    measured = measured_verdict(trace, len(predicted.runs)) if spaced else ""
    verdict = telling(measured, expected, trace)
    complaints = list(_complaints(boot, recorded, predicted, traffic))
    if verdict and not same_verdict(verdict, expected):
        complaints.append(f"the doorbells are {verdict}, the model says {expected}")
    elif verdict in LOST and boot.is_inferred(traffic.receiver):
        complaints.append(f"the doorbells are {verdict}: no set of patches makes that right")
    told = {**asked(boot, traffic), "spaced": predicted.exact and predicted.bounds is None}
    return PairPoint(
        **told,
        **_counts(recorded, predicted),
        link=UP,
        cause=_shortage(boot, len(active)),
        queues_open=len(active),
        verdict=verdict,
        predicted_verdict=expected,
        agrees=not complaints and not boot.findings,
        # What this direction shows comes before what was seen of either driver at set-up.
        notes=[*complaints, *boot.findings, *cautions(recorded, predicted, traffic, _ep_qps(boot))],
    )


def _shortage(boot: Boot, open_qps: int) -> str:
    """Return why there are fewer QPs than were asked for; empty: there are not."""
    asked = boot.recordings.plan.setup.queues
    if asked is None or open_qps >= asked:
        return ""
    sides = (("EP", boot.link.ep), ("RC", boot.link.rc))
    made = (f"{qps.qp_count} on {side} ({qps.limit})" for side, qps in sides if qps)
    return f"{open_qps} of {asked} QPs: the model has {' and '.join(made)}"


def _counts(recorded: RecordedPoint, predicted: Prediction) -> dict[str, Any]:
    """Return the counts of a point and of its prediction, by their record's field."""
    trace, bounds = recorded.trace, predicted.bounds
    qps = range(len(predicted.runs))
    runs = [trace.runs[qp_num] for qp_num in qps]
    return {
        "ep_qp_links": _words(recorded.links["ep"]),
        "rc_qp_links": _words(recorded.links["rc"]),
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
        "difference_per_qp": differences(runs, predicted.runs),
        "least_runs_per_qp": bounds.least if bounds else predicted.runs,
        "most_runs_per_qp": bounds.most if bounds else predicted.runs,
    }


def _bounds(what: str, exact: Counter[int], hops: Mapping[int, Hop]) -> dict[str, int]:
    """Return the fewest and the most that there may be; without hops the prediction is exact."""
    least = sum(hop.least for hop in hops.values()) if hops else exact.total()
    most = sum(hop.most for hop in hops.values()) if hops else exact.total()
    return {f"least_{what}": least, f"most_{what}": most}


def _is_polled(boot: Boot, traffic: Traffic) -> bool:
    return traffic.direction != EP_TO_RC and boot.recordings.plan.setup.doorbell == "poll"


def _complaints(
    boot: Boot, recorded: RecordedPoint, predicted: Prediction, traffic: Traffic
) -> Iterator[str]:
    """Yield each thing in which the kernel did not do what the model says."""
    trace = recorded.trace
    if boot.link.link == DOWN:
        yield f"the link is up; the model says down: {boot.link.cause}"
    elif not _qp_counts_agree(boot):
        yield "qp_count is not what the model says"
    direction = cast(Direction, traffic.direction)
    works = predicted_verdict(boot.model, direction, trace.doorbells) in WORKING
    if recorded.sent != recorded.received and works:
        yield f"{recorded.sent} packets sent, {recorded.received} received"
    to_rc = traffic.direction == EP_TO_RC
    yield from slot_complaints(trace, None if to_rc else boot.recordings.plan.setup.ep_slots)
    yield from count_complaints(trace, predicted)


def _ep_qps(boot: Boot) -> int:
    """Return how many QPs ntb_netdev can run."""
    return boot.link.ep.qp_count if boot.link.ep else 0


def _by_key(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(key): count for key, count in sorted(counts.items()) if count}


def _words(links: list[bool]) -> list[str]:
    return [UP if is_up else DOWN for is_up in links]
