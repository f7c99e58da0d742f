# SPDX-License-Identifier: BSD-3-Clause
"""How reports say a change: numbers, verdicts, what was tested together."""

import math
import re
from collections.abc import Iterable, Sequence

from ntbbench.compare.policy import MEDIAN, SETTLED
from ntbbench.compare.records import Comparison, Confirmation, Report, Warned
from ntbbench.compare.warning_list import CAUTIONS, ONE_PROCESS, replications
from ntbbench.report.wording import plain

SEVERITY = ("regressed", "missing", "inconclusive", "improved", "equivalent")
SCALES = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"), (1e-12, "ps")),
    "B": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")),
    "B/s": ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s")),
    "1/s": ((1e9, "G/s"), (1e6, "M/s"), (1e3, "k/s")),
    "ops/s": ((1e9, "Gops/s"), (1e6, "Mops/s"), (1e3, "kops/s")),
    "bit/s": ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")),
}
# Of each scaled unit: the one that scales, and how much of it one is.
SCALED = {name: (unit, size) for unit, scale in SCALES.items() for size, name in scale}
BETTER = {
    "lower": "lower is better",
    "higher": "higher is better",
    "none": "any change is worse",
}
DASH = "-"
MARK = re.compile(r"[/:\s]")  # what ends a part of a name
HOPELESS = 10_000  # runs that nobody makes


def apart(names: Sequence[str]) -> list[str]:
    """Return the names without the parts that all have in common at either end.

    A name is cut between its parts, not within one: `q2/d8`, not `2/d8`.
    """
    return told_apart(names)[0]


def told_apart(names: Sequence[str]) -> tuple[list[str], str]:
    """Return the names as `apart` does, and what it leaves out, with `...` for the rest."""
    several = len(set(names))
    if several < 2:
        return list(names), ""
    head = _whole_parts(_beginning(min(names), max(names)))
    back = [name[len(head) :][::-1] for name in names]
    ending = _beginning(min(back), max(back))[::-1]
    mark = MARK.search(ending)
    foot = ending[mark.end() :] if mark else ""
    cut = [name[len(head) : len(name) - len(foot)].rstrip("/: ") for name in names]
    if not (head or foot) or not all(cut) or len(set(cut)) < several:
        return list(names), ""
    return cut, f"{head}...{'/' if foot else ''}{foot}"


def _beginning(one: str, other: str) -> str:
    """Return what two texts, and so all between them in order, begin with."""
    pairs = zip(one, other, strict=False)
    return one[: next((at for at, (a, b) in enumerate(pairs) if a != b), len(one))]


def _whole_parts(text: str) -> str:
    """Return a text up to the last mark that ends a part of a name."""
    return text[: max(text.rfind(mark) for mark in "/: \t\n") + 1]


def better_of(comparison: Comparison) -> str:
    """Return which way is better; nothing of words, and of what one side does not have."""
    if (
        comparison.missing
        or isinstance(comparison.base_value, str)
        or isinstance(comparison.candidate_value, str)
    ):
        return ""
    return BETTER[comparison.better]


def state(comparison: Comparison) -> str:
    """Return the verdict, or `missing`."""
    return "missing" if comparison.missing else comparison.verdict


def unchanged(comparison: Comparison) -> bool:
    """Return whether this is an exact metric that did not change."""
    return comparison.kind == "exact" and state(comparison) == "equivalent"


def constant(comparison: Comparison) -> bool:
    """Return whether a noisy metric is equivalent with one and the same number in every sample."""
    sides = (comparison.base_summary, comparison.candidate_summary)
    ends = {end for side in sides if side is not None for end in (side.minimum, side.maximum)}
    return comparison.kind == "noisy" and state(comparison) == "equivalent" and len(ends) == 1


def percent(ratio: float | None) -> str:
    """Return a ratio as a signed change in per cent."""
    if ratio is None:
        return DASH
    change = (ratio - 1) * 100
    places = 2 if abs(change) < 10 else 1 if abs(change) < 1000 else 0
    return f"{change:+.{places}f} %"


def interval(comparison: Comparison) -> str:
    """Return the interval of the change, an open end as `..`."""
    if comparison.ratio_low is None and comparison.ratio_high is None:
        return DASH
    low, high = (
        ".." if bound is None else percent(bound).removesuffix(" %")
        for bound in (comparison.ratio_low, comparison.ratio_high)
    )
    return f"[{low}, {high}] %"


def probability(p: float | None) -> str:
    """Return a p-value in four characters or so."""
    if p is None:
        return DASH
    return "<0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


def effect(value: float | None) -> str:
    """Return a relative effect in per cent."""
    return DASH if value is None else f"{value * 100:.3g} %"


def scale_of(values: Iterable[float], unit: str) -> tuple[float, str]:
    """Return the factor and the unit in which numbers of this size read well."""
    largest = max(values, default=0.0)
    for factor, name in SCALES.get(unit, ()):
        if largest >= factor:
            return factor, name
    return (1e-9, "ns") if unit == "s" else (1.0, unit)


def quantity(value: float, unit: str) -> str:
    """Return a number of four digits with the unit that suits its size: 435 ns, 24.21 us."""
    base, size = SCALED.get(unit, (unit, 1.0))
    factor, name = scale_of([abs(value) * size], base)
    if not value:
        factor, name = size, unit
    return f"{plain(value * size / factor, 4)} {name}".rstrip()


def values(comparison: Comparison, interval: str) -> tuple[str, str]:
    """Return what each side has: the number that the ratio is of, with its unit."""
    if comparison.kind == "exact":
        return exact_text(comparison.base_value), exact_text(comparison.candidate_value)
    sides = (comparison.base_summary, comparison.candidate_summary)
    base, candidate = (
        DASH if side is None else quantity(getattr(side, interval), comparison.unit)
        for side in sides
    )
    return base, candidate


def transition(comparison: Comparison, interval: str) -> str:
    """Return `24.21 -> 32.3 us`: both values, their unit once where it is one."""
    base, candidate = values(comparison, interval)
    number, _, unit = base.partition(" ")
    shared = comparison.kind == "noisy" and unit and candidate.endswith(f" {unit}")
    return f"{number if shared else base} -> {candidate}"


def brief_interval(comparison: Comparison) -> str:
    """Return the interval of the change without brackets: `+39.0..+40.3`."""
    text = interval(comparison) if comparison.kind == "noisy" else DASH
    return "" if text == DASH else text.strip("[] %").replace(", ", "..").replace("....", "..")


def remarks(comparison: Comparison) -> list[str]:
    """Return what is to be said of a comparison that may hold for others too."""
    judged = comparison.decided_by == "effect" or comparison.verdict == "inconclusive"
    reasons = [comparison.reason] if judged and not comparison.missing else []
    said = ("missing", *(ONE_PROCESS for reason in reasons if reason.startswith(ONE_PROCESS)))
    warned = [f"{w.code}: {_meaning(w)}" for w in comparison.warnings if w.code not in said]
    return [*dict.fromkeys((*reasons, *warned))]  # a warning may be of both sides


def tag(remark: str) -> str:
    """Return a remark in a word or two."""
    return re.split("[:,;]", remark)[0].removesuffix(" have no significant p-value")


def remedy_of(remark: str, comparison: Comparison) -> str:
    """Return what to do about a remark; "" where there is nothing."""
    code = remark.partition(":")[0]
    return next((w.remedy for w in comparison.warnings if w.code == code), "")


def _meaning(warning: Warned) -> str:
    return warning.message.removesuffix(detail_of(warning)).removesuffix(": ")


def figure(value: float, factor: float = 1.0) -> str:
    """Return a number with five significant digits."""
    return aligned([value], factor)[0]


def aligned(values: Sequence[float | None], factor: float = 1.0) -> list[str]:
    """Return numbers with as many decimals as the largest of them needs for five digits."""
    scaled = [value / factor for value in values if value is not None]
    largest = max(map(abs, scaled), default=0.0)
    decimals = 4
    if largest:
        # What rounds up to the next power of ten has a digit more.
        decimals = max(0, 4 - math.floor(math.log10(float(f"{largest:.4e}"))))
    return [
        DASH
        if value is None
        else f"{value / factor:.4g}"
        if value and not 1e-3 <= abs(value / factor) < 1e7
        else f"{value / factor:.{min(decimals, 4)}f}"
        for value in values
    ]


def exact_text(value: int | float | str | None) -> str:
    """Return an exact value; a long list of counts is told, not shown."""
    if value is None:
        return DASH
    text = str(value) if value != "" else "none"
    return text if len(text) <= 40 else f"{text[:37]}..."


def change_of(comparison: Comparison) -> str:
    """Return what happened to a metric in one line of words and numbers."""
    if comparison.missing:
        return comparison.reason
    if comparison.kind == "exact":
        values = (comparison.base_value, comparison.candidate_value)
        shown = " -> ".join(exact_text(value) for value in values)
        return shown if comparison.ratio is None else f"{shown} ({percent(comparison.ratio)})"
    return (
        f"{percent(comparison.ratio)} {interval(comparison)}, "
        f"p {probability(comparison.p_value)} (adjusted {probability(comparison.p_adjusted)}), "
        f"n {comparison.n_base}/{comparison.n_candidate}"
    )


def change_with_way(comparison: Comparison) -> str:
    """Return the change and which way would be better."""
    return "; ".join(filter(None, (change_of(comparison), better_of(comparison))))


def notes(comparison: Comparison, *, details: bool = False) -> list[str]:
    """Return the codes of the warnings; without details also the rule that decided."""
    found = [w for w in comparison.warnings if w.code != "missing"]
    if details:
        return [f"{w.code} ({detail})" if (detail := detail_of(w)) else w.code for w in found]
    by = ["by effect"] if comparison.decided_by == "effect" else []
    return by + [w.code for w in found]


def detail_of(warning: Warned) -> str:
    """Return what of a warning is particular to one metric."""
    usual = CAUTIONS[warning.code][0]
    for text in (usual, replications(usual)):
        if warning.message.startswith(f"{text}: "):
            return warning.message.removeprefix(f"{text}: ")
    return ""


def why(comparison: Comparison) -> str:
    """Return what an inconclusive comparison could have seen and what would settle it.

    Of a change that was not decided by the test, the rule that decided.
    """
    if comparison.decided_by == "effect":
        return comparison.reason
    if comparison.verdict != "inconclusive" or comparison.missing:
        return ""
    if comparison.kind == "exact":
        return comparison.reason
    smallest = comparison.minimal_detectable_effect
    parts = [
        comparison.reason,
        "detectable: nothing" if smallest is None else f"detectable: {effect(smallest)}",
    ]
    runs, samples = comparison.runs_needed, _samples_of(comparison)
    settled = f"a side would settle a change of {100 * SETTLED * comparison.threshold:g} %, or none"
    if runs is not None and runs > HOPELESS:
        hint = "" if comparison.simulated else ": quiet the machine first"
        parts.append(f"more than {HOPELESS} {samples} {settled}{hint}")
    elif runs is not None:
        parts.append(f"about {runs} {samples} {settled}")
    return "; ".join(parts)


def _samples_of(comparison: Comparison) -> str:
    """Return what a sample of the comparison is of."""
    return "replications" if comparison.simulated else "runs"


def answer(report: Report) -> str:
    """Return how many regressed, the worst of them, and the counts of all verdicts."""
    t, size = report.totals, len(report.comparisons)
    said = f"{t.regressed} of {size} regressed" if size else "Nothing was compared"
    counts = (("regressed", "worst", t.regressed), ("improved", "best", t.improved))
    for verdict, word, count in counts:
        found = [c for c in report.comparisons if c.verdict == verdict] if count else []
        if found:
            most = max(found, key=change_size)
            change = change_of(most) if most.ratio is None else percent(most.ratio)
            said += f", {word} {change} ({most.metric})"
            break
    rest = f"{t.improved} improved, {t.equivalent} equivalent, {t.inconclusive} inconclusive"
    noisy = (c for c in report.comparisons if c.kind == "noisy") if t.inconclusive else ()
    alone = sum(c.reason.startswith(ONE_PROCESS) for c in noisy)
    rest += f" ({alone} of one process, not judged)" if alone else ""
    return (
        f"{said}; {rest}"
        + (f" ({t.missing} of these missing on one side)" if t.missing else "")
        + (f"; {len(report.ignored)} ignored by the policy" if report.ignored else "")
    )


def change_size(comparison: Comparison) -> float:
    """Return how far a ratio is from 1, either way alike; of 0 and of words without an end."""
    ratio = comparison.ratio
    if ratio is None:
        return math.inf if comparison.kind == "exact" else 0.0
    return abs(math.log(ratio)) if ratio > 0 else math.inf


def counted(count: int, what: str) -> str:
    """Return a number and what it counts; of `metric(s) is|are` the right form."""
    one = count == 1
    what = re.sub(r"(\w+)\|(\w+)", r"\1" if one else r"\2", what)
    return f"{count} {what.replace('(s)', '' if one else 's')}"


def fatal_warnings(comparison: Comparison, report: Report) -> str:
    """Return in words which warnings of a comparison the policy calls fatal."""
    found = [w for w in comparison.warnings if w.code in report.fatal_warnings]
    return "; ".join(f"{w.code}, which the policy calls fatal: {w.message}" for w in found)


def exit_line(report: Report) -> str:
    """Return the gate's exit code and every cause; `compare` itself exits 0 on most of them."""
    return f"exit code of the gate: {report.exit_code} ({'; '.join(report.causes)})"


def confirmed_line(found: Confirmation) -> str:
    """Return how many of the regressed metrics regressed again, and where that is."""
    size = len(found.comparisons)
    again = sum(c.verdict == "regressed" for c in found.comparisons)
    lost = sum(c.missing is not None for c in found.comparisons)
    lacks = f", {lost} missing, which fails too" if lost else ""
    return f"measured once more: {again} of {size} regressed again{lacks} ({found.result})"


def confirmed(found: Comparison) -> str:
    """Return what the second measurement of one metric says."""
    if found.missing:
        return f"{found.metric}: missing"
    return f"{found.metric}: {found.verdict}, {change_of(found)}"


def family_line(report: Report) -> str:
    """Return what was tested together and how."""
    family = report.family
    names = {"holm": "Holm", "bh": "Benjamini-Hochberg", "none": "no"}
    return (
        f"{report.test}, two-sided, alpha {family.alpha:g}; {names[family.correction]} correction "
        f"over a family of {family.size}: {family.description}; threshold "
        f"{report.threshold * 100:g} %; {_interval_name(report)}"
        f"{'; only exact metrics can fail the gate' if report.gate_on == 'exact' else ''}"
    )


def _interval_name(report: Report) -> str:
    """Return what the intervals are of: what the test looks at."""
    if report.interval == "mean":
        kind = "mean change of pairs" if report.paired else "ratio of means"
        return f"95 % t intervals of the {kind}"
    if report.test.startswith("sequential"):
        return "95 % confidence sequences of the ratio of pairs"
    what = " of pairs" if report.paired else f" of {location_name(report, several=True)}"
    return f"95 % BC intervals of the ratio{what}"


def location_name(report: Report, *, several: bool = False) -> str:
    """Return what the compared number of a side is, with another quantile by its name."""
    if report.quantile == MEDIAN:
        return f"{report.interval}{'s' if several else ''}"
    percent = f"{100 * report.quantile:.6g}"
    ending = {"1": "st", "2": "nd", "3": "rd"}.get(percent[-1], "th")
    own = f"{percent}{ending if '.' not in percent else 'th'} percentile"
    if report.interval == "quantile":
        return f"{own}{'s' if several else ''}"
    return f"{report.interval}{'s' if several else ''} of each run's {own}"


def environment_lines(report: Report) -> list[str]:
    """Return what is to be said of the two environments."""
    environment = report.environment
    lines = [f"differs: {text}" for text in environment.differences]
    if environment.differences:
        lines.append(f"compared all the same (--force): {environment.forced}")
    lines += [f"note: {text}" for text in environment.notes]
    if environment.ignored:
        lines.append(f"not looked at: {', '.join(environment.ignored)}")
    return lines
