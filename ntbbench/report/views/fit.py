# SPDX-License-Identifier: BSD-3-Clause
"""A fit: the copy cost that gives a measured single-queue throughput, and its range."""

from ntbbench.core.fields import declared
from ntbbench.core.units import FS, duration_text
from ntbbench.datapath.fit import PACKETS_MIN
from ntbbench.datapath.records import FitResult, Target
from ntbbench.report.document import Column, Document, Sheet, Table, words
from ntbbench.report.wording import RATES, quantity

ENDS = ("mean", "low", "high")
COSTS = ("byte_fs", "low_fs", "high_fs")
FACTS = ("throughput_bps", "seconds", "asked_seconds")


def document(found: FitResult) -> Document:
    """Return the report of a fit."""
    first, *others = sentences(found)
    return Document(
        title="ntbbench fit",
        verdict=first,
        lines=[*others, *run_words(found)],
        record=found,
        blocks=[_table(found)],
        warnings=[(warning, ()) for warning in found.warnings],
        sheet=lambda: _sheet(found),
    )


def sentences(found: FitResult) -> list[str]:
    """Return what was fitted, to what, and what it leaves open; the scenario's note holds them."""
    target, cost = found.target, duration_text(found.byte_fs, FS)
    mean, low, high = (f"{rate / 1e6:.5g}" for rate in (target.mean, target.low, target.high))
    return [
        f"copy cost fitted to the single-queue throughput of {found.protocol}: {cost} per byte, "
        f"range {_range(found)}",
        f"measured {mean} Mbit/s ({low}-{high}; {target.how}), simulated "
        f"{found.throughput_bps / 1e6:.5g}",
        "all other costs were given, not fitted; whatever is not a single queue is a prediction",
    ]


def run_words(found: FitResult) -> list[str]:
    """Return that the fit simulated longer than the scenario says, if it did."""
    if found.seconds == found.asked_seconds:
        return []
    return [
        f"the fit simulated {found.seconds:.4g} s per replication, for {PACKETS_MIN} packets; the "
        f"scenario keeps its duration of {found.scenario['run']['duration']}"
    ]


def _range(found: FitResult) -> str:
    low = duration_text(found.low_fs, FS)
    if found.high_fs is None:
        ends = f"from {low} up without an end" if found.low_fs else "without either end"
        ends += ": that of the throughput reaches down to almost 0"
        return ends + ("" if found.low_fs else " and above what a copy for nothing gives")
    high = duration_text(found.high_fs, FS)
    if not found.low_fs:
        above = "that of the throughput is above what a copy for nothing gives"
        return f"up to {high}, without a lower end: {above}"
    return f"{low} to {high}"


def _table(found: FitResult) -> Table:
    about = declared(FitResult)
    costs = [getattr(found, name) for name in COSTS]
    rows = [
        (
            declared(Target)["mean"].title,
            *(quantity(getattr(found.target, e), RATES) for e in ENDS),
        ),
        (about["throughput_bps"].title, quantity(found.throughput_bps, RATES), "", ""),
        (
            f"{about['byte_fs'].title} per byte",
            *("-" if cost is None else duration_text(cost, FS) for cost in costs),
        ),
    ]
    columns = [Column("quantity", align="left"), Column("value"), Column("from"), Column("to")]
    return Table("Single queue", columns, [words(*row) for row in rows])


def _sheet(found: FitResult) -> Sheet:
    headers = ["protocol", *(f"measured_{end}_bps" for end in ENDS), *COSTS, *FACTS]
    row = [found.protocol, *(getattr(found.target, end) for end in ENDS)]
    return Sheet(headers, [[*row, *(getattr(found, name) for name in (*COSTS, *FACTS))]])
