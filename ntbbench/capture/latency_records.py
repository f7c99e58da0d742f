# SPDX-License-Identifier: BSD-3-Clause
"""The record of how long a doorbell waits for its run, and how long a run takes."""

from typing import Annotated

from msgspec import Struct

from ntbbench.core.fields import axis, fact

DELAY, LENGTH = "doorbell to run", "run length"


class RunTime(Struct, frozen=True, kw_only=True):
    """Quantiles of a duration in seconds, each between two bounds; null: no upper bound.

    A quantile is the least duration that at least so many of them do not exceed.
    """

    what: Annotated[
        str,
        axis(
            "duration",
            "doorbell to run: from the doorbell callback until the tasklet that it scheduled runs; "
            "run length: of a receive tasklet",
        ),
    ]
    count: Annotated[int, fact("count", "durations measured")]
    p50_low: Annotated[float, fact("p50", "median")]
    p50_high: Annotated[float | None, fact("p50 at most")]
    p99_low: Annotated[float, fact("p99", "of 100 one is longer")]
    p99_high: Annotated[float | None, fact("p99 at most")]
    longest_low: Annotated[float, fact("longest")]
    longest_high: Annotated[float | None, fact("longest at most")]
    source: Annotated[str, fact("source", "the file that the numbers are from", head="source")]
