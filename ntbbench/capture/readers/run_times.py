# SPDX-License-Identifier: BSD-3-Clause
"""How long doorbells wait for their runs and runs take: of a trace's events, or of histograms."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from ntbbench.capture.latency_records import DELAY, LENGTH, RunTime

if TYPE_CHECKING:
    from ntbbench.capture.readers.trace import TraceRow
    from ntbbench.capture.readers.trace_events import Event

MICROSECOND, MILLISECOND = 1e-6, 1e-3
# Of doorbell.bt: two maps a duration, below a millisecond and from there on.
MAPS = {
    "@delay_us": (DELAY, MICROSECOND),
    "@delay_ms": (DELAY, MILLISECOND),
    "@length_us": (LENGTH, MICROSECOND),
    "@length_ms": (LENGTH, MILLISECOND),
}
COUNT_MAX = 1 << 63
Bounds = tuple[float, float | None]


class Bucket(Struct, frozen=True):
    """One bucket of a linear histogram; without `max` it has no end, without `min` no beginning."""

    count: int
    min: int | None = None
    max: int | None = None


class Histograms(msgspec.Struct, frozen=True):
    """What a line of histograms holds."""

    data: dict[str, Any]


def run_time(what: str, durations: Mapping[Bounds, int], source: str) -> RunTime | None:
    """Return the quantiles of durations that are counted by their bounds; None: of none."""
    items = sorted((bounds, count) for bounds, count in durations.items() if count)
    total = sum(count for _, count in items)
    if not total:
        return None

    def quantile(share: float) -> Bounds:
        left = math.ceil(share * total)
        for bounds, count in items:
            left -= count
            if left <= 0:
                return bounds
        return items[-1][0]

    middle, late, last = quantile(0.5), quantile(0.99), items[-1][0]
    return RunTime(
        what=what,
        count=total,
        p50_low=middle[0],
        p50_high=middle[1],
        p99_low=late[0],
        p99_high=late[1],
        longest_low=last[0],
        longest_high=last[1],
        source=source,
    )


def of_histograms(found: Mapping[str, Iterable[Bucket]], source: str) -> Iterator[RunTime]:
    """Yield the durations that the histograms of doorbell.bt hold, each between its bucket's ends.

    Parameters
    ----------
    found : the buckets by map; of a map that is printed twice the later ones.
    """
    counted: defaultdict[str, Counter[Bounds]] = defaultdict(Counter)
    for name, buckets in found.items():
        if name in MAPS:
            what, unit = MAPS[name]
            for bucket in buckets:
                high = None if bucket.max is None else (bucket.max + 1) * unit
                counted[what][max(bucket.min or 0, 0) * unit, high] += bucket.count
    for what in (DELAY, LENGTH):
        if (one := run_time(what, counted[what], source)) is not None:
            yield one


def buckets_of(data: object) -> dict[str, list[Bucket]]:
    """Return the buckets of a line `hist`; msgspec.ValidationError: it is none."""
    found = msgspec.convert(data, dict[str, list[Bucket] | dict[str, list[Bucket]]])
    plain = {name: buckets for name, buckets in found.items() if isinstance(buckets, list)}
    if any(not 0 <= b.count < COUNT_MAX for buckets in plain.values() for b in buckets):
        raise msgspec.ValidationError("a count of a bucket")
    return plain


@dataclass
class RunTimes:
    """Times of callbacks, schedules and runs while a trace goes by.

    Tasklets are known by their address, or a run by its QP's where no tasklet_entry is traced.
    """

    rang: dict[int, float] = field(default_factory=dict)  # by CPU: its callback's begin
    # by tasklet: when it was scheduled, and the begin of the callback that did
    schedules: defaultdict[int, list[tuple[float, float | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    entries: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    qp_runs: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    running: dict[int, tuple[int, float]] = field(default_factory=dict)  # by CPU
    lengths: defaultdict[int, Counter[Bounds]] = field(default_factory=lambda: defaultdict(Counter))

    def callback(self, event: Event) -> None:
        """A doorbell's callback begins on a CPU."""
        self.rang[event.cpu] = event.time

    def scheduled(self, tasklet: int, event: Event, *, by_doorbell: bool) -> None:
        """A tasklet was put on a list."""
        since = self.rang.get(event.cpu) if by_doorbell else None
        self.schedules[tasklet].append((event.time, since))

    def entered(self, tasklet: int, event: Event) -> None:
        """A receive tasklet begins to run."""
        self.entries[tasklet].append(event.time)
        self.running[event.cpu] = tasklet, event.time

    def exited(self, event: Event) -> None:
        """A tasklet of any driver has run."""
        tasklet, since = self.running.pop(event.cpu, (0, None))
        if since is not None:
            self.lengths[tasklet][_exact(event.time - since)] += 1

    def ran(self, qp: int, event: Event) -> None:
        """The function of a QP's receive tasklet begins."""
        self.qp_runs[qp].append(event.time)

    def found(self, rows: Iterable[TraceRow], source: str) -> Iterator[RunTime]:
        """Yield what the QPs of a trace add up to."""
        delays: Counter[Bounds] = Counter()
        lengths: Counter[Bounds] = Counter()
        for row in rows:
            if row.tasklet is None:
                continue
            begins = self.entries[row.tasklet] or self.qp_runs[row.ptr or 0]
            delays.update(map(_exact, waited(self.schedules[row.tasklet], begins)))
            lengths.update(self.lengths[row.tasklet])
        for what, durations in ((DELAY, delays), (LENGTH, lengths)):
            if (one := run_time(what, durations, source)) is not None:
                yield one


def waited(schedules: list[tuple[float, float | None]], begins: list[float]) -> Iterator[float]:
    """Yield how long each doorbell waited for the run that it made.

    A tasklet is put on a list once before each of its runs: that is the schedule between the run
    before and this one. Runs and schedules that a probe missed have no partner.
    """
    at = 0
    for before, begin in pairwise((-math.inf, *begins)):
        since = None
        while at < len(schedules) and schedules[at][0] <= begin:
            when, rang = schedules[at]
            since = rang if when >= before else None
            at += 1
        if since is not None:
            yield begin - since


def _exact(duration: float) -> Bounds:
    rounded = round(duration, 9)  # of a trace's digits; the difference of two floats has more
    return rounded, rounded
