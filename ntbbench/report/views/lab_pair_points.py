# SPDX-License-Identifier: BSD-3-Clause
"""Points of the pair, as the reports of run, matrix and check show them."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import fields

from ntbbench.core.fields import declared
from ntbbench.lab.pair.boot.left import SOC, TITLES
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
)
from ntbbench.report.views.lab_pair_axes import asked, asked_cells, differing, named, shared, title
from ntbbench.report.views.lab_pair_judged import (
    BOUNDED,
    DIED,
    DISAGREES,
    allowed_runs,
    between,
    by_msi,
    has_counts,
    judgement,
    kind_of_points,
    qp_counts,
    qps_hint,
    runs_per_doorbell,
    slots_text,
)
from ntbbench.report.views.record_tables import PER_QP, qp_sheet
from ntbbench.report.wording import plural

LABELS = declared(PairPoint)
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
