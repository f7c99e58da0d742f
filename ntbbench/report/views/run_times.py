# SPDX-License-Identifier: BSD-3-Clause
"""How long doorbells wait for their runs, and how long runs take, in reports of captures."""

from collections.abc import Callable, Iterator, Sequence

from ntbbench.capture.latency_records import RunTime
from ntbbench.report.document import Cell, Table
from ntbbench.report.views.record_tables import field_table

QUANTILES = ("p50", "p99", "longest")


def run_times(rows: Sequence[RunTime], source: Callable[[RunTime], Cell]) -> Table:
    """Return the table of the durations, in microseconds."""

    def bounds(name: str) -> Callable[[RunTime], Cell]:
        return lambda row: _microseconds(getattr(row, f"{name}_low"), getattr(row, f"{name}_high"))

    return field_table(
        "Time until a run, and of a run (us)",
        RunTime,
        ("what", "count", *(f"{name}_low" for name in QUANTILES), "source"),
        rows,
        **{f"{name}_low": bounds(name) for name in QUANTILES},
        source=source,
    )


def time_rows(rows: Sequence[RunTime]) -> Iterator[list[object]]:
    """Yield one row per quantile, in seconds."""
    for row in rows:
        yield [row.source, "durations", row.what, "", row.count, row.count]
        for name in QUANTILES:
            ends = (getattr(row, f"{name}_low"), getattr(row, f"{name}_high"))
            yield [row.source, name, row.what, "", *ends]


def _microseconds(low: float, high: float | None) -> Cell:
    least = f"{low * 1e6:.4g}"
    if high is None:
        return Cell(f">={least}", low)
    return Cell(least if low == high else f"{least}..{high * 1e6:.4g}", low)
