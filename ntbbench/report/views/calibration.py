# SPDX-License-Identifier: BSD-3-Clause
"""A calibration: false alarms, the noise floor of each benchmark, and the policy of the gate."""

import json
from collections.abc import Iterator

from ntbbench.compare.calibrate import Calibration, Floor
from ntbbench.core.fields import declared
from ntbbench.report.document import (
    Block,
    Cell,
    Document,
    Notes,
    Section,
    Sheet,
    Table,
    column,
    words,
)
from ntbbench.report.views.comparison_words import apart, counted

ROWS = 50  # of names that differ or are missing
COLUMNS = (
    *("metric", "sample_sd", "process_sd", "session_sd", "noise_floor", "threshold"),
    "expected_alarms",
)
SHEET = ("metric", "noise_floor", "largest_change", "threshold", "false_alarms")
SHEET_MORE = ("sample_sd", "process_sd", "session_sd", "expected_alarms")


def document(found: Calibration) -> Document:
    """Return what the A/A runs say of this machine."""
    runs, families = counted(found.runs, "run(s)"), f"{found.families} A/A families"
    return Document(
        title="ntbbench calibrate",
        verdict=f"{found.alarms} of {families} raise a false alarm: {runs} of the same thing",
        record=found,
        indent=1,
        lines=[
            f"with thresholds learnt from the other runs: {found.alarms_with_thresholds} of "
            f"{found.families}, expected {found.expected_alarms:.1%}; a family is a pair of "
            "consecutive runs"
        ],
        blocks=[*_names(found), _floors(found)],
        figures=lambda: _figures(found),
        sheet=lambda: Sheet(
            (*SHEET, *SHEET_MORE),
            [[getattr(floor, n) for n in (*SHEET, *SHEET_MORE)] for floor in found.floors],
        ),
    )


def _figures(found: Calibration) -> list[Section]:
    from ntbbench.report.figures.history import floor_sections  # noqa: PLC0415 -- loads plotly

    return floor_sections(found.floors)


def _names(found: Calibration) -> Iterator[Block]:
    for what, names in (
        ("not exact, it differs between runs", found.exact_differences),
        ("not in every run", found.missing),
        ("zero somewhere, so it has no relative change", found.zeros),
    ):
        rows = [f"{what}: {name}" for name in names[:ROWS]]
        rows += [f"{what}: {len(names) - ROWS} more"] if len(names) > ROWS else []
        yield Notes("", [(row, ()) for row in rows])


def _floors(found: Calibration) -> Table:
    """Return the benchmarks by what they wander; all that tells their names apart is shown."""
    ordered = sorted(found.floors, key=lambda floor: -floor.noise_floor)
    names = apart([floor.metric for floor in ordered])
    rows = [
        (
            *words(name),
            *map(_share, (floor.sample_sd, floor.process_sd, floor.session_sd, floor.noise_floor)),
            Cell(f"{floor.threshold:.1%}", floor.threshold),
            _share(floor.expected_alarms),
        )
        for name, floor in zip(names, ordered, strict=True)
    ]
    about = declared(Floor)
    notes = [f"{about[name].title}: {about[name].definition}" for name in COLUMNS[1:]]
    columns = [column(Floor, name) for name in COLUMNS]
    return Table("Benchmarks", columns, rows, notes, ordered=True)


def _share(value: float | None) -> Cell:
    return Cell("-" if value is None else f"{value:.2%}", value)


def policy_file(found: Calibration) -> str:
    """Return a policy file with a threshold for each benchmark that the default does not hold."""
    lines = [
        f"# Thresholds from {found.runs} A/A runs; see `ntbbench calibrate --help`.",
        f"# Expected false alarms: {found.expected_alarms:.2%} of comparisons of single runs.",
        "# They hold the noise between processes, so no further change is allowed for.",
        "one_process_allowance = 0.0",
    ]
    for floor in found.floors:
        # A JSON string is a TOML basic string once DEL, which TOML forbids, is an escape.
        name = json.dumps(floor.metric).replace("\x7f", "\\u007f")
        lines += ["", "[[rule]]", f"metric = {name}", f"threshold = {_threshold(floor.threshold)}"]
        lines.append(f"# noise floor {floor.noise_floor:.4f}, largest {floor.largest_change:.4f}")
    return "\n".join(lines) + "\n"


def _threshold(value: float) -> str:
    """Return a threshold as TOML; 100 % and more are taken only as a percentage."""
    return f"{value:.3f}" if value < 0.9995 else f'"{value * 100:.1f}%"'
