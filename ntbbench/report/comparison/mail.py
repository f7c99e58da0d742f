# SPDX-License-Identifier: BSD-3-Clause
"""Plain text for a mailing list: at most 75 columns, no tabs, aligned, ASCII where the names are.

The columns are those in which kernel developers post measurements: n, mean, min, max, median and
SD of each side; below them the change, its interval, p, and the verdict.
"""

import textwrap
from collections.abc import Sequence

from ntbbench.compare.records import Comparison, Report, Summary
from ntbbench.compare.series import Variant
from ntbbench.report.comparison import gravity, wording

WIDTH = 75
LABEL = 13
IGNORED = 20
LABEL_LEAST = 8  # characters of a label that a long n leaves
COLUMNS = ("n", "mean", "min", "max", "median", "SD")
WIDTHS = (7, 11, 11, 11, 11, 11)


def render(report: Report) -> str:
    """Return the report as the body of a mail."""
    return compose(report, ())


def render_with_runs(report: Report, variants: tuple[Variant, ...]) -> str:
    """Return the report with every sample of every noisy metric below it."""
    return compose(report, variants)


def compose(report: Report, variants: tuple[Variant, ...]) -> str:
    """Return the report; the raw runs are those of `variants`."""
    lines = wrapped(f"Base: {wording.visible(report.base)}")
    for candidate in report.candidates:
        lines += wrapped(f"Candidate: {wording.visible(candidate)}")
    lines += wrapped(f"Result: {wording.totals_line(report)}")
    for text in wording.warning_lines(report):
        lines += wrapped(f"! {wording.visible(text)}", 2)
    for text in wording.environment_lines(report):
        lines += wrapped(wording.visible(text))
    if report.family.size:
        lines += ["", *wrapped(f"Method: {wording.family_line(report)}.")]
    exact = [c for c in report.comparisons if c.kind == "exact" and not wording.unchanged(c)]
    timed = [c for c in report.comparisons if c.kind == "noisy"]
    for comparison in gravity.by_gravity(timed, report):
        lines += ["", *noisy(comparison)]
    if exact:
        lines += ["", "Exact metrics that changed:"]
    for comparison in gravity.by_gravity(exact, report):
        lines += wrapped(f"  {wording.visible(comparison.metric)}", 4)
        lines += wrapped(
            f"    {wording.state(comparison)}: {wording.change_with_way(comparison)}", 6
        )
    same = sum(wording.unchanged(c) for c in report.comparisons)
    if same:
        lines += ["", wording.counted(same, "exact metric(s) is|are unchanged.")]
    if report.ignored:
        lines += ["", "Ignored by the policy:"]
    for text in wording.ignored_lines(report, IGNORED):
        lines += wrapped(f"  {wording.visible(text)}", 4)
    for variant in variants:
        lines += raw_runs(variant)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def noisy(comparison: Comparison) -> list[str]:
    """Return the block of one noisy metric."""
    sides = (comparison.base_summary, comparison.candidate_summary)
    factor, unit = wording.scale_of(
        (side.maximum for side in sides if side is not None), comparison.unit
    )
    name = wording.visible(comparison.metric) + (f" ({unit})" if unit else "")
    lines = wrapped(name, 2)
    if comparison.missing:
        return [*lines, *wrapped(f"  {comparison.reason}", 2)]
    lines.append(" " * LABEL + "".join(f"{c:>{w}}" for c, w in zip(COLUMNS, WIDTHS, strict=True)))
    for label, cells in zip(
        (comparison.base, comparison.candidate), rows(sides, factor), strict=True
    ):
        lines += [row(label, cells)] if cells else []
    change = f"  change {wording.percent(comparison.ratio)}"
    p = f"  p {wording.probability(comparison.p_value)}"
    lines += wrapped(f"{change:<24}95 % interval {wording.interval(comparison)}", 2)
    lines += wrapped(f"{p:<24}adjusted {wording.probability(comparison.p_adjusted)}", 2)
    lines += wrapped(
        f"  verdict: {comparison.verdict.upper()} ({wording.better_of(comparison)})", 2
    )
    reason = wording.why(comparison)
    if reason:
        lines += wrapped(f"  {reason}", 2)
    for warning in comparison.warnings:
        lines += wrapped(f"  ! {wording.visible(warning.message)}", 4)
    return lines


def rows(sides: Sequence[Summary | None], factor: float) -> list[list[str]]:
    """Return the cells of each side, numbers of a column with the same decimals."""
    known = [side for side in sides if side is not None]
    columns: list[list[str]] = [[str(side.n) for side in known]]
    for name in ("mean", "minimum", "maximum", "median", "sd"):
        values = [getattr(side, name) for side in known]
        columns.append(wording.aligned(values, factor))
    found = iter(zip(*columns, strict=True))
    return [[] if side is None else list(next(found)) for side in sides]


def row(label: str, cells: Sequence[str]) -> str:
    """Return the line of one side; an n of eight digits or more takes from the label's room."""
    room = LABEL + WIDTHS[0] - 1 - len(cells[0])
    limit = max(LABEL_LEAST, min(LABEL - 1, room))
    shown = wording.visible(label)
    shown = shown if len(shown) <= limit else f"{shown[: limit - 3]}..."
    count = f"{cells[0]:>{LABEL + WIDTHS[0] - len(shown)}}"
    return (
        shown
        + count
        + "".join(f"{cell:>{width}}" for cell, width in zip(cells[1:], WIDTHS[1:], strict=True))
    )


def raw_runs(variant: Variant) -> list[str]:
    """Return every sample of a variant, in the order they were taken."""
    lines = []
    for series in variant.series.values():
        if series.samples is None:
            continue
        factor, unit = wording.scale_of(series.samples.tolist(), series.unit)
        samples = "Replications" if series.simulated else "Runs"
        title = f"{samples} of {wording.visible(variant.label)}, {wording.visible(series.metric)}"
        lines += ["", *wrapped(f"{title} ({unit or 'no unit'}):", 2)]
        numbers = " ".join(wording.aligned(series.samples.tolist(), factor))
        lines += textwrap.wrap(numbers, WIDTH, initial_indent="  ", subsequent_indent="  ")
    return lines


def wrapped(text: str, indent: int = 0) -> list[str]:
    """Return `text` in lines of at most 75 columns."""
    return textwrap.wrap(text, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False) or [
        ""
    ]
