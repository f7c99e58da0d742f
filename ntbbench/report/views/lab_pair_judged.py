# SPDX-License-Identifier: BSD-3-Clause
"""What a point of the pair came to, and what the comparison with the model says of it."""

from collections.abc import Sequence

from ntbbench.core.fields import declared
from ntbbench.lab.pair.records import FAILED, OK, UNAVAILABLE, PairPoint
from ntbbench.pair.setting import RC_TO_EP
from ntbbench.report.document import Cell

AGREES, BOUNDED, DISAGREES, NOT_RUN = "agrees", "in bounds", "DISAGREES", "not run"
DIED = "failed"


def judgement(point: PairPoint) -> str:
    """Return what the comparison with the model says of a point."""
    if point.status == UNAVAILABLE:
        return NOT_RUN
    if point.status == FAILED:
        return DIED
    if not point.agrees:
        return DISAGREES
    return AGREES if point.spaced or point.link == "down" else BOUNDED


def has_counts(point: PairPoint) -> bool:
    """Tell whether a point was measured over a link that is up."""
    return point.status == OK and point.link == "up"


def between(low: int, high: int) -> str:
    """Return what the model allows: one number, or the first and the last of a range."""
    return str(low) if low == high else f"{low} .. {high}"


def difference(measured: int, low: int, high: int) -> Cell:
    """Return by how much a count is above or below what the model allows."""
    by = measured - min(max(measured, low), high)
    return Cell(f"{by:+d}" if by else "0" if low == high else "within", by)


def allowed_runs(point: PairPoint) -> tuple[int, int]:
    """Return the fewest and the most runs that the model allows, all QPs together."""
    if point.spaced:
        return (sum(point.predicted_runs_per_qp),) * 2
    return sum(point.least_runs_per_qp), sum(point.most_runs_per_qp)


def runs_per_doorbell(point: PairPoint) -> float | None:
    """Return how often receive tasklets ran for each doorbell; None: none rang."""
    if not has_counts(point) or not point.doorbells_rung:
        return None
    return sum(point.runs_per_qp) / point.doorbells_rung


def kind_of_points(points: Sequence[PairPoint]) -> type[PairPoint]:
    """Return the kind of records that points are: all of one."""
    return type(points[0]) if points else PairPoint


def ends(points: Sequence[PairPoint]) -> tuple[str, str]:
    """Return what the two ends are called: EP and RC, or the two hosts."""
    titles = declared(kind_of_points(points))
    return titles["ep_driver"].title, titles["rc_driver"].title


def qps_hint(points: Sequence[PairPoint]) -> str:
    """Return what the column of QPs has."""
    return "qp_count that ntb_transport computed on {} and {}".format(*ends(points))


def by_msi(point: PairPoint) -> bool:
    """Tell whether a point's doorbells are MSIs."""
    return point.direction != RC_TO_EP


def qp_counts(point: PairPoint) -> str:
    """Return the qp_count of EP and RC; a side without a device has none."""
    counts = (point.ep_qp_count, point.rc_qp_count)
    return "/".join("-" if count is None else str(count) for count in counts)


def slots_text(slots: list[int]) -> str:
    """Return the slots that one doorbell bit rang: 2, 2+3; ? is a word that is no slot's."""
    return "+".join("?" if slot < 0 else str(slot) for slot in slots)
