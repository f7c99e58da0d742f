# SPDX-License-Identifier: BSD-3-Clause
"""What counts as a change and what fails: each setting declared once, for options and TOML."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Struct

from ntbbench.compare.records import GateOn, Ignored, Own
from ntbbench.compare.warning_list import CAUTIONS
from ntbbench.core.errors import InputError
from ntbbench.core.fields import Better
from ntbbench.core.options import Count, Flag, Share, Word, Words, changed, shown
from ntbbench.core.text_file import read_toml

Test = Literal["mann-whitney", "permutation", "welch", "sequential"]
Correction = Literal["holm", "bh", "none"]
TESTS: tuple[Test, ...] = ("mann-whitney", "permutation", "welch", "sequential")
BY_MEDIAN: tuple[Test, ...] = ("mann-whitney", "sequential")  # what their ratios are of
CORRECTIONS: tuple[Correction, ...] = ("holm", "bh", "none")
# A change below it between two single processes may be the noise between processes; docs/statistics
# has the A/A pairs that it was chosen on.
ONE_PROCESS_ALLOWANCE = 0.75
LEVEL = 0.95
MOST_CHANGE = 10.0
SETTLED = 2.0  # thresholds: so large a change is found by the runs that settle a comparison
QUANTILE = re.compile(r"p\d\d(\.\d{1,3})?")
MEDIAN, MOST_QUANTILE = 0.5, 0.999
BEYOND = 5  # samples that are expected beyond a quantile, so that it says something


@dataclass(frozen=True)
class Probability(Share):
    """A number between 0 and 1, both excluded."""

    allowed: ClassVar[str] = "a number between 0 and 1, both excluded"

    def parse(self, name: str, value: object) -> float:  # type: ignore[override]
        """Return the number."""
        number = _number(value)
        if not 0 < number < 1:
            raise InputError(name, value, self.allowed)
        return number

    def show(self, value: Any) -> object:
        """Return the number."""
        return value


@dataclass(frozen=True)
class RelativeChange(Probability):
    """A relative change: 0.02, or a text such as 2%, up to 1000%.

    A bare number of 1 or more is refused: whoever writes 2 means 2 %, not 200 %.
    """

    allowed: ClassVar[str] = "below 1, which is 100 %: for two per cent write 2% or 0.02"
    metavar: ClassVar[str] = "SHARE"

    def parse(self, name: str, value: object) -> float:  # type: ignore[override]
        """Return the fraction."""
        percent = isinstance(value, str) and value.strip().endswith("%")
        number = _number(value.strip().removesuffix("%") if isinstance(value, str) else value)
        number = number / 100 if percent else number
        if not 0 <= number < (MOST_CHANGE if percent else 1):
            raise InputError(name, value, self.allowed)
        return number

    def show(self, value: Any) -> object:
        """Return the fraction, or a text with % where it is 1 or more."""
        return f"{100 * value!r}%" if value is not None and value >= 1 else value


@dataclass(frozen=True)
class Quantile(Share):
    """A quantile from the median up: p50, p99, p99.9."""

    allowed: ClassVar[str] = "p50 to p99.9"
    metavar: ClassVar[str] = "pNN"

    def parse(self, name: str, value: object) -> float:  # type: ignore[override]
        """Return the share of the samples below it."""
        known = QUANTILE.fullmatch(value.strip()) if isinstance(value, str) else None
        share = round(float(known[0][1:]) / 100, 6) if known else math.nan
        if not 0.5 <= share <= MOST_QUANTILE:
            raise InputError(name, value, self.allowed)
        return share

    def show(self, value: Any) -> object:
        """Return its name."""
        return quantile_name(value)


def quantile_name(quantile: float) -> str:
    """Return p99 of 0.99."""
    return f"p{100 * quantile:.6g}"


def check_medians(quantile: float, where: str) -> None:
    """Refuse a quantile above the median where there are medians alone."""
    if quantile != MEDIAN:
        raise InputError("--quantile", quantile_name(quantile), where)


def check_quantile(quantile: float, count: int, where: str) -> None:
    """Refuse a quantile above the median of so few samples that they say nothing of it."""
    needed = math.ceil(BEYOND / (1 - quantile) - 1e-9)
    if quantile != MEDIAN and count < needed:
        allowed = f"a quantile of at least {needed} samples; {where} has {count}"
        raise InputError("--quantile", quantile_name(quantile), allowed)


@dataclass(frozen=True)
class Text(Word):
    """Any text but blanks."""

    known: tuple[str, ...] = ()
    text: str = ""

    def parse(self, name: str, value: object) -> str:
        """Return the text."""
        if not isinstance(value, str) or not value.strip():
            raise InputError(name, value, f"a text: {self.text}")
        return value


@dataclass(frozen=True)
class Switch(Flag):
    """A flag whose option takes no value."""

    metavar: ClassVar[str] = ""


@dataclass(frozen=True)
class AnyWords(Words):
    """Words out of a few, or none at all."""

    def parse(self, name: str, value: object) -> tuple[str, ...]:
        """Return each word once."""
        return () if value == [] else super().parse(name, value)


@dataclass(frozen=True)
class Rules(Words):
    """Tables in a TOML file, each under a line [[rule]]."""

    def parse(self, name: str, value: object) -> "tuple[Rule, ...]":  # type: ignore[override]
        """Return the rules."""
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise InputError(name, value, "tables, each under a line [[rule]]")
        return tuple(
            changed(f"{name} {number}: ", Rule(), table) for number, table in enumerate(value, 1)
        )

    def show(self, value: Any) -> object:
        """Return the tables, without the keys that are not set."""
        tables = map(shown, value)
        return [{key: v for key, v in table.items() if v is not None} for table in tables]


def _number(value: object) -> float:
    """Return a number, or one in a text; of anything else NaN, which no range holds."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


class Rule(Struct, frozen=True, kw_only=True):
    """What holds for the metrics it names; the first rule that names a metric is used."""

    metric: Annotated[str | None, Text(text="the whole name of a metric")] = None
    pattern: Annotated[str | None, Text(text="a glob over whole names: * ? [abc]")] = None
    threshold: Annotated[float | None, RelativeChange("relative change that matters")] = None
    better: Annotated[
        Literal["lower", "higher"] | None, Word(("lower", "higher"), "which way is better")
    ] = None
    ignore: Annotated[str | None, Text(text="why these metrics are left out")] = None

    def names(self, metric: str) -> bool:
        """Return whether this rule is about `metric`."""
        if self.metric is not None:
            return metric == self.metric
        return self.pattern is not None and fnmatchcase(metric, self.pattern)


class Policy(Struct, frozen=True, kw_only=True):
    """Every setting of a comparison and its gate; the keys of the TOML file."""

    alpha: Annotated[float, Probability("chance of any false alarm")] = 0.05
    threshold: Annotated[float, RelativeChange("relative change that matters")] = 0.02
    correction: Annotated[Correction, Word(CORRECTIONS, "over the family")] = "holm"
    test: Annotated[
        Test, Word(TESTS, "of noisy metrics; sequential: of pairs, added until they decide")
    ] = "mann-whitney"
    quantile: Annotated[float, Quantile("of the samples, compared instead of the median")] = MEDIAN
    higher_is_better: Annotated[bool, Switch("for throughputs")] = False
    lower_is_better: Annotated[bool, Switch("for rates of what is unwanted")] = False
    fail_inconclusive: Annotated[bool, Switch("exit 3 if anything stays inconclusive")] = False
    fail_untested: Annotated[
        bool, Switch("exit 3 where so few runs could not have been significant")
    ] = True
    one_process_allowance: Annotated[
        float, RelativeChange("change that may be the noise between two single processes")
    ] = ONE_PROCESS_ALLOWANCE
    gate_on: Annotated[
        GateOn, Word(("all", "exact"), "exact: times are reported, and only counts can fail")
    ] = "all"
    fatal_warnings: Annotated[
        tuple[str, ...], AnyWords(tuple(CAUTIONS), "exit 3 on these warnings")
    ] = ()
    ignore_environment: Annotated[
        tuple[str, ...], AnyWords((), "parts of the environment that may differ")
    ] = ()
    resamples: Annotated[int, Count(200, 100_000, "of the bootstrap")] = 2_000
    rule: Annotated[tuple[Rule, ...], Rules((), "what holds for some metrics")] = ()

    def rule_for(self, metric: str) -> Rule | None:
        """Return the first rule that names `metric`."""
        return next((rule for rule in self.rule if rule.names(metric)), None)

    def ignores(self, metric: str) -> bool:
        """Return whether a rule leaves `metric` out of the comparison."""
        rule = self.rule_for(metric) if self.rule else None
        return rule is not None and rule.ignore is not None

    def threshold_for(self, metric: str) -> float:
        """Return the relative change of `metric` from which on it matters."""
        rule = self.rule_for(metric)
        return self.threshold if rule is None or rule.threshold is None else rule.threshold

    def states(self, metric: str) -> bool:
        """Return whether the user says which way is better for `metric`."""
        rule = self.rule_for(metric) if self.rule else None
        everywhere = self.higher_is_better or self.lower_is_better
        return everywhere or (rule is not None and rule.better is not None)

    def better_for(self, metric: str, own: Own) -> Better:
        """Return the direction of `metric`: a rule's, else the metric's own, else the user's."""
        rule = self.rule_for(metric) if self.rule else None
        if rule is not None and rule.better is not None:
            return rule.better
        if own == "unsaid":
            return "higher" if self.higher_is_better else "lower"
        return own


def load_policy(path: Path | None) -> Policy:
    """Return the policy in a TOML file; without one the defaults.

    InputError: a file that cannot be read or is no TOML, a key that is unknown, a value that its
    key does not allow, keys that contradict each other.
    """
    if path is None:
        return Policy()
    policy = changed(f"{path}: ", Policy(), read_toml("--policy", path))
    if policy.higher_is_better and policy.lower_is_better:
        raise InputError(f"{path}: lower_is_better", True, "not together with higher_is_better")
    for number, rule in enumerate(policy.rule, start=1):
        if (rule.metric is None) == (rule.pattern is None):
            given = "no metric" if rule.metric is None else "metric and pattern"
            allowed = "exactly one of the keys metric and pattern"
            raise InputError(f"{path}: rule {number}", given, allowed)
    return policy


def idle_rules(policy: Policy, names: Sequence[str]) -> list[str]:
    """Return a note on the rules that name no metric: a misspelt pattern, or one that is gone."""
    known = set(names)
    idle = [
        rule.metric or rule.pattern
        for rule in policy.rule
        if (rule.metric not in known if rule.metric else not any(map(rule.names, names)))
    ]
    if not idle:
        return []
    many = len(idle) > 1
    name = f"{len(idle)} rules of the policy name" if many else "1 rule of the policy names"
    return [f"{name} no metric of these results: {idle[0]!r}{' first' if many else ''}"]


def ignored_by(policy: Policy, names: Sequence[str]) -> list[Ignored]:
    """Return the metrics that a rule of `policy` leaves out, each with the rule's reason."""
    found = ((name, policy.rule_for(name)) for name in (names if policy.rule else ()))
    return [
        Ignored(metric=name, reason=rule.ignore)
        for name, rule in found
        if rule is not None and rule.ignore is not None
    ]
