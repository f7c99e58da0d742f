# SPDX-License-Identifier: BSD-3-Clause
"""What a policy leaves out of a comparison, told so that nothing is left out in silence."""

from collections.abc import Sequence

from ntbbench.analyse.comparison import Ignored
from ntbbench.analyse.policy import Policy
from ntbbench.analyse.series import Variant


def names_of(base: Variant, candidates: Sequence[Variant]) -> list[str]:
    """Return the name of every metric that any side has, once, the base's first."""
    return list(dict.fromkeys(name for side in (base, *candidates) for name in side.series))


def ignored_by(policy: Policy, names: Sequence[str]) -> list[Ignored]:
    """Return the metrics that a rule of `policy` leaves out, each with the rule's reason."""
    if not any(rule.ignore is not None for rule in policy.rule):
        return []
    found = ((name, policy.rule_for(name)) for name in names)
    return [
        Ignored(metric=name, reason=rule.ignore)
        for name, rule in found
        if rule is not None and rule.ignore is not None
    ]
