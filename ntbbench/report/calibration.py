# SPDX-License-Identifier: BSD-3-Clause
"""The outputs of a calibration: text, JSON, and the thresholds as a policy file of the gate."""

import json
from textwrap import wrap

import msgspec
from tabulate import tabulate

from ntbbench.compare.calibrate import Calibration
from ntbbench.report.comparison.wording import apart, visible

ROWS = 50
NAME = 34  # characters of a line of a name


def render_text(calibration: Calibration) -> str:
    """Return the calibration for a terminal of 80 columns."""
    c = calibration
    lines = [
        f"{c.runs} runs of the same thing, {c.families} disjoint pairs as A/A families",
        f"false alarms with the policy as it is: {c.alarms} of {c.families} families",
        f"with thresholds learnt from the other runs: {c.alarms_with_thresholds} of {c.families}",
    ]
    for what, names in (
        ("not exact, it differs between runs", c.exact_differences),
        ("not in every run", c.missing),
        ("zero somewhere, so it has no relative change", c.zeros),
    ):
        lines += [f"{what}: {visible(name)}" for name in names[:ROWS]]
        lines += [f"{what}: {len(names) - ROWS} more"] if len(names) > ROWS else []
    ordered = sorted(c.floors, key=lambda floor: -floor.noise_floor)
    short = apart([floor.metric for floor in ordered[:ROWS]])
    rows = [
        [
            "\n".join(wrap(visible(name), NAME)),
            f"{floor.noise_floor:.2%}",
            f"{floor.largest_change:.2%}",
            f"{floor.threshold:.1%}",
            floor.false_alarms,
        ]
        for name, floor in zip(short, ordered[:ROWS], strict=True)
    ]
    headers = ["benchmark", "noise floor", "largest", "threshold", "alarms"]
    lines += ["", tabulate(rows, headers, tablefmt="simple", disable_numparse=True)]
    if len(ordered) > ROWS:
        lines.append(f"and {len(ordered) - ROWS} quieter ones")
    return "\n".join(lines) + "\n"


def render_json(calibration: Calibration) -> str:
    """Return the calibration as JSON, schema ntbbench.calibrate/1."""
    return msgspec.json.format(msgspec.json.encode(calibration), indent=1).decode() + "\n"


def render_policy(calibration: Calibration) -> str:
    """Return a policy file with a threshold for each benchmark that the default does not hold."""
    lines = [
        f"# Thresholds from {calibration.runs} A/A runs; see `ntbbench calibrate --help`.",
        "# They hold the noise between processes, so no further change is allowed for.",
        "one_process_allowance = 0.0",
    ]
    for floor in calibration.floors:
        # A JSON string is a TOML basic string once DEL, which TOML forbids, is an escape.
        name = json.dumps(floor.metric).replace("\x7f", "\\u007f")
        lines += ["", "[[rule]]", f"metric = {name}", f"threshold = {threshold(floor.threshold)}"]
        lines.append(f"# noise floor {floor.noise_floor:.4f}, largest {floor.largest_change:.4f}")
    return "\n".join(lines) + "\n"


def threshold(value: float) -> str:
    """Return a threshold as TOML; 100 % and more are taken only as a percentage."""
    return f"{value:.3f}" if value < 0.9995 else f'"{value * 100:.1f}%"'
