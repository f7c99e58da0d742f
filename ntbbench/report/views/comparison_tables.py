# SPDX-License-Identifier: BSD-3-Clause
"""The tables of a comparison: a heading for each point, values with their units, what fails."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ntbbench.compare.records import Comparison, Report, Summary
from ntbbench.report.document import (
    Block,
    Cell,
    Column,
    Deferred,
    Notes,
    Table,
    Tone,
    column,
    number,
    words,
)
from ntbbench.report.views import comparison_words as say

ROWS = 3_000  # of a page: a browser sorts as many at once
SIDES = 200  # of a mail's samples
LABEL = 12  # characters of a side's name in a row of a mail
TONES: Mapping[str, Tone] = {
    "regressed": "bad",
    "missing": "bad",
    "improved": "good",
    "inconclusive": "fair",
    "equivalent": "",
}
SIGNS = {"regressed": "worse", "improved": "better", "inconclusive": "?", "equivalent": "="}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
CAPITALS = "in capitals: fails the gate"
SETTLES = (
    "n to settle: with so many samples a side a change of twice the threshold is called regressed, "
    "and none equivalent, each with 80 % power"
)
STATISTICS = ("mean", "minimum", "maximum", "median", "sd")


class Points:
    """The points of the metrics, without what the names of all have in common."""

    def __init__(self, comparisons: Iterable[Comparison]) -> None:
        names = list(dict.fromkeys([c.metric.rpartition(":")[0] for c in comparisons]))
        cut, shared = say.told_apart(names)
        self._short = {name: one.rstrip(":/ ") for name, one in zip(names, cut, strict=True)}
        self.shared = shared.rstrip(":/ ")

    def of(self, metric: str) -> str:
        """Return the name of a metric's point."""
        return self._short[split(metric)[0]]


def split(metric: str) -> tuple[str, str]:
    """Return the point and the quantity that a metric's name is made of."""
    point, _, quantity = metric.rpartition(":")
    return point, quantity


@dataclass(frozen=True)
class Look:
    """What every table of a report needs."""

    report: Report
    points: Points
    fails: Callable[[Comparison], bool]
    letters: Mapping[str, str]  # of the remarks

    def verdict(self, c: Comparison) -> Cell:
        """Return the verdict, in capitals where it fails the gate."""
        state, fails = say.state(c), self.fails(c)
        return Cell(state.upper() if fails else state, strong=fails, tone=TONES[state])


def tables(
    ordered: Sequence[Comparison],
    report: Report,
    points: Points,
    fails: Callable[[Comparison], bool],
) -> Iterator[Block]:
    """Yield every table of the comparisons, the gravest first."""
    changed = [c for c in ordered if say.state(c) != "equivalent" or fails(c)]
    rest = [c for c in ordered if say.state(c) == "equivalent" and not fails(c)]
    same = [c for c in rest if not say.constant(c)]
    look = Look(report, points, fails, _letters(changed))
    several = len(report.candidates) > 1
    compact = _side_by_side if several else _changes
    yield compact("What changed", changed, look)
    yield _rows(ordered, look)
    yield _means(ordered, report)
    yield replace(compact("Equivalent", same, look), detail=True)
    yield _tested([c for c in ordered if c.kind == "noisy" and not c.missing], several=several)
    yield Notes("Notes", [*_noted(look.letters, changed)], shown="plain")


def _grouped(
    comparisons: Sequence[Comparison], points: Points
) -> tuple[list[Comparison], list[tuple[str, int]]]:
    """Return the comparisons by point, each where its gravest stands, and the points' sizes."""
    members: dict[str, list[Comparison]] = {}
    for c in comparisons:
        members.setdefault(points.of(c.metric), []).append(c)
    ordered = [c for group in members.values() for c in group]
    named = any(members)
    return ordered, [(point, len(group)) for point, group in members.items()] if named else []


def _changes(title: str, comparisons: Sequence[Comparison], look: Look) -> Table:
    """Return a row for each metric: what it was, what it is, the change and its interval."""
    ordered, groups = _grouped(comparisons, look.points)
    rows = [
        (
            look.verdict(c),
            Cell(split(c.metric)[1]),
            Cell(c.reason if c.missing else say.transition(c, look.report.interval)),
            Cell(say.percent(c.ratio), c.ratio),
            Cell(say.brief_interval(c)),
            Cell("".join(sorted(look.letters.get(text, "") for text in say.remarks(c)))),
        )
        for c in ordered
    ]
    columns = (
        column(Comparison, "verdict"),
        Column("metric", align="left"),
        Column("base -> candidate"),
        Column("change"),
        Column("95 %"),
        Column("", align="left"),
    )
    legend = [CAPITALS] if any(map(look.fails, ordered)) else []
    used = {letter for row in rows for letter in row[-1].text}
    legend += [f"{at} {say.tag(text)}" for text, at in look.letters.items() if at in used]
    return Table(title, columns, rows, ["; ".join(legend)], groups, 2, "plain", ordered=True)


def _side_by_side(title: str, comparisons: Sequence[Comparison], look: Look) -> Table:
    """Return a row for each metric, with a column for each candidate."""
    report = look.report
    found: dict[str, dict[str, Comparison]] = {}
    for c in report.comparisons:
        found.setdefault(c.metric, {})[c.candidate] = c
    first = {c.metric: c for c in reversed(comparisons)}
    ordered, groups = _grouped(
        [first[c.metric] for c in comparisons if first[c.metric] is c], look.points
    )
    rows = []
    for c in ordered:
        sides = found[c.metric]
        bases = (say.values(one, report.interval)[0] for one in sides.values())
        base = next((text for text in bases if text != say.DASH), say.DASH)
        cells = [_side(sides.get(name), look) for name in report.candidates]
        rows.append((*words(split(c.metric)[1], base), *cells))
    columns = [Column("metric", align="left"), Column(report.base)]
    columns += [Column(name) for name in report.candidates]
    legend = [f"worse, better: a finding; ?: inconclusive; =: equivalent; {CAPITALS}"]
    used = {at for row in rows for cell in row[2:] for at in cell.text.rpartition(" ^")[2]}
    legend += [f"^{at} {say.tag(text)}" for text, at in look.letters.items() if at in used]
    return Table(title, columns, rows, ["; ".join(legend)], groups, 2, "plain", ordered=True)


def _side(c: Comparison | None, look: Look) -> Cell:
    """Return what one candidate makes of a metric."""
    if c is None:
        return Cell(say.DASH)
    if c.missing:
        return Cell(f"MISSING in {'base' if c.missing == 'base' else 'it'}", tone="bad")
    sign = SIGNS[c.verdict]
    value = say.values(c, look.report.interval)[1]
    text = f"{value} {say.percent(c.ratio)} {sign.upper() if look.fails(c) else sign}"
    marks = "".join(sorted(look.letters.get(remark, "") for remark in say.remarks(c)))
    return Cell(f"{text} ^{marks}" if marks else text, c.ratio, tone=TONES[c.verdict])


def _means(comparisons: Sequence[Comparison], report: Report) -> Table:
    """Return the geometric mean of the changes of each noisy quantity, as benchstat has it."""
    ratios: dict[tuple[str, str], dict[str, list[float]]] = {}
    noisy = [c for c in comparisons if c.kind == "noisy" and c.ratio and c.ratio > 0]
    # Of benchmarks each has a name of its own: then it is the mean of all of a unit.
    own = len({split(c.metric)[1] for c in noisy}) * len(report.candidates) == len(noisy)
    for c in noisy:
        if c.ratio:
            key = (f"all in {c.unit}" if own else split(c.metric)[1], say.better_of(c))
            ratios.setdefault(key, {}).setdefault(c.candidate, []).append(c.ratio)
    rows = [
        (
            *words(quantity, better, max(map(len, sides.values()))),
            *(_mean(sides.get(name, ())) for name in report.candidates),
        )
        for (quantity, better), sides in ratios.items()
        if max(map(len, sides.values())) > 1
    ]
    columns = [Column("metric", align="left"), Column("better", align="left"), Column("points")]
    one = len(report.candidates) == 1
    columns += [Column("change" if one else name) for name in report.candidates]
    return Table("Geometric mean of the changes", columns, rows)


def _mean(ratios: Sequence[float]) -> Cell:
    if not ratios:
        return Cell(say.DASH)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return Cell(say.percent(mean), mean)


def _rows(comparisons: Sequence[Comparison], look: Look) -> Table:
    """Return everything that is known of each metric, for formats that are wide."""
    report, several = look.report, len(look.report.candidates) > 1
    ordered, groups = _grouped(comparisons[:ROWS], look.points)
    names = ["candidate"] if several else report.candidates
    columns = [
        column(Comparison, "verdict"),
        column(Comparison, "metric"),
        *([column(Comparison, "candidate")] if several else []),
        Column(report.base, f"{say.location_name(report)}; of an exact metric its value"),
        *(Column(name, "as of the base") for name in names),
        Column("change", "candidate against base"),
        Column("95 % interval", "of the change"),
        column(Comparison, "better"),
        Column("p (adjusted)", "of the test, and over the family"),
        Column("n", "samples of the base and of the candidate"),
        *(column(Comparison, name) for name in ("minimal_detectable_effect", "runs_needed")),
        Column("warnings", "and the rule that decided, where it was not the test", align="left"),
    ]
    rows = Deferred(lambda: (_row(c, look, several=several) for c in ordered))
    left = len(comparisons) - ROWS
    notes = [CAPITALS] if any(map(look.fails, ordered)) else []
    notes += [SETTLES] if any(c.runs_needed for c in ordered) else []
    if left > 0:
        notes.append(say.counted(left, "more row(s), less severe, is|are in the CSV and the JSON"))
    return Table("Verdicts", columns, rows, notes, groups, 2, "marked", ordered=True)


def _row(c: Comparison, look: Look, *, several: bool) -> tuple[Cell, ...]:
    tested = c.kind == "noisy" and not c.missing
    base, candidate = say.values(c, look.report.interval)
    p = f"{say.probability(c.p_value)} ({say.probability(c.p_adjusted)})" if tested else say.DASH
    return (
        look.verdict(c),
        Cell(split(c.metric)[1]),
        *([Cell(c.candidate)] if several else []),
        Cell(base),
        Cell(candidate),
        Cell(say.percent(c.ratio), c.ratio),
        Cell(say.interval(c) if tested else say.DASH, c.ratio_low if tested else None),
        Cell(say.better_of(c).removesuffix(" is better")),
        Cell(p, c.p_adjusted),
        Cell(f"{c.n_base}/{c.n_candidate}", min(c.n_base, c.n_candidate)),
        Cell(say.effect(c.minimal_detectable_effect), c.minimal_detectable_effect),
        number(c.runs_needed),
        Cell(", ".join(say.notes(c))),
    )


def _tested(noisy: Sequence[Comparison], *, several: bool) -> Table:
    """Return what was tested of each noisy metric, and what would settle an inconclusive one."""
    columns = [
        *(column(Comparison, name) for name in ("metric", "candidate")[: 1 + several]),
        column(Comparison, "better"),
        *(column(Comparison, name) for name in ("p_value", "p_adjusted")),
        Column("n"),
        *(column(Comparison, name) for name in ("minimal_detectable_effect", "runs_needed")),
    ]
    rows = Deferred(
        lambda: (
            (
                *words(*(c.metric, c.candidate)[: 1 + several], c.better),
                Cell(say.probability(c.p_value), c.p_value),
                Cell(say.probability(c.p_adjusted), c.p_adjusted),
                Cell(f"{c.n_base}/{c.n_candidate}"),
                Cell(say.effect(c.minimal_detectable_effect), c.minimal_detectable_effect),
                number(c.runs_needed),
            )
            for c in noisy
        )
    )
    notes = [SETTLES] if any(c.runs_needed for c in noisy) else []
    return Table("Tests", columns, rows, notes, keys=1 + several, shown="plain", detail=True)


def samples(noisy: Sequence[Comparison]) -> Table:
    """Return what kernel developers post of measurements: n, mean, min, max, median and SD."""
    columns = [Column("", align="left"), column(Summary, "n")]
    columns += [column(Summary, name) for name in STATISTICS]
    rows, groups = [], []
    for c in noisy[:SIDES]:
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


def _letters(comparisons: Iterable[Comparison]) -> dict[str, str]:
    """Return a letter for each remark on the comparisons, the most frequent first."""
    counts = Counter(text for c in comparisons for text in say.remarks(c))
    return dict(zip((text for text, _ in counts.most_common()), LETTERS, strict=False))


def _noted(
    letters: Mapping[str, str], comparisons: Sequence[Comparison]
) -> Iterator[tuple[str, list[str]]]:
    """Yield each remark once, with its letter, how many it holds for, and its remedy."""
    found = {text: [c for c in comparisons if text in say.remarks(c)] for text in letters}
    for text, letter in letters.items():
        many = say.counted(len(found[text]), "metric(s)")
        remedy = say.remedy_of(text, found[text][0])
        yield f"{letter} ({many}): {text}", [f"Remedy: {remedy}"] if remedy else []
