# SPDX-License-Identifier: BSD-3-Clause
"""A comparison: what fails the gate first, then what needs a look, then how it was judged."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from ntbbench.compare.records import Comparison, Report, Summary
from ntbbench.compare.series import Variant
from ntbbench.report.document import (
    Block,
    Cell,
    Check,
    Column,
    Deferred,
    Document,
    Notes,
    Section,
    Sheet,
    Shown,
    Table,
    column,
    number,
    words,
)
from ntbbench.report.views import comparison_words as say
from ntbbench.report.wording import printable

Item = TypeVar("Item")

READABLE = 1_000  # more comparisons are written as JSON without indentation: half the size
ENTRIES = 200  # of a text
ROWS = 3_000  # of a page: a browser sorts as many at once
EQUIVALENT = 40  # more than as many are only counted in a text
IGNORED = 100
NOTES = 20  # on the environments
LABEL = 12  # characters of a side's name in a row of a mail
FORMULA = ("=", "+", "-", "@")  # what a spreadsheet would execute
GRAVE = ("regressed", "missing")
# Columns of the CSV: fields of a comparison, then those of each side's summary.
PLAIN = (
    *("metric", "base", "candidate", "kind", "verdict", "reason", "unit", "better", "threshold"),
    *("ratio", "ratio_low", "ratio_high", "p_value", "p_adjusted", "n_base", "n_candidate"),
    *("minimal_detectable_effect", "runs_needed", "base_value", "candidate_value", "missing"),
)
STATISTICS = ("mean", "minimum", "maximum", "median", "sd")
SUMMARY = (*STATISTICS, "outliers")
CANDIDATE = 2  # its place among the columns
COLUMNS = (
    *(column(Comparison, name) for name in ("verdict", "metric", "candidate")),
    Column("change", "candidate against base"),
    column(Comparison, "better"),
    Column("95 % interval", "of the change"),
    Column("p (adjusted)", "of the test, and over the family"),
    Column("n", "samples of the base and of the candidate"),
    *(column(Comparison, name) for name in ("minimal_detectable_effect", "runs_needed")),
    Column("warnings", "and the rule that decided, where it was not the test", align="left"),
)


def document(report: Report, sides: Sequence[Variant] = (), *, raw: bool = False) -> Document:
    """Return the report of a comparison.

    Parameters
    ----------
    sides : with the samples that the distributions show; a saved report has none.
    raw : list every sample.
    """
    against = ", ".join(report.candidates) or "nothing"
    return Document(
        title="ntbbench compare",
        verdict=f"{say.totals(report)}: {against} against {report.base}",
        record=report,
        indent=0 if len(report.comparisons) > READABLE else 1,
        lines=[say.exit_line(report)] if report.causes else [],
        blocks=Deferred(lambda: [*_blocks(report), *(_runs(sides) if raw else ())]),
        warnings=[(f"{w.code}: {w.message}", [f"Remedy: {w.remedy}"]) for w in report.warnings],
        sheet=lambda: _sheet(report),
        figures=lambda: _figures(report, sides),
        checks=lambda: [*_checks(report)],
    )


def by_gravity(comparisons: Iterable[Comparison], report: Report) -> list[Comparison]:
    """Return the comparisons in the order in which they are shown.

    What fails first, in it the regressions before what is missing, the largest change first.
    """
    return sorted(
        comparisons,
        key=lambda c: (not fails(c, report), say.SEVERITY.index(say.state(c)), -_size(c)),
    )


def fails(comparison: Comparison, report: Report) -> bool:
    """Return whether the policy of the report fails a gate for this comparison."""
    if comparison.missing:
        return True
    if _reported_only(comparison, report):
        return False
    fatal = any(warning.code in report.fatal_warnings for warning in comparison.warnings)
    undecided = comparison.verdict == "inconclusive" and (
        report.fail_inconclusive or (report.fail_untested and comparison.untested)
    )
    return fatal or undecided or comparison.verdict == "regressed"


def _reported_only(comparison: Comparison, report: Report) -> bool:
    """Return whether the policy lets this comparison fail nothing, whatever its verdict."""
    noisy = comparison.kind == "noisy" and not comparison.missing
    return noisy and report.gate_on == "exact"


def _size(comparison: Comparison) -> float:
    ratio = comparison.ratio
    if ratio is None:
        return 0.0
    return abs(math.log(ratio)) if ratio > 0 else math.inf


def _blocks(report: Report) -> Iterator[Block]:
    ordered = by_gravity((c for c in report.comparisons if not say.unchanged(c)), report)
    same = len(report.comparisons) - len(ordered)
    unchanged = [say.counted(same, "exact metric(s) is|are unchanged")] if same else []
    yield from _listed(ordered, unchanged, several=len(report.candidates) > 1)
    left = len(ordered) - ROWS
    more = [say.counted(left, "more row(s), less severe, is|are in the CSV and the JSON")]
    rows = [_row(c) for c in ordered[:ROWS]]
    columns = COLUMNS
    if len(report.candidates) == 1:  # a column that says the same in every row
        columns, rows = _without(columns), [_without(row) for row in rows]
    notes = [*(more if left > 0 else ()), *unchanged]
    yield Table("Verdicts", columns, rows, notes, keys=2, shown="marked", ordered=True)
    yield _samples([c for c in ordered if c.kind == "noisy" and not c.missing][:ENTRIES])
    yield Notes("Warnings of metrics", [*_cautions(report)])
    ignored = [f"{item.metric}: {item.reason}" for item in report.ignored]
    yield _notes("Ignored by the policy", _first(ignored, IGNORED))
    yield _notes("Environment", _first(say.environment_lines(report), NOTES))
    yield _notes("Method", [say.family_line(report)] if report.family.size else [])


def _notes(title: str, lines: Iterable[str], shown: Shown = "everywhere") -> Notes:
    return Notes(title, [(line, ()) for line in lines], shown)


def _first(lines: list[str], most: int) -> list[str]:
    more = len(lines) - most
    return [*lines[:most], f"and {more} more, which --format json names"] if more > 0 else lines


def _listed(ordered: Sequence[Comparison], tail: list[str], *, several: bool) -> Iterator[Notes]:
    """Yield the verdicts as a list; those of which there are many are counted."""
    shown = [c for c in ordered if not say.constant(c)]
    constant = len(ordered) - len(shown)
    if constant:
        tail = [say.counted(constant, "noisy metric(s) is|are one number in every sample"), *tail]
    same = sum(say.state(c) == "equivalent" for c in shown)
    if same > EQUIVALENT:
        shown = [c for c in shown if say.state(c) != "equivalent"]
        tail = [f"{same} noisy metrics are equivalent", *tail]
    left = Counter(say.state(c) for c in shown[ENTRIES:])
    if left:
        counts = ", ".join(f"{left[state]} {state}" for state in say.SEVERITY if left[state])
        tail = [f"and {counts} that --format json, csv or --html show", *tail]
    yield Notes("Verdicts", [_entry(c, several=several) for c in shown[:ENTRIES]], "plain")
    yield _notes("", tail, "plain")


def _entry(comparison: Comparison, *, several: bool) -> tuple[str, list[str]]:
    name = f"{comparison.metric} ({comparison.candidate})" if several else comparison.metric
    name = ", ".join(filter(None, (name, say.better_of(comparison))))
    warned = ", ".join(say.notes(comparison, details=True))
    lines = (say.change_of(comparison), say.why(comparison), warned and f"! {warned}")
    return f"{say.state(comparison)}: {name}", [line for line in lines if line]


def _row(comparison: Comparison) -> tuple[Cell, ...]:
    c, state = comparison, say.state(comparison)
    tested = c.kind == "noisy" and not c.missing
    p = f"{say.probability(c.p_value)} ({say.probability(c.p_adjusted)})" if tested else say.DASH
    return (
        Cell(state, strong=state in GRAVE),
        *words(c.metric, c.candidate),
        Cell(say.percent(c.ratio) if tested else say.change_of(c), c.ratio),
        Cell(say.better_of(c).removesuffix(" is better")),
        Cell(say.interval(c) if tested else say.DASH, c.ratio_low if tested else None),
        Cell(p, c.p_adjusted),
        Cell(f"{c.n_base}/{c.n_candidate}", min(c.n_base, c.n_candidate)),
        Cell(say.effect(c.minimal_detectable_effect), c.minimal_detectable_effect),
        number(c.runs_needed),
        Cell(", ".join(say.notes(c))),
    )


def _without(cells: tuple[Item, ...]) -> tuple[Item, ...]:
    return cells[:CANDIDATE] + cells[CANDIDATE + 1 :]


def _samples(noisy: Sequence[Comparison]) -> Table:
    """Return what kernel developers post of measurements: n, mean, min, max, median and SD."""
    columns = [Column("", align="left"), column(Summary, "n")]
    columns += [column(Summary, name) for name in STATISTICS]
    rows, groups = [], []
    for c in noisy:
        sides = [side for side in (c.base_summary, c.candidate_summary) if side is not None]
        factor, unit = say.scale_of((side.maximum for side in sides), c.unit)
        numbers = [
            say.aligned([getattr(side, name) for side in sides], factor) for name in STATISTICS
        ]
        for label, side, *texts in zip((c.base, c.candidate), sides, *numbers, strict=True):
            name = label if len(label) <= LABEL else f"{label[: LABEL - 3]}..."
            rows.append(words(name, side.n, *texts))
        groups.append((f"{c.metric} ({unit})" if unit else c.metric, len(sides)))
    return Table("Samples", columns, rows, groups=groups, shown="mail")


def _cautions(report: Report) -> Iterator[tuple[str, list[str]]]:
    """Yield each kind of warning once, with its remedy and how often it was given."""
    given = [w for c in report.comparisons for w in c.warnings if w.code != "missing"]
    counts = Counter(warning.code for warning in given)
    first = {warning.code: warning for warning in reversed(given)}
    for code, count in sorted(counts.items()):
        meaning = first[code].message.removesuffix(say.detail_of(first[code])).removesuffix(": ")
        yield f"{code} ({count}): {meaning}", [f"Remedy: {first[code].remedy}"]


def _runs(sides: Sequence[Variant]) -> Iterator[Notes]:
    """Yield every sample of each side, in the order they were taken."""
    for side in sides:
        for series in side.series.values():
            if series.samples is not None:
                values = series.samples.tolist()
                factor, unit = say.scale_of(values, series.unit)
                kind = "Replications" if series.simulated else "Runs"
                title = f"{kind} of {side.label}, {series.metric} ({unit or 'no unit'})"
                yield _notes(title, [" ".join(say.aligned(values, factor))])


def _figures(report: Report, sides: Sequence[Variant]) -> list[Section]:
    from ntbbench.report.figures import comparison  # noqa: PLC0415 -- loads plotly

    ordered = by_gravity((c for c in report.comparisons if not say.unchanged(c)), report)
    return comparison.sections(report, ordered, sides)


def _checks(report: Report) -> Iterator[Check]:
    """Yield the comparisons of each candidate, the gravest first, and what the policy ignores."""
    for candidate in report.candidates:
        mine = [c for c in report.comparisons if c.candidate == candidate]
        ordered = by_gravity((c for c in mine if not say.unchanged(c)), report)
        found = [_check(c, report) for c in (*ordered, *filter(say.unchanged, mine))]
        if found:
            yield Check(candidate, None, checks=found)
    left_out = [Check(item.metric, None, f"ignored: {item.reason}") for item in report.ignored]
    if left_out:
        yield Check("ignored by the policy", None, checks=left_out)


def _check(comparison: Comparison, report: Report) -> Check:
    told = (say.change_with_way(comparison), say.why(comparison))
    reason = "; ".join(filter(None, (*told, say.fatal_warnings(comparison, report))))
    only_told = _reported_only(comparison, report) and comparison.verdict == "regressed"
    skipped = only_told or comparison.verdict == "inconclusive"
    failed = fails(comparison, report)
    return Check(
        comparison.metric,
        False if failed else None if skipped else True,
        f"{say.state(comparison)}: {reason}",
        [f"{warning.code}: {warning.message}" for warning in comparison.warnings],
        error=comparison.missing is not None,
        notable=skipped or comparison.verdict == "improved",
    )


def _sheet(report: Report) -> Sheet:
    sides = [f"{side}_{name}" for side in ("base", "candidate") for name in SUMMARY]
    return Sheet([*PLAIN, *sides, "warnings"], _rows(report), quoting="needed")


def _rows(report: Report) -> Iterator[list[object]]:
    """Yield a row a comparison; what is ignored comes last, with its reason alone."""
    whole = [warning.code for warning in report.warnings]
    for c in report.comparisons:
        cells = [_plain(getattr(c, name)) for name in PLAIN]
        for side in (c.base_summary, c.candidate_summary):
            cells += [None if side is None else getattr(side, name) for name in SUMMARY]
        codes = dict.fromkeys((*whole, *(warning.code for warning in c.warnings)))
        yield [*cells, " ".join(codes)]
    for item in report.ignored:
        known = {"metric": item.metric, "verdict": "ignored", "reason": item.reason}
        cells = [_plain(known.get(name)) for name in PLAIN]
        yield [*cells, *[None] * (2 * len(SUMMARY)), ""]


def _plain(value: object) -> object:
    """Return a cell; text that a spreadsheet would take for a formula gets an apostrophe."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(FORMULA) else text
