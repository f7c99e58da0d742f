# SPDX-License-Identifier: BSD-3-Clause
"""A comparison: what fails the gate first, then what needs a look, then how it was judged."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache

from ntbbench.compare.records import Comparison, Report
from ntbbench.compare.series import Variant
from ntbbench.core.names import printable
from ntbbench.report.document import (
    Block,
    Check,
    Deferred,
    Document,
    Notes,
    Section,
    Sheet,
    Shown,
    Tone,
)
from ntbbench.report.views import comparison_words as say
from ntbbench.report.views.comparison_tables import STATISTICS, Points, samples, tables

READABLE = 1_000  # more comparisons are written as JSON without indentation: half the size
IGNORED = 100
NOTES = 20  # on the environments
FORMULA = ("=", "+", "-", "@")  # what a spreadsheet would execute
# Columns of the CSV: fields of a comparison, then those of each side's summary.
PLAIN = (
    *("metric", "base", "candidate", "kind", "verdict", "reason", "unit", "better", "threshold"),
    *("ratio", "ratio_low", "ratio_high", "p_value", "p_adjusted", "n_base", "n_candidate"),
    *("minimal_detectable_effect", "runs_needed", "base_value", "candidate_value", "missing"),
)
SUMMARY = (*STATISTICS, "outliers")


def document(report: Report, sides: Sequence[Variant] = (), *, raw: bool = False) -> Document:
    """Return the report of a comparison.

    Parameters
    ----------
    sides : with the samples that the distributions show; a saved report has none.
    raw : list every sample.
    """
    against = ", ".join(report.candidates) or "nothing"
    bad = report.totals.regressed or report.totals.missing
    tone: Tone = "bad" if bad else "good" if report.exit_code == 0 else "fair"
    points = cache(lambda: Points(report.comparisons))
    return Document(
        title="ntbbench compare",
        verdict=f"{say.answer(report)}: {against} against {report.base}",
        tone=tone,
        record=report,
        indent=0 if len(report.comparisons) > READABLE else 1,
        lines=Deferred(lambda: _lines(report, points())),
        blocks=Deferred(lambda: [*_blocks(report, points()), *(_runs(sides) if raw else ())]),
        warnings=[(f"{w.code}: {w.message}", [f"Remedy: {w.remedy}"]) for w in report.warnings],
        sheet=lambda: _sheet(report),
        figures=lambda: _figures(report, sides),
        checks=lambda: [*_checks(report)],
    )


def _lines(report: Report, points: Points) -> Iterator[str]:
    if report.causes:
        yield say.exit_line(report)
    if report.confirmation:
        yield say.confirmed_line(report.confirmation)
    if points.shared:
        yield f"All points: {points.shared}"


def by_gravity(comparisons: Iterable[Comparison], report: Report) -> list[Comparison]:
    """Return the comparisons in the order in which they are shown.

    What fails first, in it the regressions before what is missing, the largest change first.
    """
    return sorted(
        comparisons,
        key=lambda c: (not fails(c, report), say.SEVERITY.index(say.state(c)), -say.change_size(c)),
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


def _blocks(report: Report, points: Points) -> Iterator[Block]:
    ordered = by_gravity((c for c in report.comparisons if not say.unchanged(c)), report)
    environment = _notes("Environment", _first(say.environment_lines(report), NOTES))
    changed, *others = tables(ordered, report, points, lambda c: fails(c, report))
    yield from (changed, replace(environment, shown="plain"), *others)
    if report.confirmation:
        again = [say.confirmed(c) for c in report.confirmation.comparisons]
        yield _notes("Measured once more", _first(again, NOTES))
    yield _notes("Unchanged", _counts(ordered, len(report.comparisons) - len(ordered)))
    yield samples([c for c in ordered if c.kind == "noisy" and not c.missing])
    yield Notes("Warnings of metrics", [*_cautions(report)], shown="marked")
    ignored = [f"{item.metric}: {item.reason}" for item in report.ignored]
    yield _notes("Ignored by the policy", _first(ignored, IGNORED))
    yield replace(environment, shown="marked")
    method = [say.family_line(report)] if report.family.size else []
    yield replace(_notes("Method", method), detail=True)


def _counts(ordered: Sequence[Comparison], same: int) -> list[str]:
    """Return how many metrics the tables leave out, for there is nothing to see."""
    constant = sum(map(say.constant, ordered))
    lines = []
    if constant:
        lines.append(say.counted(constant, "noisy metric(s) is|are one number in every sample"))
    return [*lines, say.counted(same, "exact metric(s) is|are unchanged")] if same else lines


def _notes(title: str, lines: Iterable[str], shown: Shown = "everywhere") -> Notes:
    return Notes(title, [(line, ()) for line in lines], shown)


def _first(lines: list[str], most: int) -> list[str]:
    more = len(lines) - most
    return [*lines[:most], f"and {more} more, which --format json names"] if more > 0 else lines


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
