# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of a sweep, from the measurement to the report.

They are what the result files hold: a field here is a key of the JSON. Durations are float
seconds unless the name carries a unit.
"""

from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

SWEEP_SCHEMA = "ntbbench.sweep/1"


class Caution(Struct, frozen=True, kw_only=True):
    """A warning that travels with a result: what, where, and what to do about it."""

    code: str  # from a closed list; see ntbbench/dispatch/sweep_warnings.py
    message: str
    remedy: str
    point: int | None = None  # index into `points`; None: the whole result


class Timing(Struct, frozen=True, kw_only=True):
    """Nanoseconds per dispatch: the median of the samples and its bootstrap 95 % interval."""

    median: float
    low: float
    high: float
    samples: list[float]


class Axes(Struct, frozen=True, kw_only=True):
    """What was asked for one point, and the device that it was asked of."""

    hardware: str
    dispatch: str  # fallback | per-vector | msi
    queues_requested: int
    queues: int  # netdev queues that exist after the request
    qp_count: int  # what ntb_transport gives on this device
    doorbells: int
    vectors: int
    db_valid_mask: str  # hexadecimal: a u64 does not survive every JSON reader
    mw_count: int | None  # None: unlimited
    max_num_clients: int
    workload: str  # the workload's specification, in its canonical form
    drain: int
    seed: int


class OkPoint(Axes, frozen=True, kw_only=True, tag_field="status", tag="ok"):
    """A point that was measured; counts are those of ntb-facts section 6."""

    interrupts: int
    rings: int
    scan_iterations: int
    schedule_calls: int
    wakeups: int
    merged: int
    spurious_wakeups: int
    useful_wakeups: int
    race_check_runs: int | None  # None: the driver's db_read() shows wrong bits (see `compat`)
    missed: int
    misrouted: int
    amplification: float
    effective_amplification: float
    expected_amplification: float
    spurious_ratio: float
    qp_schedule_calls: list[int]  # by qp_num
    qp_wakeups: list[int]
    qp_spurious_wakeups: list[int]
    qp_useful_wakeups: list[int]
    vector_interrupts: list[int]  # by interrupt source
    vector_schedule_calls: list[int]
    vector_wakeups: list[int]
    ns_per_dispatch: Timing | UnsetType = UNSET


class UnavailablePoint(Axes, frozen=True, kw_only=True, tag_field="status", tag="unavailable"):
    """A point that the device cannot give, with the reason that a user would see."""

    reason: str


Point = OkPoint | UnavailablePoint


class SweepResult(Struct, frozen=True, kw_only=True):
    """One sweep: what was asked, on which machine, and every point of it in axis order."""

    schema: str = SWEEP_SCHEMA
    environment: dict[str, Any]
    scenario: dict[str, Any]
    complete: bool = True  # False: interrupted; `sweep --resume` goes on
    points: list[Point]
    warnings: list[Caution] = field(default_factory=list)
