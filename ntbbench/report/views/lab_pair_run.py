# SPDX-License-Identifier: BSD-3-Clause
"""A pair run: what the two drivers did in one boot, beside what the model predicts."""

from collections import Counter
from collections.abc import Iterator, Sequence

from ntbbench.core.fields import declared
from ntbbench.lab.pair.records import OK, UNAVAILABLE, PairPoint, PairResult
from ntbbench.pair.drivers.kernel_around import slot_of
from ntbbench.report.document import Block, Cell, Column, Details, Document, Notes, Table, number
from ntbbench.report.views import lab_pair_points as pair
from ntbbench.report.views.lab_pair_axes import differing, named, title
from ntbbench.report.views.lab_pair_judged import (
    AGREES,
    BOUNDED,
    DIED,
    DISAGREES,
    NOT_RUN,
    allowed_runs,
    between,
    by_msi,
    difference,
    ends,
    has_counts,
    judgement,
    runs_per_doorbell,
    slots_text,
)
from ntbbench.report.wording import plural

MEASURED = (
    Column("", align="left"),
    Column("measured"),
    Column("predicted"),
    Column("difference"),
)
JUDGED = {
    AGREES: "the model agrees",
    BOUNDED: "within the model's bounds",
    DISAGREES: "the model DISAGREES",
    NOT_RUN: UNAVAILABLE,
    DIED: "the guest failed",
}
LEGEND = ("doorbells_rung", "msis_raised", "events", "runs_per_qp", "agrees")
NONE = "none"


def document(result: PairResult) -> Document:
    """Return the report of a run."""
    return pair.report(result, *blocks(named(result.points)))


def blocks(points: Sequence[PairPoint], *words: str) -> tuple[list[Block], list[Block]]:
    """Return the points of one boot, as a table and with all that is known of each.

    Parameters
    ----------
    words : more lines of the legend.
    """
    tables: list[Block] = [pair.points_table(points, brief=brief) for brief in (True, False)]
    return tables, [*_details(points), pair.legend(points, LEGEND, *words)]


def _details(points: Sequence[PairPoint]) -> Iterator[Details]:
    axes = differing(points)
    for point in points:
        told = [*_facts(point), *point.notes, *_warned(point)]
        table = [Table("", MEASURED, [*_rows(point)])] if has_counts(point) else []
        name = f"{title(point, axes)}: {JUDGED[judgement(point)]}"
        blocks: list[Block] = [*table, Notes("", [(line, ()) for line in told])]
        yield Details(name, blocks, attention=not point.agrees)


def _rows(point: PairPoint) -> Iterator[tuple[Cell, ...]]:
    # Where a ring is lost its packet waits for what wakes the QP next, if anything does.
    arrive = (point.packets_sent,) * 2 if point.predicted_verdict != "missed" else None
    yield _row(pair.LABELS["packets_sent"].title, point.packets_sent, None)
    yield _row(pair.LABELS["packets_received"].title, point.packets_received, arrive)
    yield _row(pair.LABELS["doorbells_rung"].title, point.doorbells_rung, None)
    msis = (point.predicted_msis,) * 2 if point.spaced else (point.least_msis, point.most_msis)
    events = (point.predicted_events,) * 2
    if point.most_events:
        events = (point.least_events, point.most_events)
    if by_msi(point):
        yield _row(pair.LABELS["msis_raised"].title, point.msis_raised, msis)
    yield _row(pair.LABELS["events"].title, point.events, events)
    yield _row("tasklet runs", sum(point.runs_per_qp), allowed_runs(point))
    for qp_num, runs in enumerate(point.runs_per_qp):
        rung = point.doorbells_per_qp[qp_num] if qp_num < len(point.doorbells_per_qp) else 0
        allowed = point.least_runs_per_qp[qp_num], point.most_runs_per_qp[qp_num]
        yield _row(f"runs of QP {qp_num} ({plural(rung, 'ring')})", runs, allowed)


def _row(name: str, measured: int, allowed: tuple[int, int] | None) -> tuple[Cell, ...]:
    if allowed is None:
        return Cell(name), number(measured), Cell(""), Cell("")
    predicted = Cell(between(*allowed), allowed[0])
    return Cell(name), number(measured), predicted, difference(measured, *allowed)


def _facts(point: PairPoint) -> Iterator[str]:
    no_device = point.ep_qp_count is None and point.rc_qp_count is None
    if point.cause and (point.status != OK or not no_device):
        yield point.cause
    if point.status != OK:
        return
    titles = ends([point])
    predicted = _qp_counts(titles, point.predicted_ep_qp_count, point.predicted_rc_qp_count)
    measured = _qp_counts(titles, point.ep_qp_count, point.rc_qp_count)
    counts = f"qp_count: {measured}"
    counts += " (as predicted)" if measured == predicted else f" (predicted {predicted})"
    counts += f": {point.cause}" if no_device else ""
    yield f"link {point.link} (predicted {point.predicted_link}); {counts}"
    if point.link == "down":
        return
    if point.verdict:
        yield f"doorbells: {point.verdict} (predicted {point.predicted_verdict})"
    if (ratio := runs_per_doorbell(point)) is not None:
        yield f"runs per doorbell: {ratio:.2f}"
    for name in ("ep_qp_links", "rc_qp_links"):
        yield f"{declared(type(point))[name].title}: {_links(getattr(point, name))}"
    yield from _slots(point)
    for name in ("msis_per_number", "events_per_vector"):
        predicted_counts = getattr(point, f"predicted_{name}") if point.spaced else None
        yield from _keyed(pair.LABELS[name].title, getattr(point, name), predicted_counts)
    if not point.spaced and point.difference_per_qp:
        told = ", ".join(f"QP {qp}: {n}" for qp, n in enumerate(point.predicted_runs_per_qp))
        yield f"estimate of the runs: {told}"


def _qp_counts(titles: Sequence[str], *counts: int | None) -> str:
    if counts == (None, None):
        return NONE
    both = zip(titles, counts, strict=True)
    return ", ".join(f"{side} {NONE if count is None else count}" for side, count in both)


def _slots(point: PairPoint) -> Iterator[str]:
    """Yield which slot each bit rang, beside the one that peers of any version know."""
    rang = point.slots_per_bit
    known = {bit: [slot_of(int(bit))] for bit in rang}
    told, wanted = (
        ", ".join(f"{bit}: {slots_text(slots)}" for bit, slots in one.items())
        for one in (rang, known)
    )
    if rang:
        how = "as expected" if rang == known else f"expected {wanted}"
        yield f"{pair.LABELS['slots_per_bit'].title}: {told} ({how})"
    if not by_msi(point) and point.slots_per_number:
        yield f"{pair.LABELS['slots_per_number'].title}: {_by_key(point.slots_per_number)}"


def _keyed(name: str, counted: dict[str, int], predicted: dict[str, int] | None) -> Iterator[str]:
    """Yield counts by number or vector, and their prediction where it is another one."""
    told = f"{name}: {_by_key(counted)}"
    if predicted is not None:
        same = counted == predicted
        told += " (as predicted)" if same else f" (predicted {_by_key(predicted)})"
    if counted or predicted:
        yield told


def _by_key(counts: dict[str, int]) -> str:
    return ", ".join(f"{key}: {count}" for key, count in counts.items()) or NONE


def _links(links: list[str]) -> str:
    if links and all(link == links[0] for link in links):
        return f"all {len(links)} {links[0]}"
    return ", ".join(f"{qp_num} {link}" for qp_num, link in enumerate(links)) or NONE


def _warned(point: PairPoint) -> list[str]:
    """Return what the kernel complained of, each line once with how often it came."""
    return [
        f"the kernel warned{f' {count} times' if count > 1 else ''}: {line}"
        for line, count in Counter(point.warnings).items()
    ]
