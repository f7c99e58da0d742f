# SPDX-License-Identifier: BSD-3-Clause
"""The policy file of the gate: TOML, each key checked by itself so that an error names it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ntbbench.compare.policy import (
    CORRECTIONS,
    MOST_RESAMPLES,
    SHARES,
    TESTS,
    THRESHOLDS,
    Policy,
    Rule,
    check,
    parse_threshold,
)
from ntbbench.compare.warning_list import CAUTIONS
from ntbbench.core.errors import InputError
from ntbbench.core.names import unknown
from ntbbench.core.toml_file import read_toml

# What each key may be; tests hold the keys equal to the fields of Policy and Rule.
KEYS = {
    "alpha": "a number between 0 and 1, both excluded",
    "threshold": THRESHOLDS,
    "correction": f"one of {', '.join(CORRECTIONS)}",
    "test": f"one of {', '.join(TESTS)}",
    "higher_is_better": "true or false",
    "lower_is_better": "true or false",
    "fail_inconclusive": "true or false",
    "fail_untested": "true or false",
    "one_process_allowance": THRESHOLDS,
    "gate_on": "one of all, exact",
    "fatal_warnings": f"a list of {', '.join(CAUTIONS)}",
    "ignore_environment": 'a list of keys as the reports name them: ["cpu.flags"]',
    "resamples": f"a whole number from 200 to {MOST_RESAMPLES}",
    "rule": "tables, each under a line [[rule]]",
}
RULE_KEYS = {
    "metric": "a text, the whole name of a metric",
    "pattern": "a text, a glob over whole names: * ? [abc]",
    "threshold": THRESHOLDS,
    "better": "one of lower, higher",
    "ignore": "a text that says why",
}


def load_policy(path: Path) -> Policy:
    """Read a policy from a TOML file.

    Raises
    ------
    InputError
        for a file that cannot be read, text that is no TOML, and the first key that is unknown or
        whose value cannot be used.
    """
    table = read_toml("--policy", path)
    settings = settings_of(table, Policy, KEYS, str(path))
    settings["rule"] = tuple(
        Rule(**settings_of(rule, Rule, RULE_KEYS, f"{path}: rule {number}"))
        for number, rule in enumerate(table.get("rule", ()), start=1)
    )
    return check(Policy(**settings), f"{path}: ")


def settings_of(
    table: Mapping[str, Any], kind: type[msgspec.Struct], allowed: Mapping[str, str], where: str
) -> dict[str, Any]:
    """Return the values of a table in the types of the fields of `kind`.

    Raises
    ------
    InputError
        naming the key, its value and what is allowed.
    """
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    settings: dict[str, Any] = {}
    for key, value in table.items():
        if key not in allowed:
            raise unknown(f"{where}: key", key, allowed)
        if key in SHARES:
            settings[key] = parse_threshold(f"{where}: {key}", value)
            continue
        wanted = list[dict[str, Any]] if key == "rule" else types[key]
        try:
            settings[key] = msgspec.convert(value, wanted)
        except msgspec.ValidationError:
            raise InputError(f"{where}: {key}", value, allowed[key]) from None
    return settings
