# SPDX-License-Identifier: BSD-3-Clause
"""One self-contained page: verdicts to sort and filter, intervals, distributions, heatmaps."""

from ntbbench.compare.records import Comparison, Report
from ntbbench.compare.series import Variant
from ntbbench.report.comparison import figures, gravity, wording
from ntbbench.report.page import Block, Cell, Column, Facts, Figure, Notes, Page, Section, Table
from ntbbench.report.page import render as render_page

ROWS = 3_000  # a browser sorts as many at once
INTERVALS = 60
DISTRIBUTIONS = 24
COLUMNS = (
    Column("verdict", "regressed, improved, equivalent, inconclusive, or missing on one side"),
    Column("metric"),
    Column("candidate"),
    Column("change", "candidate against base"),
    Column("better", "lower or higher; of words, which have no more and less, nothing"),
    Column("from", "lower end of the 95 % BCa interval of the change"),
    Column("to", "upper end of the 95 % BCa interval of the change"),
    Column("p", "of the test"),
    Column("p adjusted", "over the family"),
    Column("n base"),
    Column("n candidate"),
    Column("detectable", "the smallest effect found with 80 % power; none: no effect is"),
    Column("n to settle", "runs a side, of a simulation replications; if inconclusive"),
    Column("warnings"),
)


def render(report: Report, variants: tuple[Variant, ...]) -> str:
    """Return the page; `variants` hold the samples of the distributions."""
    ordered = gravity.by_gravity(wording.worth_showing(report), report)
    sections = [
        Section("Verdicts", (facts(report), table(ordered)), "verdicts", left_out(report, ordered)),
        drawn("Intervals", "intervals", intervals(ordered)),
        drawn("Distributions", "distributions", distributions(ordered, variants)),
        drawn("Verdicts over queues and doorbells", "heatmaps", heatmaps(report)),
        Section("Ignored by the policy", ignored(report), "ignored"),
        Section("Environment and warnings", (environment(report), cautions(report)), "environment"),
    ]
    return render_page(
        Page(
            title="ntbbench comparison",
            lines=(
                f"{report.base} against {', '.join(report.candidates) or 'nothing'}",
                wording.totals_line(report),
            ),
            sections=tuple(section for section in sections if section.blocks),
        )
    )


def drawn(title: str, name: str, blocks: list[Figure]) -> Section:
    """Return a section of figures; without any it is left out of the page."""
    return Section(title, tuple(blocks), name)


def facts(report: Report) -> Block:
    """Return how the verdicts were reached."""
    rows = [("exit code of the gate", str(report.exit_code))]
    rows += [("because", cause) for cause in report.causes]
    rows += [("warning", text) for text in wording.warning_lines(report)]
    rows += [("family", wording.family_line(report))] if report.family.size else []
    return Facts(tuple(rows))


def left_out(report: Report, ordered: list[Comparison]) -> str:
    """Return what the table does not hold."""
    same = len(report.comparisons) - len(ordered)
    texts = (
        [wording.counted(same, "exact metric(s) is|are unchanged and not listed.")] if same else []
    )
    if len(ordered) > ROWS:
        more = wording.counted(len(ordered) - ROWS, "more row(s), less severe, is|are")
        texts.append(f"{more} in the CSV and the JSON.")
    return " ".join(texts)


def table(ordered: list[Comparison]) -> Table:
    """Return the table of verdicts, what needs a look first."""
    return Table("comparisons", COLUMNS, tuple(row(c) for c in ordered[:ROWS]))


def row(comparison: Comparison) -> tuple[Cell, ...]:
    """Return one row."""
    c = comparison
    whole = c.missing or c.kind == "exact"
    change = wording.change_of(c) if whole else wording.percent(c.ratio)
    low, high = (None, None) if c.kind == "exact" else (c.ratio_low, c.ratio_high)
    runs = c.runs_needed
    return (
        Cell(wording.state(c)),
        Cell(c.metric),
        Cell(c.candidate),
        Cell(change, c.ratio),
        Cell(wording.better_of(c).removesuffix(" is better")),
        Cell(wording.percent(low), low),
        Cell(wording.percent(high), high),
        Cell(wording.probability(c.p_value), c.p_value),
        Cell(wording.probability(c.p_adjusted), c.p_adjusted),
        Cell(str(c.n_base), c.n_base),
        Cell(str(c.n_candidate), c.n_candidate),
        Cell(wording.effect(c.minimal_detectable_effect), c.minimal_detectable_effect),
        Cell(wording.DASH if runs is None else str(runs), runs),
        Cell(", ".join(wording.notes(c))),
    )


def intervals(ordered: list[Comparison]) -> list[Figure]:
    """Return the interval plot of the noisy metrics that have an interval."""
    known = [c for c in ordered if c.kind == "noisy" and c.ratio_low and c.ratio_high]
    if not known:
        return []
    caption = "Change of each noisy metric with its 95 % interval; shaded: within the threshold."
    if len(known) > INTERVALS:
        caption += f" The {INTERVALS} most severe of {len(known)}."
    return [Figure("interval-plot", caption, figures.intervals(known[:INTERVALS]))]


def distributions(ordered: list[Comparison], variants: tuple[Variant, ...]) -> list[Figure]:
    """Return the samples of the most severe noisy metrics."""
    by_label = {variant.label: variant for variant in variants}
    found = []
    noisy = [c for c in ordered if c.kind == "noisy" and not c.missing]
    for number, c in enumerate(noisy[:DISTRIBUTIONS]):
        sides = [(label, by_label[label].series[c.metric]) for label in (c.base, c.candidate)]
        caption = f"{c.metric}: {c.verdict}, {wording.change_of(c)}"
        found.append(Figure(f"distribution-{number}", caption, figures.distribution(sides)))
    return found


def heatmaps(report: Report) -> list[Figure]:
    """Return the worst verdict of each cell over queues and doorbells, a map a group."""
    return [
        Figure(f"heatmap-{number}", f"{group}: the worst verdict of each cell", figure)
        for number, (group, figure) in enumerate(figures.heatmaps(report))
    ]


def environment(report: Report) -> Notes:
    """Return what differs between the two environments."""
    lines = wording.environment_lines(report) or ["The environments agree."]
    return Notes(tuple((line, ()) for line in lines))


def ignored(report: Report) -> tuple[Notes, ...]:
    """Return the metrics that the policy leaves out, with its reasons; none: no section."""
    lines = wording.ignored_lines(report, ROWS)
    return (Notes(tuple((line, ()) for line in lines)),) if lines else ()


def cautions(report: Report) -> Notes:
    """Return each kind of warning once, with its remedy and how often it was given."""
    counts: dict[str, int] = {}
    texts = {}
    for comparison in report.comparisons:
        for warning in comparison.warnings:
            counts[warning.code] = counts.get(warning.code, 0) + 1
            texts[warning.code] = warning
    return Notes(
        tuple(
            (f"{code} ({count}): {texts[code].message}", (f"Remedy: {texts[code].remedy}",))
            for code, count in sorted(counts.items())
        )
    )
