# SPDX-License-Identifier: BSD-3-Clause
"""Raw numbers for other tools: one row a point, every scalar field, no scaling."""

import csv
import io

import msgspec

from ntbbench.core.fields import plain_type
from ntbbench.dispatch.records import OkPoint, Point, SweepResult, Timing, UnavailablePoint

TIMING = "ns_per_dispatch"
TIMING_PARTS = ("median", "low", "high")


def render(result: SweepResult) -> str:
    """Return the points as CSV (RFC 4180 quoting, lines end with a newline).

    The columns are the scalar fields of both kinds of point, then the parts of `ns_per_dispatch`
    with the number of samples. Texts are quoted and otherwise as written, so a reader that obeys
    the quotes gets them back unchanged; what a kind of point does not have is empty.
    """
    out = io.StringIO()
    columns = _columns()
    csv.writer(out, lineterminator="\n").writerow([*columns, *_timing_columns()])
    body = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    for point in result.points:
        body.writerow([*(_cell(point, column) for column in columns), *_timing(point)])
    return out.getvalue()


def _columns() -> list[str]:
    """Return the scalar columns: what was asked, the status and its reason, what was counted."""
    asked = [f.name for f in msgspec.structs.fields(UnavailablePoint) if f.name != "reason"]
    counted = [
        f.name
        for f in msgspec.structs.fields(OkPoint)
        if f.name not in {*asked, TIMING}
        and plain_type(OkPoint, f.name) in (int, float, str, int | None)
    ]
    return [*asked, "status", "reason", *counted]


def _cell(point: Point, column: str) -> object:
    if column == "status":
        return point.__struct_config__.tag
    return getattr(point, column, None)


def _timing_columns() -> list[str]:
    return [f"{TIMING}_{part}" for part in (*TIMING_PARTS, "samples")]


def _timing(point: Point) -> list[object]:
    timing = getattr(point, TIMING, None)
    if not isinstance(timing, Timing):
        return [None] * (len(TIMING_PARTS) + 1)
    return [*(getattr(timing, part) for part in TIMING_PARTS), len(timing.samples)]
