# SPDX-License-Identifier: BSD-3-Clause
"""Results of `ntbbench simulate`: a sample a replication of what a user would feel.

Counts and times that follow the throughput (rings, interrupts, hardirq time) have no better
direction of their own: they are compared an interrupt or a packet. What must never happen is exact.
A latency or a ratio is compared over the replications that have one; a side where none has one
does not have the metric, which is then missing there: nothing else need tell that it was lost.
"""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from ntbbench.compare.readers.checked import exact_value, samples_of
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError
from ntbbench.core.fields import Better

PREFIX = "ntbbench.simulation/"
KNOWN = "ntbbench.simulation/1"
Count = Annotated[int, Meta(ge=0)]
LATENCIES = ("p50", "p99", "p999")
WASTE = ("hardirq", "empty_softirq", "spinning")  # CPU time that moves no packet
STRICT_KEYS = ("duration", "warmup")  # runs of another length spread differently
EXACT = ("missed", "misrouted")
Metric = tuple[str, str, Better, list[float | None]]


class Counted(Struct, frozen=True, kw_only=True):
    """The counts of one replication, as far as they are compared."""

    packets: Count
    interrupts: Count
    schedule_calls: Count
    wakeups: Count
    spurious_wakeups: Count
    drops: Count


class Run(Struct, frozen=True, kw_only=True):
    """One replication."""

    replication: Count
    throughput_bps: float
    p50: float | None
    p99: float | None
    p999: float | None
    cpu_seconds: dict[str, float]
    counts: Counted


class Point(Struct, frozen=True, kw_only=True):
    """One point; an unavailable one has no replications."""

    status: Literal["ok", "unavailable"]
    queues: int
    dispatch: str
    affinity: str
    protocol: str
    placement: str = ""
    missed: Count = 0
    misrouted: Count = 0
    replications: list[Run] = []

    def name(self) -> str:
        """Return the identity of the point, one path of its axes."""
        axes = (self.protocol, self.dispatch, self.affinity, f"q{self.queues}", self.placement)
        return "/".join(axes)


class Simulation(Struct, frozen=True, kw_only=True):
    """A result, as far as it is compared."""

    schema: str
    complete: bool = True
    points: list[Point]
    scenario: dict[str, Any] = {}
    environment: dict[str, Any] = {}


def read(data: bytes, label: str, where: str) -> Variant:
    """Return the variant that a simulation result holds.

    The machine that simulated is told and never compared: it has no part in the result.
    """
    result = msgspec.json.decode(data, type=Simulation)
    how = result.scenario.get("run", {})
    strict = {f"scenario.run.{key}": str(how[key]) for key in STRICT_KEYS if key in how}
    context = {"ntbbench": str(result.environment.get("ntbbench", "?"))}
    draws = f"seed {how['seed']}" if "seed" in how else ""
    cautions = () if result.complete else ("unfinished",)
    variant = Variant(label, result.schema, {}, strict, context, draws=draws, cautions=cautions)
    for point in result.points:
        add_point(variant, point, where)
    return variant


def add_point(variant: Variant, point: Point, where: str) -> None:
    """Add every metric of one point; InputError for a point that stands there twice."""
    name = point.name()
    if f"{name}:status" in variant.series:
        raise InputError(where, name, "each point once")
    add(
        variant, f"{name}:status", kind="exact", better="higher", value=point.status,
        rank=int(point.status == "ok"),
    )  # fmt: skip
    if point.status != "ok":
        return
    runs = [run.replication for run in point.replications]
    if len(set(runs)) < len(runs):
        raise InputError(f"{where}: replications of {name}", str(runs), "each of them once")
    for quantity in EXACT:
        value = exact_value(getattr(point, quantity), where, name)
        add(variant, f"{name}:{quantity}", kind="exact", better="lower", value=value)
    for quantity, unit, better, samples in samples_by_metric(point, where):
        metric = f"{name}:{quantity}"
        defined = [
            (run.replication, sample)
            for run, sample in zip(point.replications, samples, strict=True)
            if sample is not None
        ]
        if not defined:
            continue
        numbers, known = zip(*defined, strict=True)
        add(
            variant, metric, kind="noisy", unit=unit, better=better,
            samples=samples_of(known, where, metric),
            runs=len(samples) if len(known) < len(samples) else 0,
        )  # fmt: skip
        variant.row_numbers[metric] = np.array(numbers, dtype=np.int64)


def add(variant: Variant, metric: str, **fields: Any) -> None:
    """Add one series."""
    variant.series[metric] = Series(metric=metric, simulated=True, **fields)


def samples_by_metric(point: Point, where: str) -> list[Metric]:
    """Return name, unit, direction and one sample a replication of each noisy metric."""
    runs = point.replications
    found: list[Metric] = [("throughput", "bit/s", "higher", [run.throughput_bps for run in runs])]
    found += [
        (f"latency_{name}", "s", "lower", [getattr(run, name) for run in runs])
        for name in LATENCIES
    ]
    for kind in WASTE:
        if any(kind not in run.cpu_seconds for run in runs):
            raise InputError(where, point.name(), f"cpu_seconds of {kind} in every replication")
        spent = [run.cpu_seconds[kind] / max(run.counts.packets, 1) for run in runs]
        found.append((f"cpu_{kind}_per_packet", "s", "lower", [*spent]))
    counts = [run.counts for run in runs]
    calls = [ratio(c.schedule_calls, c.interrupts) for c in counts]
    woken = [ratio(c.wakeups, c.interrupts) for c in counts]
    found += [
        ("amplification", "", "lower", calls),
        ("effective_amplification", "", "lower", woken),
        ("spurious_ratio", "", "lower", [ratio(c.spurious_wakeups, c.wakeups) for c in counts]),
        ("drops", "", "lower", [float(c.drops) for c in counts]),
    ]
    return found


def ratio(over: int, under: int) -> float | None:
    """Return a ratio of counts; None where nothing was counted, which is no 0 to compare with."""
    return over / under if under else None
