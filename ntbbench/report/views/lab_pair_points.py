# SPDX-License-Identifier: BSD-3-Clause
"""Points of the pair, as the reports of run, matrix and check show them."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any

from msgspec.structs import fields, replace

from ntbbench.core.fields import declared
from ntbbench.lab.hosts.bridge_records import HostPoint
from ntbbench.lab.pair.boot.left import SOC, TITLES
from ntbbench.lab.pair.plan import AFTER
from ntbbench.lab.pair.records import (
    FAILED,
    HARMLESS,
    OK,
    UNAVAILABLE,
    PairObserved,
    PairPoint,
    PairResult,
)
from ntbbench.pair.drivers.patches import number_ranges
from ntbbench.pair.setting import RC_TO_EP
from ntbbench.report.document import (
    Block,
    Cell,
    Check,
    Column,
    Document,
    Notes,
    Sheet,
    Shown,
    Table,
    Tone,
    column,
    number,
    words,
)
from ntbbench.report.views.record_tables import PER_QP, qp_sheet
from ntbbench.report.wording import plural

LABELS = declared(PairPoint)
AGREES, BOUNDED, DISAGREES, NOT_RUN = "agrees", "in bounds", "DISAGREES", "not run"
DIED = "failed"
BOUNDS = "in bounds: where doorbells meet, as in a burst, the model only bounds the counts"
FACTS = ("kernel", "kernel_source", "accelerator", "deterministic")
COUNTS = ("doorbells_rung", "msis_raised", "events", "packets_sent", "packets_received")
PER_DOORBELL = Column("runs per doorbell", "runs of all receive tasklets", "per\nbell")
PREDICTED = Column("predicted", "runs that the model allows", "pre-\ndicted")
FINDINGS_MAX = 3  # on the first screen
REASONS = 2  # of a failed test, in a line


def report(
    result: PairResult,
    answer: Sequence[Block],
    details: Sequence[Block],
    *,
    verdict: str = "",
    more_checks: Sequence[Check] = (),
) -> Document:
    """Return the report of a result of any kind.

    Parameters
    ----------
    answer, details : blocks before and after what all kinds tell of drivers and of what no point
        tried.
    verdict : what comes before whether the points agree.
    more_checks : after those of the points.
    """
    points = named(result.points)
    first, *more = filter(None, [verdict, _agreement(result)])
    untried = Notes("Not exercised", [(line, ()) for line in result.not_exercised])
    titles = declared(PairResult)
    facts = {titles[name].title: getattr(result, name) for name in FACTS}
    return Document(
        title=f"ntbbench lab pair {result.kind}",
        verdict=first,
        record=result,
        lines=[*more, _machine(result), *shared(points)],
        blocks=[*_findings(points), *answer, _drivers(points, result.observed), untried, *details],
        tone=_tone(points),
        warnings=[(warning, ()) for warning in result.warnings],
        facts=facts | result.environment,
        ran=True,
        sheet=lambda: sheet(result.points),
        checks=lambda: [*_checks(points), *more_checks],
    )


def _tone(points: Sequence[PairPoint]) -> Tone:
    if any(judgement(point) in {DISAGREES, DIED} for point in points):
        return "bad"
    warned = any(not _harmless(line) for point in points for line in point.warnings)
    return "fair" if warned else "good"


def _findings(points: Sequence[PairPoint]) -> Iterator[Notes]:
    """Yield what is wrong, and why a link is down, each once with its points: a few, then all."""
    axes, found = differing(points), dict[str, list[str]]()
    for point in points:
        wrong = point.notes if judgement(point) in {DISAGREES, DIED} else ()
        warned = [f"the kernel warned: {line}" for line in point.warnings if not _harmless(line)]
        for text in dict.fromkeys((*wrong, *filter(None, [point.cause]), *warned)):
            found.setdefault(text, []).append(title(point, axes))
    rows = [(f"{text} ({', '.join(names)})", ()) for text, names in found.items()]
    left = len(rows) - FINDINGS_MAX
    more = [(f"and {left} more with -v", ())] if left > 0 else []
    yield Notes("Findings", [*rows[:FINDINGS_MAX], *more], shown="brief")
    yield Notes("Findings", rows, detail=True)


def _harmless(warning: str) -> bool:
    return HARMLESS.match(warning) is not None


def _agreement(result: PairResult) -> str:
    """Return in one sentence how many points agree, or why nothing was run."""
    measured = [point for point in result.points if point.status != UNAVAILABLE]
    missing = len(result.points) - len(measured)
    why = "; ".join(dict.fromkeys(p.cause for p in result.points if p.status == UNAVAILABLE))
    if missing and not measured:
        text = f"Nothing was run, {plural(missing, 'point')} unavailable: {why}"
    else:
        agreed = sum(point.agrees is True for point in measured)
        sent = sum(point.packets_sent for point in measured if has_counts(point))
        lost = sent - sum(point.packets_received for point in measured if has_counts(point))
        text = f"{lost} of {sent} packets were lost. " if lost > 0 else ""
        text += f"The model agrees in {agreed} of {plural(len(measured), 'point')}"
        bounded = sum(judgement(point) == BOUNDED for point in measured)
        text += f", in {bounded} of them only within bounds" if bounded else ""
        failed = sum(point.status == FAILED for point in measured)
        text += f"; in {failed} the guest failed" if failed else ""
        text += f"; {missing} unavailable: {why}" if missing else ""
    return text if result.complete else f"{text}; not finished"


def _machine(result: PairResult) -> str:
    """Return what ran the guest, and whether its clock makes two runs equal."""
    how = f"emulated by QEMU's {result.accelerator}" if result.accelerator == "tcg" else "on KVM"
    how += ", counting instructions" if result.deterministic else ", not deterministic"
    return f"Linux {result.kernel} ({result.kernel_source}), {how}"


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


def _drivers(points: Sequence[PairPoint], observed: Sequence[PairObserved]) -> Notes:
    """Return what each driver behaves as; of one that was not observed, its patches."""
    told: dict[str, None] = {}
    count = {
        driver.side: f", in {plural(len(driver.observations), 'answer')}"
        for driver in observed
        if not driver.findings
    }
    names = {field.name: field.encode_name for field in fields(kind_of_points(points))}
    for point in points:
        for side in ("ep", "rc"):
            name = asked(point, [f"{side}_driver"])
            place = names[f"{side}_driver"].removesuffix("_driver")
            if behaves := getattr(point, f"{side}_behaves"):
                told[f"{name} behaves as: {behaves}{count.get(place, '')}"] = None
            else:
                patches = number_ranges(getattr(point, f"{side}_patches")) or "none"
                told[f"{name}: patches {patches} (not observed)"] = None
    joints = (
        f"{TITLES[SOC]} {one.driver} behaves as: {one.behaves}{count.get(SOC, '')}"
        for one in observed
        if one.side == SOC
    )
    return Notes("Drivers", [(line, ()) for line in (*sorted(told), *joints)])


def legend(points: Sequence[PairPoint], names: Iterable[str], *more: str) -> Notes:
    """Return what columns, and words in them, mean."""
    about = declared(kind_of_points(points))
    lines = [f"{about[name].title}: {about[name].definition}" for name in names]
    bounds = [BOUNDS] if any(judgement(point) == BOUNDED for point in points) else []
    return Notes("Words", [(line, ()) for line in (*lines, *more, *bounds)])


def points_table(points: Sequence[PairPoint], *, brief: bool) -> Table:
    """Return a row a point; the brief one leaves out what does not fit a terminal."""
    axes = differing(points)
    names = [name for name in COUNTS if not (brief and name.startswith("packets_"))]
    kind = kind_of_points(points)
    columns = [column(kind, name) for name in ("direction", *axes, "link")]
    columns += [] if brief else [Column("QPs", qps_hint(points))]
    columns += [column(kind, name) for name in (*names, "runs_per_qp")]
    columns += [PREDICTED, PER_DOORBELL if brief else column(PairPoint, "verdict")]
    judged = Column(LABELS["agrees"].title, LABELS["agrees"].definition, align="left")

    def row(point: PairPoint) -> list[Cell]:
        up = has_counts(point)
        counts = [getattr(point, name) if up else None for name in names]
        if not by_msi(point):
            counts[names.index("msis_raised")] = None
        low, high = allowed_runs(point)
        return [
            *asked_cells(point, axes),
            Cell(point.link if point.status == OK else point.status if not brief else "-"),
            *([] if brief else [Cell(qp_counts(point))]),
            *map(number, counts),
            number(sum(point.runs_per_qp) if up else None),
            Cell(between(low, high), low) if up else number(None),
            number(runs_per_doorbell(point), ".2f") if brief else Cell(point.verdict or "-"),
            Cell(judgement(point), strong=judgement(point) in {DISAGREES, DIED}),
        ]

    rows = [row(point) for point in points]
    shown: Shown = "terminal" if brief else "page"
    return Table("Points", [*columns, judged], rows, keys=1 + len(axes), shown=shown)


def sheet(points: Sequence[PairPoint], record: type[PairPoint] = PairPoint) -> Sheet:
    """Return one row a point and QP: the point's values, then those of the QP."""
    heads = {f.name: f.encode_name for f in fields(type(points[0]) if points else record)}
    lists = [name for name in heads if name.endswith(PER_QP)]
    whole = qp_sheet(points, [name for name in heads if name not in lists], lists, _flat)
    return dataclasses.replace(whole, headers=[heads.get(name, name) for name in whole.headers])


def _flat(value: object) -> object:
    """Return a value as one CSV cell: a list joined by blanks, a count by key as `key:count`."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        texts = {key: slots_text(v) if isinstance(v, list) else v for key, v in value.items()}
        return " ".join(f"{key}:{text}" for key, text in texts.items())
    return "" if value is None else value


def _checks(points: Iterable[PairPoint]) -> Iterator[Check]:
    """Yield a test a boot, with a subtest for each of its points."""
    of_boot = ("ep_driver", "rc_driver", "ep_slots", "mw_count", "doorbell", "queues")
    boots: dict[str, list[PairPoint]] = {}
    for point in points:
        boots.setdefault(asked(point, of_boot), []).append(point)
    for name, found in boots.items():
        axes = [axis for axis in differing(found) if axis not in of_boot]
        yield Check(name, None, checks=[check(point, title(point, axes)) for point in found])


def check(point: PairPoint, name: str) -> Check:
    """Return the test that a point is."""
    if point.status == UNAVAILABLE:
        return Check(name, None, reason=point.cause)
    lines = [f"link {point.link}, predicted {point.predicted_link}; qp_count {qp_counts(point)}"]
    if has_counts(point):
        lines += [
            f"{LABELS[field].title} {getattr(point, field)}"
            for field in COUNTS
            if field != "msis_raised" or by_msi(point)
        ]
        lines.append(f"runs {sum(point.runs_per_qp)}, predicted {between(*allowed_runs(point))}")
    if (ratio := runs_per_doorbell(point)) is not None:
        lines.append(f"runs per doorbell {ratio:.2f}")
    if point.verdict:
        lines.append(f"doorbells {point.verdict}, predicted {point.predicted_verdict}")
    why = "; ".join(point.notes[:REASONS]) or point.cause
    reason = "" if point.agrees else why
    told = [*lines, *filter(None, [point.cause]), *point.notes]
    return Check(name, point.agrees, reason, told)


# What a point was asked, and how a sentence says it.
AXES: dict[str, Callable[[Any], str]] = {
    "ep_driver": str,
    "rc_driver": str,
    "ep_slots": lambda slots: plural(slots, "slot"),
    "mw_count": lambda windows: plural(windows, "window"),
    "doorbell": str,
    "queues": lambda queues: "" if queues is None else f"max_num_clients {queues}",
    "flows": lambda flows: plural(flows, "flow"),
    "packets": lambda packets: f"{plural(packets, 'packet')} each",
    "gap_us": lambda gap: f"{gap} us apart" if gap else "a burst",
}


def named(points: Sequence[PairPoint]) -> list[PairPoint]:
    """Return points with each driver's path cut to the shortest tail that no other one has."""
    drivers = {name for point in points for name in (point.ep_driver, point.rc_driver)}
    tails = {name: _tail(name, drivers - {name}) for name in drivers}
    return [
        replace(point, ep_driver=tails[point.ep_driver], rc_driver=tails[point.rc_driver])
        for point in points
    ]


def _tail(name: str, others: set[str]) -> str:
    parts = PurePath(name).parts
    for count in range(1, len(parts)):
        if not any(PurePath(other).parts[-count:] == parts[-count:] for other in others):
            return str(PurePath(*parts[-count:]))
    return name


def differing(points: Sequence[PairPoint]) -> list[str]:
    """Return the axes in which points differ: the others are said once.

    By default the flows follow the windows, one per QP.
    """
    names = [name for name in AXES if not _alike(points, name)]
    return [name for name in names if name != "flows" or "mw_count" not in names]


def _alike(points: Sequence[PairPoint], name: str) -> bool:
    return len({getattr(point, name) for point in points}) <= 1


def asked(point: PairPoint, names: Iterable[str]) -> str:
    """Return what a point was asked on these axes, in words."""
    return ", ".join(filter(None, (_said(point, name) for name in names)))


def _said(point: PairPoint, name: str) -> str:
    text = AXES[name](getattr(point, name))
    if name.endswith("_driver"):
        return f"{declared(type(point))[name].title} {text}"
    # how rings reach a host of two is no choice
    return "" if name == "doorbell" and isinstance(point, HostPoint) else text


def shared(points: Sequence[PairPoint]) -> list[str]:
    """Return in one line what all points were asked alike."""
    same = [name for name in AXES if _alike(points, name)]
    joints = {point.ntb_driver for point in points if isinstance(point, HostPoint)} - {AFTER}
    others = [f"{TITLES[SOC]} {name}" for name in sorted(joints)]
    return [", ".join([asked(point, same), *others]) for point in points[:1]]


def title(point: PairPoint, axes: Iterable[str]) -> str:
    """Return what tells a point from the others: its direction and these axes."""
    return ", ".join(filter(None, [point.direction, asked(point, axes)]))


def asked_cells(point: PairPoint, axes: Iterable[str]) -> tuple[Cell, ...]:
    """Return the cells of a point's direction and of these axes."""
    values = (getattr(point, name) for name in axes)
    return words(point.direction, *("unset" if value is None else value for value in values))
