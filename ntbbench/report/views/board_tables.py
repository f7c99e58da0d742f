# SPDX-License-Identifier: BSD-3-Clause
"""Tables of a session on two hosts: beside the model, what a series can move, latencies."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ntbbench.board.board_records import BoardPrediction, BoardResult
from ntbbench.board.law import controls
from ntbbench.capture.latency_records import DELAY
from ntbbench.compare.records import Report
from ntbbench.report.document import Cell, Column, Table, words

US = 1e-6
UNITS = {"bit/s": (1e9, "Gbit/s"), "s": (US, "us"), "s/packet": (US, "us/packet")}
PER = 95  # per cent of the medians' intervals
DRAWS = 2000
# What each latency is, by the beginning of its name; p50 and p99 or a mean follow.
LATENCIES = {
    DELAY: "one side: doorbell callback to tasklet, trace of a warm-up",
    "round trip": "there and back, with both network stacks",
    "half round trip": "sockperf: half of there and back, no one-way time",
    "ping-pong round trip": "mean of two doorbells, to their callbacks, and two timers",
    "ping-pong period": "mean of two doorbells and both sides' delay_ms",
}
MODEL = (
    "model: QPs that one doorbell wakes; wakeups that merge make fewer tasklets, and other causes "
    "make more runs"
)
CONTROL = (
    "a cell that the series cannot change has changed: the session or the build did, and it may "
    "have changed other cells too"
)


def median(samples: Sequence[float], scale: float) -> Cell:
    """Return the median of a number with its interval."""
    if not samples:
        return Cell("-")
    low, high = median_interval(samples)
    middle = float(np.median(samples))
    return Cell(f"{middle / scale:.4g} [{low / scale:.4g}, {high / scale:.4g}]", middle)


def median_interval(samples: Sequence[float]) -> tuple[float, float]:
    """Return the bootstrap interval of a median; of few samples it is their range or less."""
    rng = np.random.default_rng(len(samples))
    drawn = rng.choice(np.asarray(samples), (DRAWS, len(samples)))
    edge = (100 - PER) / 200
    low, high = np.quantile(np.median(drawn, axis=1), (edge, 1 - edge))
    return float(low), float(high)


def with_unit(name: str, unit: str) -> str:
    """Return the name of a number with its unit, if it has one."""
    return f"{name} ({unit})" if unit else name


def grouped(rows: Sequence[tuple[str, Sequence[Cell]]]) -> dict[str, Any]:
    """Return the rows of a table and its groups, of rows that each name their cell; in order."""
    by_cell: dict[str, list[Sequence[Cell]]] = defaultdict(list)
    for label, row in rows:
        by_cell[label].append(row)
    return {
        "rows": [row for found in by_cell.values() for row in found],
        "groups": [(label, len(found)) for label, found in by_cell.items()],
    }


def beside(result: BoardResult) -> Table:
    """Return the cells beside the model and the simulator, fitted on one queue alone."""
    rows = []
    for one in result.predictions:
        scale, unit = UNITS.get(one.unit, (1.0, ""))
        measured = f"{one.measured / scale:.4g}"
        if one.measured_high is not None:
            measured += f" to {one.measured_high / scale:.4g}"
        told = [
            "-" if value is None else f"{value / scale:.4g} ({off})"
            for value, off in (
                (one.model, _off(one, one.model)),
                (one.simulated, "fitted" if one.is_fitted else _off(one, one.simulated)),
            )
        ]
        row = words(with_unit(one.number, unit), one.variant, measured, *told)
        rows.append((result.cells[one.cell].label, row))
    titles = ("number", "variant", "measured", "model", "simulated")
    columns = [Column(title, align="left" if n < 2 else "right") for n, title in enumerate(titles)]
    title = f"Beside the model and the simulator ({result.board.get('how', {}).get('preset', '')})"
    return Table(title, columns, keys=2, notes=[MODEL], **grouped(rows))


def _off(one: BoardPrediction, foretold: float | None) -> str:
    """Return how far a foretold number is off; 0 within the bounds of the measurement."""
    if foretold is None:
        return "-"
    high = one.measured if one.measured_high is None else one.measured_high
    nearest = min(max(foretold, one.measured), high)
    return f"{100 * (foretold / nearest - 1):+.1f} %" if nearest else "-"


def movable(result: BoardResult, report: Report | None) -> Table:
    """Return which cells a change of who is woken can have moved, each with its verdicts."""
    fixed = controls(result)
    found = verdicts(result, report)
    rows = [
        words(cell.label, fixed.get(number, "can change"), ", ".join(found[number]) or "-")
        for number, cell in enumerate(result.cells)
    ]
    titles = ("cell", "the series", "changed")
    columns = [Column(title, align="left") for title in titles]
    return Table("What the series can have changed", columns, rows if fixed else [], keys=1)


def verdicts(result: BoardResult, report: Report | None) -> dict[int, list[str]]:
    """Return what improved or regressed, by the place of the cell."""
    places = {cell.label: number for number, cell in enumerate(result.cells)}
    found: dict[int, list[str]] = defaultdict(list)
    for one in report.comparisons if report else ():
        cell, _, name = one.metric.rpartition(": ")
        if cell in places and one.verdict in ("improved", "regressed"):
            found[places[cell]].append(f"{name} {one.verdict}")
    return found


def control_warnings(result: BoardResult, report: Report | None) -> Iterator[tuple[str, list[str]]]:
    """Yield the warning of each cell that changed and cannot have been changed by the series."""
    found = verdicts(result, report)
    odd = [f"{result.cells[n].label}: {', '.join(found[n])}" for n in controls(result) if found[n]]
    if odd:
        yield CONTROL, odd


def latency(result: BoardResult) -> Table:
    """Return every latency, named for what it is."""
    values: dict[tuple[int, str, str], dict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for run in result.runs:
        for one in run.measures:
            name, _, quantile = one.name.rpartition(" p")
            what = name if quantile in ("50", "99") else one.name
            if what in LATENCIES and (run.block > 0 or what == DELAY):
                column = quantile if what == name else "50"
                values[run.cell, what, run.variant][column].append(one.value)
    names = [one["name"] for one in result.board["variants"]]

    def order(item: tuple[tuple[int, str, str], object]) -> tuple[int, str, int]:
        cell, what, variant = item[0]
        return cell, what, names.index(variant)

    rows = [
        (
            result.cells[cell].label,
            (*words(what, variant), *(median(found[quantile], US) for quantile in ("50", "99"))),
        )
        for (cell, what, variant), found in sorted(values.items(), key=order)
    ]
    columns = [Column(title, align="left") for title in ("latency", "variant")]
    columns += [Column("p50 or mean (us)"), Column("p99 (us)")]
    known = {key[1] for key in values}
    notes = [f"{what}: {told}" for what, told in LATENCIES.items() if what in known]
    return Table("Latency", columns, keys=2, notes=notes, **grouped(rows))
