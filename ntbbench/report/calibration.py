# SPDX-License-Identifier: BSD-3-Clause
"""The outputs of a calibration: text, JSON, and the thresholds as a policy file of the gate."""

import json

import msgspec
from tabulate import tabulate

from ntbbench.analyse.calibrate import Calibration
from ntbbench.report.comparison.wording import visible

ROWS = 50


def render_text(calibration: Calibration) -> str:
    """Return the calibration for a terminal of 80 columns."""
    c = calibration
    lines = [
        f"{c.runs} runs of the same thing, {c.families} disjoint pairs as A/A families",
        f"false alarms with the policy as it is: {c.alarms} of {c.families} families",
        f"with thresholds learnt from the other runs: {c.alarms_with_thresholds} of {c.families}",
    ]
    lines += [f"not exact, it differs between runs: {visible(n)}" for n in c.exact_differences]
    ordered = sorted(c.floors, key=lambda floor: -floor.noise_floor)
    rows = [
        [
            shortened(visible(floor.metric)),
            f"{floor.noise_floor:.2%}",
            f"{floor.largest_change:.2%}",
            f"{floor.threshold:.1%}",
            floor.false_alarms,
        ]
        for floor in ordered[:ROWS]
    ]
    headers = ["benchmark", "noise floor", "largest", "threshold", "alarms"]
    lines += ["", tabulate(rows, headers, tablefmt="simple", disable_numparse=True)]
    if len(ordered) > ROWS:
        lines.append(f"and {len(ordered) - ROWS} quieter ones")
    return "\n".join(lines) + "\n"


def shortened(name: str) -> str:
    """Return the end of a long name, where names of benchmarks differ."""
    return name if len(name) <= 34 else f"...{name[-31:]}"


def render_json(calibration: Calibration) -> str:
    """Return the calibration as JSON, schema ntbbench.calibrate/1."""
    return msgspec.json.format(msgspec.json.encode(calibration), indent=1).decode() + "\n"


def render_policy(calibration: Calibration) -> str:
    """Return a policy file with a threshold for each benchmark that the default does not hold."""
    lines = [f"# Thresholds from {calibration.runs} A/A runs; see `ntbbench calibrate --help`."]
    for floor in calibration.floors:
        # A JSON string is a TOML basic string once DEL, which TOML forbids, is an escape.
        name = json.dumps(floor.metric).replace("\x7f", "\\u007f")
        lines += ["", "[[rule]]", f"metric = {name}", f"threshold = {floor.threshold:.3f}"]
        lines.append(f"# noise floor {floor.noise_floor:.4f}, largest {floor.largest_change:.4f}")
    return "\n".join(lines) + "\n"
