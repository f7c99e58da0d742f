# SPDX-License-Identifier: BSD-3-Clause
"""What a policy leaves out of a comparison, told so that nothing is left out in silence."""

from collections.abc import Sequence
from difflib import get_close_matches

from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Ignored
from ntbbench.compare.series import Variant


def names_of(base: Variant, candidates: Sequence[Variant]) -> list[str]:
    """Return the name of every metric that any side has, once, the base's first."""
    return list(dict.fromkeys(name for side in (base, *candidates) for name in side.series))


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
    name = (
        "1 rule of the policy names" if len(idle) == 1 else f"{len(idle)} rules of the policy name"
    )
    first = " first" if len(idle) > 1 else ""
    return [f"{name} no metric of these results: {idle[0]!r}{first}"]


def idle_keys(keys: Sequence[str], sides: Sequence[Variant]) -> list[str]:
    """Return a note on each key of ignore_environment that no environment has."""
    known = sorted(
        {key for side in sides for key in (*side.environment, *side.context, *side.machine)}
    )
    notes = []
    for key in sorted(set(keys) - set(known)):
        near = get_close_matches(key, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        notes.append(f"--ignore-environment: no environment has the key {key!r}{hint}")
    return notes


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
