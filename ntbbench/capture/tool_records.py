# SPDX-License-Identifier: BSD-3-Clause
"""Records of what tools and the kernel's log say: latencies, and which device it is."""

from typing import Annotated

from msgspec import Struct

from ntbbench.core.fields import axis, fact, series

From = Annotated[str, fact("source", "the file that the number is from", head="source")]


class LatencySummary(Struct, frozen=True, kw_only=True):
    """Latencies of one run of ping or sockperf; null: it does not print it."""

    source: From
    tool: Annotated[str, axis("tool", "ping or sockperf")]
    what: Annotated[
        str, axis("what", "round trip, or one way: what sockperf prints without --full-rtt")
    ]
    average: Annotated[
        float | None, series("average", "mean latency", unit="s", better="lower", head="average")
    ] = None
    least: Annotated[float | None, series("least", "of all", unit="s", better="lower")] = None
    most: Annotated[float | None, series("most", "of all", unit="s", better="lower")] = None
    deviation: Annotated[
        float | None,
        series(
            "deviation", "standard deviation of the latencies", unit="s", better="lower", head="SD"
        ),
    ] = None
    percentiles: Annotated[
        dict[str, float], fact("percentiles", "latency by percentile", unit="s")
    ] = {}
    samples: Annotated[int | None, fact("samples", "replies")] = None
    lost_percent: Annotated[
        float | None,
        series("lost", "messages without a reply", unit="%", better="lower", head="lost\n(%)"),
    ] = None


class Clue(Struct, frozen=True, kw_only=True):
    """What a kernel's log or release says of the device; null: nothing."""

    source: From
    text: Annotated[str, fact("text", "the line")]
    kernel: Annotated[str, fact("kernel", "its release")] = ""
    driver: Annotated[str, fact("driver", "that drives the device")] = ""
    db_valid_mask: Annotated[str | None, fact("valid mask", "of the doorbells")] = None
    vectors: Annotated[int | None, fact("vectors", "interrupts that the driver uses")] = None
    qp_count: Annotated[int | None, fact("QPs", "of ntb_transport, on both sides")] = None
    mw_count: Annotated[int | None, fact("windows", "memory windows, on both sides")] = None
    is_crosslink: Annotated[bool, fact("crosslink", "Switchtec's crosslink configuration")] = False
    is_erratum: Annotated[bool, fact("erratum", "intel's bit 14 is left out")] = False
