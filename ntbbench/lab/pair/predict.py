# SPDX-License-Identifier: BSD-3-Clause
"""What the model says of one point: the link, and counts for the rings that were sent."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from ntbbench.lab.pair.boot.left import DriverSource, PairRecordings
from ntbbench.lab.pair.ring_trace_file import PairTrace, Wake
from ntbbench.pair.coalesce import Hop, event_hops, msi_hops
from ntbbench.pair.drivers.patches import Driver, driver
from ntbbench.pair.flow import (
    POLL,
    FlowTally,
    Item,
    PairFlow,
    Poll,
    RunBounds,
    Told,
    placed_by_events,
    ring_effects,
    run_bounds,
)
from ntbbench.pair.joined_hosts import AnySetting
from ntbbench.pair.setting import RC_TO_EP, Direction, by_role
from ntbbench.pair.verdict import PairLink, pair_link

LINK_DOWN, MISSED, MISROUTED = "link-down", "missed", "misrouted"
FALLBACK, PER_VECTOR, WORKS = "fallback", "per-vector", "works"
WORKING = {FALLBACK, PER_VECTOR}
VECTOR_PATCH = {"ep": 7, "rc": 12}  # gives the driver db_vector_count() and db_vector_mask()
DEFER_PATCH = 2  # the endpoint gathers its rings in peer_db_pending


@dataclass(frozen=True)
class PairModel:
    """Both drivers as the model knows them, in the setting of one boot; of two hosts ep is the
    first and rc the second."""

    ep: Driver
    rc: Driver
    setting: AnySetting
    max_num_clients: int

    @property
    def qp_count(self) -> int:
        """The QPs of both transports; 0 where the link is down."""
        link = self.link
        made = link.qps[0]
        return made.qp_count if link.link == "up" and made else 0

    @property
    def link(self) -> PairLink:
        """The link of this pair."""
        return pair_link(self.ep, self.rc, self.setting, self.max_num_clients)


@dataclass(frozen=True)
class Prediction:
    """Counts of one direction; runs by qp_num."""

    # by their 1-based number, which is the wire contract between the two drivers
    msis: Counter[int]
    vectors: Counter[int]
    runs: list[int]
    exact: bool  # MSIs and events are exact, not only bounded by what caused them
    bounds: RunBounds | None  # of the runs; None where they are exact too
    # msi_hops, event_hops: what bounds MSIs and events, by number and by vector; empty where they
    # are exact
    msi_hops: dict[int, Hop] = field(default_factory=dict)
    event_hops: dict[int, Hop] = field(default_factory=dict)


def pair_model(recordings: PairRecordings) -> PairModel:
    """Return the model of a boot: the patches found, in its setting."""
    setup = recordings.plan.setup
    return PairModel(
        ep=_driver(recordings.ep),
        rc=_driver(recordings.rc),
        setting=setup,
        max_num_clients=setup.queues or 0,
    )


def _driver(source: DriverSource) -> Driver:
    """Return one side's driver; one that was not observed has all that the series stands on."""
    if source.behaviour is None:
        return driver(source.side, source.patches)
    return Driver(source.side, frozenset(source.patches), source.behaviour.prerequisites)


def predict(
    model: PairModel,
    direction: Direction,
    trace: PairTrace,
    *,
    active: Sequence[int],
    spaced: bool,
    rx_max_entry: int,
    preemptible: bool,
) -> Prediction:
    """Return what the receiver does with the rings of `trace`.

    Of a spaced or polled flow the model sees rings and polls alone; of another burst also where
    callbacks were. A burst's runs are an estimate; `bounds` says what any order allows.

    `active`: qp_nums that ntb_netdev owns on the receiver and whose link is up.
    `spaced`: each doorbell was served before the next one of its QP.
    `rx_max_entry`: entries of the smallest ring.
    `preemptible`: the kernel preempts kernel code: ksoftirqd may run between two callbacks of one
    poll. Whether it does is the scheduler's business: runs that it changes are bounded.
    """
    qp_count = max(active, default=-1) + 1

    def flow(preempts: bool = False) -> PairFlow:
        qp_bitmap = sum(1 << qp_num for qp_num in active)
        pair = (direction, model.ep, model.rc, model.setting, qp_bitmap)
        return PairFlow(*pair, preempts=lambda: preempts)

    def told(tally: FlowTally, bounds: RunBounds | None, *hops: dict[int, Hop]) -> Prediction:
        runs = [tally.runs[qp_num] for qp_num in range(qp_count)]
        return Prediction(tally.msis, tally.vectors, runs, spaced, bounds, *hops)

    if not spaced:
        polled, to_rc = flow().polled, direction != RC_TO_EP
        effects = ring_effects(direction, model.ep, model.rc, model.setting, qp_count)
        rings = [trace.doorbells[qp_num] for qp_num in range(qp_count)]
        bounds = run_bounds(effects, trace.vectors, rings, rx_max_entry)
        hops = (
            msi_hops(effects, trace.items, deferred=model.ep.has(DEFER_PATCH)) if to_rc else {},
            event_hops(effects, trace.items, to_rc=to_rc, polled=polled),
        )
        if polled:
            return told(flow().run(rings_and_polls(trace)), bounds, *hops)
        return told(flow().run_apart(placed_by_events(effects, trace.items)), bounds, *hops)
    late = flow().run(rings_and_polls(trace))
    soon = flow(preempts=preemptible).run(rings_and_polls(trace))
    if late.runs == soon.runs:
        return told(late, None)
    least, most = ([tally.runs[qp] for qp in range(qp_count)] for tally in (late, soon))
    return told(late, RunBounds(least, most))


def rings_and_polls(trace: PairTrace) -> Iterator[Item]:
    """Yield what the model may know of a spaced flow.

    Where a trace has no polls, each callback stands for the poll that it came from.
    """
    polls = any(item is POLL for item in trace.items)
    for item in trace.items:
        if isinstance(item, int | Poll):
            yield item
        elif isinstance(item, Told) and not polls:
            yield POLL


def measured_verdict(trace: PairTrace, qp_count: int) -> str:
    """Return what became of spaced rings, in the words of `ntbbench compat`; empty: none can tell.

    Only wakes whose runs are their own are asked, and they must have rung every bit of the trace.
    A wake of all QPs does not tell a driver without vector callbacks from one with them: it works.
    """
    wakes = [wake for wake in trace.wakes if not wake.doubtful]
    if not wakes or _rung(wakes) != _rung(trace.wakes):
        return ""
    missed = [wake for wake in wakes if not wake.rung <= wake.ran]
    if missed:
        elsewhere = all(wake.ran for wake in missed)
        return MISROUTED if elsewhere else MISSED
    partial = [wake for wake in wakes if len(wake.rung) < qp_count]
    if not partial:
        return WORKS
    return PER_VECTOR if all(wake.ran == wake.rung for wake in partial) else FALLBACK


def _rung(wakes: Iterable[Wake]) -> set[int]:
    return {bit for wake in wakes for bit in wake.rung}


def predicted_verdict(
    model: PairModel, direction: Direction, bits: Iterable[int] | None = None
) -> str:
    """Return what the model says of rings of `bits`; None: of every QP's bit.

    Only what was rung can be compared: the flows of a point may leave a QP out.
    """
    count = model.qp_count
    if not count:
        return LINK_DOWN
    qps = (1 << count) - 1
    receiver = by_role(direction, model.ep, model.rc)[1]
    effects = ring_effects(direction, model.ep, model.rc, model.setting, count)
    rung = range(count) if bits is None else sorted(bit for bit in bits if bit < count)
    woken = {bit: reduce(or_, effects[bit].masks, 0) & qps for bit in rung}
    missed = [mask for bit, mask in woken.items() if not mask >> bit & 1]
    if missed:
        return MISROUTED if all(missed) else MISSED
    one_each = all(mask == 1 << bit for bit, mask in woken.items())
    return PER_VECTOR if one_each and receiver.has(VECTOR_PATCH[receiver.side]) else FALLBACK


def telling(measured: str, predicted: str, trace: PairTrace) -> str:
    """Return the measured verdict; empty: it does not tell.

    Doorbells that the model says are lost or misrouted hide behind others that they always met.
    """
    alone = {frozenset(wake.rung) for wake in trace.wakes if not wake.doubtful}
    apart = all(frozenset({bit}) in alone for bit in _rung(trace.wakes))
    hidden = predicted not in WORKING and measured in {WORKS, *WORKING} and not apart
    return "" if hidden else measured


def same_verdict(measured: str, predicted: str) -> bool:
    """Return whether two verdicts agree; those that work may look the same."""
    return measured == predicted or (measured == WORKS and predicted in WORKING)
