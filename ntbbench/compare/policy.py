# SPDX-License-Identifier: BSD-3-Clause
"""What counts as a change and what fails: defaults, and the policy file of the gate."""

import math
from fnmatch import fnmatchcase
from typing import Literal

from msgspec import Struct

from ntbbench.compare.records import Better, GateOn
from ntbbench.compare.series import Own
from ntbbench.compare.warning_list import CAUTIONS
from ntbbench.core.errors import InputError

Test = Literal["mann-whitney", "permutation", "welch"]
Correction = Literal["holm", "bh", "none"]
TESTS: tuple[Test, ...] = ("mann-whitney", "permutation", "welch")
CORRECTIONS: tuple[Correction, ...] = ("holm", "bh", "none")
ALPHA = 0.05
THRESHOLD = 0.02
# A change below it between two single processes may be the noise between processes; docs/statistics
# has the A/A pairs that it was chosen on.
ONE_PROCESS_ALLOWANCE = 0.75
RESAMPLES = 2_000
LEVEL = 0.95
MOST_RESAMPLES = 100_000
MOST_THRESHOLD = 10.0
SHARES = ("threshold", "one_process_allowance")  # 0.02 or "2%"
THRESHOLDS = "below 1, which is 100 %: for two per cent write 2% or 0.02"


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for the metrics it names; the first rule that names a metric is used."""

    metric: str | None = None  # the whole name
    pattern: str | None = None  # a glob over the whole name: * ? [abc]
    threshold: float | None = None
    better: Literal["lower", "higher"] | None = None
    ignore: str | None = None  # why: the metric is left out, and the report says so

    def names(self, metric: str) -> bool:
        """Return whether this rule is about `metric`."""
        if self.metric is not None:
            return metric == self.metric
        return self.pattern is not None and fnmatchcase(metric, self.pattern)


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting of a comparison and its gate; the keys of the TOML file."""

    alpha: float = ALPHA
    threshold: float = THRESHOLD
    correction: Correction = "holm"
    test: Test = "mann-whitney"
    higher_is_better: bool = False
    lower_is_better: bool = False  # said of rates too; without it their direction is not known
    fail_inconclusive: bool = False
    fail_untested: bool = True  # inconclusive, where so few runs could not have been significant
    one_process_allowance: float = ONE_PROCESS_ALLOWANCE
    gate_on: GateOn = "all"  # exact: times are reported, and only counts can fail
    fatal_warnings: tuple[str, ...] = ()
    ignore_environment: tuple[str, ...] = ()
    resamples: int = RESAMPLES
    rule: tuple[Rule, ...] = ()

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


def parse_threshold(field: str, value: object) -> float:
    """Return the fraction that `value`, a number or a text such as 2%, stands for.

    A bare number of 1 or more is refused: whoever writes 2 means 2 %, not 200 %.

    Raises
    ------
    InputError
        for anything else.
    """
    text = str(value).strip()
    percent = text.endswith("%") and isinstance(value, str)
    try:
        number = float(text.removesuffix("%")) / 100 if percent else float(text)
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not 0 <= number < (MOST_THRESHOLD if percent else 1):
        raise InputError(field, value, THRESHOLDS)
    return number


def check(policy: Policy, where: str = "") -> Policy:
    """Return `policy` if every value is one that can be used.

    `where` stands before the key in the error.

    Raises
    ------
    InputError
        naming the key, its value and what is allowed.
    """
    if not 0 < policy.alpha < 1:
        raise InputError(f"{where}alpha", policy.alpha, "a number between 0 and 1, both excluded")
    shares = [("threshold", rule.threshold) for rule in policy.rule]
    shares += [(key, getattr(policy, key)) for key in SHARES]
    for key, share in shares:
        if share is not None and not 0 <= share < MOST_THRESHOLD:
            raise InputError(f"{where}{key}", share, THRESHOLDS)
    if policy.correction not in CORRECTIONS:
        raise InputError(
            f"{where}correction", policy.correction, f"one of {', '.join(CORRECTIONS)}"
        )
    if policy.test not in TESTS:
        raise InputError(f"{where}test", policy.test, f"one of {', '.join(TESTS)}")
    if not 200 <= policy.resamples <= MOST_RESAMPLES:
        allowed = f"a whole number from 200 to {MOST_RESAMPLES}"
        raise InputError(f"{where}resamples", policy.resamples, allowed)
    if policy.higher_is_better and policy.lower_is_better:
        raise InputError(f"{where}lower_is_better", True, "not together with higher_is_better")
    for code in policy.fatal_warnings:
        if code not in CAUTIONS:
            raise InputError(f"{where}fatal_warnings", code, f"one of {', '.join(CAUTIONS)}")
    for number, rule in enumerate(policy.rule, start=1):
        check_rule(rule, f"{where}rule {number}")
    return policy


def check_rule(rule: Rule, where: str) -> None:
    """Refuse a rule that names no metrics, or that ignores some without a reason."""
    if (rule.metric is None) == (rule.pattern is None):
        given = " and ".join(key for key in ("metric", "pattern") if getattr(rule, key) is not None)
        raise InputError(where, given or "no metric", "exactly one of the keys metric and pattern")
    if rule.ignore is not None and not rule.ignore.strip():
        raise InputError(f"{where}: ignore", rule.ignore, "a text that says why")
