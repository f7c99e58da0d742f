# SPDX-License-Identifier: BSD-3-Clause
"""Recordings of a real kernel beside what the model predicts."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ntbbench.capture.replay_records import (
    AGREES,
    DISAGREES,
    EXPLAINED,
    Difference,
    Replay,
    ReplayPoint,
    Side,
    WakeupCauses,
    points_of,
)
from ntbbench.core.fields import declared
from ntbbench.report.document import (
    Block,
    Cell,
    Check,
    Column,
    Details,
    Document,
    Notes,
    Sheet,
    Table,
    column,
    words,
)
from ntbbench.report.views.record_tables import beside
from ntbbench.report.wording import plural

VERDICTS = {AGREES: "agrees", EXPLAINED: "explained", DISAGREES: "DISAGREES"}
COUNTS = {AGREES: "agree", EXPLAINED: "differ and are explained", DISAGREES: "disagree"}
SIDES = {"recorded": "rec.", "predicted": "pred."}
SUMMARY = (
    column(ReplayPoint, "name"),
    column(Side, "interrupts", "inter-\nrupts"),
    *(
        Column(f"{name} {side}", declared(Side)[name].definition, f"{name}\n{short}")
        for name in ("wakeups", "runs")
        for side, short in SIDES.items()
    ),
    column(ReplayPoint, "verdict"),
)
RARE = ("coalesced", "merged")  # left out where they do not occur
NOTES = tuple(
    f"{name.replace('_', ' ')}: {record[name].definition}"
    for record, names in (
        (declared(Side), ("wakeups", "schedule_calls")),
        (declared(WakeupCauses), ("race_check",)),
    )
    for name in names
)
Pair = tuple[int, int]  # recorded, predicted


def document(result: Replay) -> Document:
    """Return the report of a replay."""
    points = points_of(result)
    details = [
        Details(_title(point), [*_blocks(point)], attention=point.verdict == DISAGREES)
        for point in points
    ]
    cautions: dict[str, list[str]] = {}
    for point in points:
        for caution in point.cautions:
            cautions.setdefault(caution, []).append(point.name)
    return Document(
        title="ntbbench replay",
        verdict=verdict_of(points),
        record=result,
        blocks=[_findings(points), _summary(points), *details]
        if len(points) > 1
        else [_findings(points), *_blocks(*points)],
        tone="bad" if any(point.verdict == DISAGREES for point in points) else "good",
        warnings=list(cautions.items()),
        sheet=lambda: _sheet(points),
        checks=lambda: [_check(point) for point in points],
    )


def verdict_of(points: Sequence[ReplayPoint]) -> str:
    """Return in one sentence how many recordings agree."""
    if len(points) == 1:
        return _title(points[0])
    counts = [f"{sum(p.verdict == key for p in points)} {told}" for key, told in COUNTS.items()]
    return f"{plural(len(points), 'recording')}: {', '.join(counts)}"


def _findings(points: Sequence[ReplayPoint]) -> Notes:
    """Return what differs, recording by recording."""
    rows = [(point.name, [*_told(point.differences)]) for point in points if point.differences]
    return Notes("Differences", rows, shown="brief")


def _title(point: ReplayPoint) -> str:
    return f"{point.name}: {VERDICTS[point.verdict]}"


def _summary(points: Sequence[ReplayPoint]) -> Table:
    rows = [
        [
            *words(point.name, point.recorded.interrupts),
            *words(*(getattr(getattr(point, s), n) for n in ("wakeups", "runs") for s in SIDES)),
            Cell(VERDICTS[point.verdict], strong=point.verdict == DISAGREES),
        ]
        for point in points
    ]
    return Table("Recordings", SUMMARY, rows, NOTES)


def _blocks(point: ReplayPoint) -> Iterator[Block]:
    yield Notes("", [(_setup(point), ())])
    yield beside("recorded", [*_rows(point)])
    uses = f"the prediction uses {'; '.join(point.prediction_uses)}"
    yield Notes("", [(line, ()) for line in (*_told(point.differences), uses)])


def _setup(point: ReplayPoint) -> str:
    asked = point.point
    vectors = plural(asked.vectors, "vector") if asked.vectors else "no vector callbacks (fallback)"
    latched = "latched" if asked.db_read_latched else "always 0"
    kernel = "" if point.kernel is None else f", kernel {point.kernel}"
    return (
        f"{vectors}, db_read {latched}; {plural(point.rings, 'ring')} by QP "
        f"{_listed(asked.sending_qps)}, {asked.gap_us} us apart; port "
        f"{point.receiving_port} receives on QP {_listed(point.active_qps)}{kernel}"
    )


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers)) or "none"


def _totals(point: ReplayPoint) -> dict[str, Pair]:
    sides = point.recorded, point.predicted
    causes = [side.wakeups_by_cause for side in sides]
    found = {
        name: _pair(sides, name) for name, about in declared(Side).items() if about.type is int
    }
    return found | {f"wakeups_{name}": _pair(causes, name) for name in declared(WakeupCauses)}


def _pair(sides: Sequence[object], name: str) -> Pair:
    recorded, predicted = (getattr(side, name) for side in sides)
    return recorded, predicted


def _by_qp(point: ReplayPoint, name: str) -> list[Pair]:
    sides = (getattr(side, f"{name}_per_qp") for side in (point.recorded, point.predicted))
    return list(zip(*sides, strict=True))


def _rows(point: ReplayPoint) -> Iterator[tuple[str, int, int]]:
    """Yield the rows of one recording's table; what does not occur is left out where it is rare."""
    totals = _totals(point)
    causes = [f"wakeups_{name}" for name in declared(WakeupCauses)]
    for key in ("interrupts", "coalesced", "schedule_calls", "merged", "wakeups", *causes, "runs"):
        if any(totals[key]) or key not in (*RARE, *causes):
            yield key.replace("wakeups_", "- by ").replace("_", " "), *totals[key]
    for qp_num, pair in enumerate(_by_qp(point, "runs")):
        yield f"- of QP {qp_num}", *pair


def _told(differences: Sequence[Difference]) -> Iterator[str]:
    """Yield one line per cause: the QPs summed up, quantities that it changes alike together."""
    counts: defaultdict[tuple[str, str], int] = defaultdict(int)
    qps: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for difference in differences:
        for cause in difference.causes:
            key = (cause.text, difference.quantity)
            counts[key] += cause.count
            qps[key] |= set() if difference.qp_num is None else {difference.qp_num}
    quantities: defaultdict[tuple[str, int, tuple[int, ...]], list[str]] = defaultdict(list)
    for (text, quantity), count in counts.items():
        quantities[text, count, tuple(sorted(qps[text, quantity]))].append(quantity)
    for (text, count, qp_nums), names in quantities.items():
        where = f" (QP {_listed(qp_nums)})" if qp_nums else ""
        yield f"{' and '.join(names)} {count:+d}{where}: {text}"


def _sheet(points: Sequence[ReplayPoint]) -> Sheet:
    """Return one row per quantity; qp_num is empty for all QPs together."""

    def rows() -> Iterator[list[object]]:
        for point in points:
            for name, pair in _totals(point).items():
                yield [point.name, name, None, *pair]
            for name in ("wakeups", "runs"):
                for qp_num, pair in enumerate(_by_qp(point, name)):
                    yield [point.name, name, qp_num, *pair]

    return Sheet(["name", "quantity", "qp_num", *SIDES], rows())


def _check(point: ReplayPoint) -> Check:
    """Return a recording as a test: a subtest per quantity, with the causes of its difference."""
    differing = {(d.quantity, d.qp_num): d for d in point.differences}
    keys: list[tuple[str, int | None, Pair]] = [("interrupts", None, _totals(point)["interrupts"])]
    for name in ("wakeups", "runs"):
        keys += [(name, qp_num, pair) for qp_num, pair in enumerate(_by_qp(point, name))]
    checks = []
    for name, qp_num, (recorded, predicted) in keys:
        difference = differing.get((name, qp_num))
        causes = difference.causes if difference else ()
        checks.append(
            Check(
                name if qp_num is None else f"{name} of QP {qp_num}",
                difference is None or point.verdict != DISAGREES,
                diagnostics=[
                    f"recorded {recorded}, predicted {predicted}",
                    *(f"{cause.count:+d}: {cause.text}" for cause in causes),
                ],
            )
        )
    return Check(point.name, None, diagnostics=[_setup(point), *point.cautions], checks=checks)
