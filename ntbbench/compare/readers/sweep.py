# SPDX-License-Identifier: BSD-3-Clause
"""Sweep results: exact counts and, where it was timed, nanoseconds a dispatch of each point.

Only the fields a comparison needs are read, so that results of neighbouring versions compare.
"""

from collections import Counter
from functools import cache
from operator import attrgetter
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ntbbench.compare.readers.checked import exact_value, samples_of, split_environment
from ntbbench.compare.records import Place
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import ONE_PROCESS
from ntbbench.core.errors import InputError
from ntbbench.core.fields import Better

PREFIX = "ntbbench.sweep/"
KNOWN = "ntbbench.sweep/1"

CPU = "cpu.model"
EXPECTED = (CPU, "cpu.flags", "compiler.name", "compiler.flags")
MACHINE = ("cpu.cores",)

# The direction of each count: lower is better but for what the user asked for. The other ratios
# of a point follow from these.
COUNTS: dict[str, Better] = {
    "queues": "higher",
    "qp_count": "higher",
    "interrupts": "none",
    "rings": "none",
    "scan_iterations": "lower",
    "schedule_calls": "lower",
    "wakeups": "lower",
    "merged": "none",
    "spurious_wakeups": "lower",
    "useful_wakeups": "none",
    "race_check_runs": "lower",
    "missed": "lower",
    "misrouted": "lower",
    "amplification": "lower",
}
LISTS = (
    "qp_schedule_calls",
    "qp_wakeups",
    "qp_spurious_wakeups",
    "qp_useful_wakeups",
    "vector_interrupts",
    "vector_schedule_calls",
    "vector_wakeups",
)
BETTER = tuple(COUNTS.values())
VALUES = attrgetter(*COUNTS)
SPREADS = attrgetter(*LISTS)
Number = int | float | UnsetType | None
Counts = msgspec.Raw | UnsetType  # only ever compared as a whole


class Samples(Struct, frozen=True, gc=False):
    """The samples of a timing."""

    samples: list[float]


class Cell(Struct, frozen=True, kw_only=True):
    """One point; what a version does not write is unset."""

    hardware: str
    dispatch: str
    queues_requested: int
    doorbells: int
    vectors: int
    workload: str
    status: Literal["ok", "unavailable"]
    mw_count: int | UnsetType | None = UNSET
    max_num_clients: int | UnsetType | None = UNSET
    drain: int | UnsetType = UNSET
    queues: Number = UNSET
    qp_count: Number = UNSET
    interrupts: Number = UNSET
    rings: Number = UNSET
    scan_iterations: Number = UNSET
    schedule_calls: Number = UNSET
    wakeups: Number = UNSET
    merged: Number = UNSET
    spurious_wakeups: Number = UNSET
    useful_wakeups: Number = UNSET
    race_check_runs: Number = UNSET
    missed: Number = UNSET
    misrouted: Number = UNSET
    amplification: Number = UNSET
    qp_schedule_calls: Counts = UNSET
    qp_wakeups: Counts = UNSET
    qp_spurious_wakeups: Counts = UNSET
    qp_useful_wakeups: Counts = UNSET
    vector_interrupts: Counts = UNSET
    vector_schedule_calls: Counts = UNSET
    vector_wakeups: Counts = UNSET
    ns_per_dispatch: Samples | UnsetType | None = UNSET

    def name(self) -> str:
        """Return the identity of the point, one path of its axes."""
        parts = [
            self.hardware,
            self.dispatch,
            f"q{self.queues_requested}",
            f"d{self.doorbells}",
            f"v{self.vectors}",
            self.workload,
        ]
        if not isinstance(self.drain, UnsetType):
            parts.append(f"drain{self.drain}")
        if isinstance(self.mw_count, int):
            parts.append(f"mw{self.mw_count}")
        if isinstance(self.max_num_clients, int) and self.max_num_clients:
            parts.append(f"clients{self.max_num_clients}")
        return "/".join(parts)

    def group(self) -> str:
        """Return what a heatmap over queues and doorbells holds fixed."""
        drain = "" if isinstance(self.drain, UnsetType) else f", drain {self.drain}"
        return f"{self.hardware}, {self.dispatch}, v{self.vectors}, {self.workload}{drain}"


class Sweep(Struct, frozen=True, kw_only=True):
    """A sweep result, as far as it is compared."""

    schema: str
    complete: bool = True
    points: list[Cell]
    environment: dict[str, Any] = {}
    scenario: dict[str, Any] = {}


def read(data: bytes, label: str, where: str) -> Variant:
    """Return the variant that a sweep result holds; msgspec's errors say what is wrong with it."""
    sweep = msgspec.json.decode(data, type=Sweep)
    strict, loose = split_environment(sweep.environment)
    for key in ("interrupts", "seed"):  # other streams have other counts
        if key in sweep.scenario:
            strict[f"scenario.{key}"] = str(sweep.scenario[key])
    variant = Variant(
        label,
        sweep.schema,
        {},
        strict,
        loose,
        cpu=CPU,
        machine={key: loose[key] for key in MACHINE if key in loose},
        expects=EXPECTED,
        cautions=() if sweep.complete else ("unfinished",),
    )
    seen: Counter[str] = Counter()
    for cell in sweep.points:
        name = cell.name()
        seen[name] += 1
        # An axis that a device ignores multiplies all the same: equal points are numbered.
        add_cell(variant, cell, name if seen[name] == 1 else f"{name}#{seen[name]}", where)
    return variant


def add_cell(variant: Variant, cell: Cell, name: str, where: str) -> None:
    """Add every metric of one point to `variant`; InputError for a count that cannot be one."""
    metrics = names_of(name)
    series = variant.series
    variant.places[name] = Place(
        group=cell.group(), queues=cell.queues_requested, doorbells=cell.doorbells
    )
    status = f"{name}:status"
    rank = 1 if cell.status == "ok" else 0
    series[status] = Series(
        metric=status, kind="exact", better="higher", value=cell.status, rank=rank
    )
    if cell.status != "ok":
        variant.absent.update(dict.fromkeys(metrics, "unavailable"))
        return
    # A count that is null (race_check_runs of a driver whose db_read() lies) does not exist.
    for metric, better, value in zip(metrics, BETTER, VALUES(cell), strict=False):
        if value is not UNSET and value is not None:
            exact = exact_value(value, where, metric)
            if exact < 0:
                raise InputError(f"{where}: {metric}", value, "a count that is not negative")
            series[metric] = Series(metric=metric, kind="exact", better=better, value=exact)
    distribution, timing = metrics[-2:]
    lists = [counts for counts in SPREADS(cell) if counts is not UNSET]
    if lists:
        joined = b";".join(map(bytes, lists))
        text = joined.translate(None, b" \t\r\n").decode()  # other writers indent
        series[distribution] = Series(metric=distribution, kind="exact", better="none", value=text)
    if isinstance(cell.ns_per_dispatch, Samples) and cell.ns_per_dispatch.samples:
        samples = samples_of(cell.ns_per_dispatch.samples, where, timing)
        series[timing] = Series(
            metric=timing,
            kind="noisy",
            unit="ns",
            better="lower",
            samples=samples,
            cautions=(ONE_PROCESS,),
        )


@cache
def names_of(point: str) -> tuple[str, ...]:
    """Return the names of all metrics of a point but its status; both sides share the texts."""
    return tuple(f"{point}:{quantity}" for quantity in (*COUNTS, "distribution", "ns_per_dispatch"))
