# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of a sweep, from the measurement to the report.

They are what the result files hold: a field here is a key of the JSON. Durations are float
seconds unless the name carries a unit.
"""

from functools import partial
from typing import Annotated, Any

from msgspec import UNSET, Struct, UnsetType, field

from ntbbench.core.fields import axis, count, fact, series

lower = partial(count, better="lower")
SWEEP_SCHEMA = "ntbbench.sweep/1"


class Caution(Struct, frozen=True, kw_only=True):
    """A warning that travels with a result: what, where, and what to do about it."""

    code: Annotated[str, fact("code", "from the closed list in docs/metrics.md")]
    message: Annotated[str, fact("message", "what was seen")]
    remedy: Annotated[str, fact("remedy", "what to do about it")]
    point: Annotated[int | None, fact("point", "index into `points`; null: the whole result")] = (
        None
    )


class Timing(Struct, frozen=True, kw_only=True):
    """Nanoseconds per dispatch: the median of the samples and its bootstrap 95 % interval."""

    median: Annotated[float, fact("median", "of the samples", unit="ns")]
    low: Annotated[float, fact("low", "lower end of the 95 % interval", unit="ns")]
    high: Annotated[float, fact("high", "upper end of the 95 % interval", unit="ns")]
    samples: Annotated[list[float], fact("samples", "in the order taken", unit="ns")]


class Axes(Struct, frozen=True, kw_only=True):
    """What was asked for one point, and the device that it was asked of."""

    hardware: Annotated[str, axis("hardware", "a device of `ntbbench hardware` or of the scenario")]
    dispatch: Annotated[str, axis("dispatch", "fallback, per-vector or msi")]
    queues_requested: Annotated[int, axis("queues asked", "ntb_netdev queues asked for")]
    queues: Annotated[
        int,
        count(
            "queues created",
            "ntb_netdev queues that exist after the request",
            better="higher",
            head="Q",
        ),
    ]
    qp_count: Annotated[
        int, count("QPs", "that ntb_transport makes of the device", better="higher")
    ]
    doorbells: Annotated[
        int,
        axis(
            "doorbells",
            "db_count of the epf drivers, doorbell bits of other devices",
            head="door-\nbells",
        ),
    ]
    vectors: Annotated[int, axis("vectors", "interrupt vectors of the device", head="vec-\ntors")]
    db_valid_mask: Annotated[
        str, fact("db_valid_mask", "hexadecimal: a u64 does not survive every JSON reader")
    ]
    mw_count: Annotated[int | None, axis("windows", "memory windows; null: no limit")]
    max_num_clients: Annotated[int, axis("max_num_clients", "of ntb_transport; 0: unset")]
    workload: Annotated[str, axis("workload", "its specification in the canonical form")]
    drain: Annotated[int, axis("drain", "interrupts between two runs of the softirq")]
    seed: Annotated[int, axis("seed", "of all random draws")]


class OkPoint(Axes, frozen=True, kw_only=True, tag_field="status", tag="ok"):
    """A point that was measured; lists named `qp_...` are by qp_num, `vector_...` by interrupt."""

    interrupts: Annotated[
        int, count("interrupts", "doorbell interrupts delivered; rings of a pending bit coalesce")
    ]
    rings: Annotated[int, count("rings", "doorbell bits that the sender rang")]
    scan_iterations: Annotated[
        int,
        lower(
            "scan iterations", "of the bit loop of ntb_transport_doorbell_callback(); 0 under msi"
        ),
    ]
    schedule_calls: Annotated[
        int, lower("schedule calls", "tasklet_schedule() calls of the doorbell path")
    ]
    wakeups: Annotated[
        int, lower("wakeups", "calls that set SCHED and so put the tasklet on a list")
    ]
    merged: Annotated[
        int, count("merged", "calls that found SCHED set; wakeups + merged = schedule calls")
    ]
    spurious_wakeups: Annotated[
        int, lower("spurious wakeups", "tasklet runs of a doorbell without a packet")
    ]
    useful_wakeups: Annotated[
        int, count("useful wakeups", "tasklet runs of a doorbell that found a packet")
    ]
    race_check_runs: Annotated[
        int | None,
        lower(
            "race check runs",
            "empty runs that the race check adds, counted apart; null: db_read() shows wrong bits",
        ),
    ]
    missed: Annotated[
        int, lower("missed", "rung bits whose active QP was not scheduled: must be 0")
    ]
    misrouted: Annotated[
        int,
        lower(
            "misrouted", "QPs scheduled though not rung, by interrupts that missed a bit: must be 0"
        ),
    ]
    amplification: Annotated[
        float,
        lower(
            "amplification",
            "tasklet_schedule() calls per doorbell interrupt; 1 is ideal",
            head="amplif-\nication",
        ),
    ]
    effective_amplification: Annotated[
        float,
        fact("effective", "tasklets put on a list per doorbell interrupt", head="effec-\ntive"),
    ]
    expected_amplification: Annotated[
        float, fact("expected", "the amplification by the analytic law")
    ]
    spurious_ratio: Annotated[
        float,
        fact(
            "spurious ratio",
            "share of the woken tasklets' runs that found no packet",
            head="spuri-\nous",
        ),
    ]
    qp_schedule_calls: Annotated[list[int], count("schedule calls by QP")]
    qp_wakeups: Annotated[list[int], count("wakeups by QP")]
    qp_spurious_wakeups: Annotated[list[int], count("spurious wakeups by QP")]
    qp_useful_wakeups: Annotated[list[int], count("useful wakeups by QP")]
    vector_interrupts: Annotated[list[int], count("interrupts by source")]
    vector_schedule_calls: Annotated[list[int], count("schedule calls by source")]
    vector_wakeups: Annotated[list[int], count("wakeups by source")]
    ns_per_dispatch: Annotated[
        Timing | UnsetType,
        series(
            "time per dispatch",
            "CPU time from the vector to its tasklet_schedule() calls, and its share of a softirq",
            unit="ns",
            better="lower",
        ),
    ] = UNSET


class UnavailablePoint(Axes, frozen=True, kw_only=True, tag_field="status", tag="unavailable"):
    """A point that the device cannot give, with the reason that a user would see."""

    reason: Annotated[str, fact("reason", "what `ethtool -L` would say")]


Point = OkPoint | UnavailablePoint


class SweepResult(Struct, frozen=True, kw_only=True):
    """One sweep: what was asked, on which machine, and every point of it in axis order."""

    schema: str = SWEEP_SCHEMA
    environment: dict[str, Any]
    scenario: dict[str, Any]
    inputs: Annotated[
        dict[str, str] | UnsetType,
        fact("inputs", "SHA-256 of each `log:` file of the scenario, by its path"),
    ] = UNSET
    complete: Annotated[bool, fact("complete", "false: interrupted; `sweep --resume` goes on")] = (
        True
    )
    points: list[Point]
    warnings: list[Caution] = field(default_factory=list)
