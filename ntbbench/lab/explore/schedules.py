# SPDX-License-Identifier: BSD-3-Clause
"""A schedule: who sends what from which CPU, and where which CPU is held for how long.

A seed draws one here, and the guest does what it says.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ntbbench.lab.explore.code_points import CodePoint
from ntbbench.lab.explore.records import ANY, EACH, SIDES, Action, Delay, PacketSender, Schedule

Strategy = Literal["random", "pct"]
STRATEGIES: tuple[Strategy, ...] = ("random", "pct")
Workload = Literal["traffic", "link", "ethtool"]
WORKLOADS: tuple[Workload, ...] = ("traffic", "link", "ethtool")
# After a packet. Polls are 5000 apart; in the longest gap a packet that waits has come too late.
GAPS_US = (0, 20, 200, 500, 1000, 2000, 20000)
# The longest are longer than a tick: what is due runs before the CPU that is held goes on.
DELAYS_US = (20, 100, 400, 1500)
LONG_US = DELAYS_US[-1]
ACTION_GAPS_US = (50, 200, 1000, 5000)
PACKETS = (20, 50)  # of a sender, from, to
SENDERS = (2, 4)
QPS_MAX = 2  # of a sender: packets of one QP that follow close on each other tell most
DELAYS = (3, 8)  # of a schedule
DRIVERS = ("pci_epf_vntb", "ntb_hw_epf")
OFTEN = 2 / 3  # of the delays are at each hit of their point
PCT_DEPTH = 3  # orderings that a bug needs, for the bound


@dataclass(frozen=True)
class ScheduleDraws:
    """How schedules are drawn."""

    workload: Workload
    strategy: Strategy


@dataclass(frozen=True)
class Field:
    """What schedules are drawn from: a machine, and what it was seen to run."""

    cpus: int
    queues: int
    points: tuple[CodePoint, ...] = ()  # whose accesses met others
    hits: Mapping[str, int] | None = None  # of each point, in one run without delays
    steps: int = 0  # hits of all points, in one run


def draw(field: Field, seed: int, drawn: ScheduleDraws) -> Schedule:
    """Return the schedule of a seed: for the same field always the same."""
    choice = random.Random(f"{drawn.workload} {drawn.strategy} {seed}")  # noqa: S311 - not for secrets
    senders = tuple(_sender(choice, field, number) for number in range(choice.randint(*SENDERS)))
    return Schedule(
        seed=seed,
        workload=drawn.workload,
        strategy=drawn.strategy,
        senders=senders,
        delays=_DELAYS[drawn.strategy](choice, field),
        actor_cpu=choice.randrange(field.cpus),
        actions=tuple(_ACTIONS[drawn.workload](choice, field)),
    )


def plain(field: Field, seed: int, workload: Workload) -> Schedule:
    """Return a schedule without delays."""
    return draw(replace(field, points=(), steps=0), seed, ScheduleDraws(workload, "random"))


def _sender(choice: random.Random, field: Field, number: int) -> PacketSender:
    """Return a sender, of one QP or of several; of any two in turn there is one on either side."""
    qps = choice.sample(range(field.queues), k=choice.randint(1, min(QPS_MAX, field.queues)))
    count = choice.randint(*PACKETS)
    packets = ((choice.choice(qps), choice.choice(GAPS_US)) for _ in range(count))
    return PacketSender(number % len(SIDES), choice.randrange(field.cpus), tuple(packets))


def _at_random(choice: random.Random, field: Field) -> tuple[Delay, ...]:
    """Hold CPUs at points whose accesses meet others: at one hit, or at each.

    Each module has the same share, and a driver twice as much: ntb_transport's many copies would
    leave little to what is under test.
    """
    found = sorted({point.module for point in field.points})
    modules = [module for module in found for _ in range(1 + (module in DRIVERS))]
    if not modules:
        return ()
    return tuple(
        _delay(choice, field, choice.choice(modules)) for _ in range(choice.randint(*DELAYS))
    )


def _delay(choice: random.Random, field: Field, module: str) -> Delay:
    point = choice.choice([point for point in field.points if point.module == module])
    hits = (field.hits or {})[point.name]
    return Delay(point.name, _hit(choice, hits), choice.choice(DELAYS_US))


def _hit(choice: random.Random, hits: int) -> int:
    return EACH if choice.random() < OFTEN else choice.randint(1, max(hits, 1))


def _by_priority(choice: random.Random, field: Field) -> tuple[Delay, ...]:
    """Hold whichever CPU comes to a step that was drawn, so that the others overtake it.

    Source: Burckhardt, Kothari, Musuvathi, Nagarakatte, "A Randomized Scheduler with Probabilistic
    Guarantees of Finding Bugs", ASPLOS 2010: depth - 1 priority change points among k steps.
    Deviates: a CPU whose priority falls is held for a while, not until all others block.
    """
    count = min(PCT_DEPTH - 1, field.steps)
    steps = choice.sample(range(1, field.steps + 1), k=count)
    return tuple(Delay(ANY, step, LONG_US) for step in sorted(steps))


def pct_bound(field: Field) -> float:
    """Return the least probability that one seed of `pct` meets a bug of PCT_DEPTH orderings.

    Source: the same paper, theorem 9: 1 / (n k^(d-1)).
    """
    return 1 / field.cpus / float(max(field.steps, 1)) ** (PCT_DEPTH - 1)


def _no_actions(_choice: random.Random, _field: Field) -> Iterator[Action]:
    return iter(())


def _link_actions(choice: random.Random, _field: Field) -> Iterator[Action]:
    side = choice.randrange(len(SIDES))
    for _ in range(choice.randint(1, 2)):
        yield Action(side, "d", choice.choice(ACTION_GAPS_US))
        yield Action(side, "u", choice.choice(ACTION_GAPS_US))


def _channel_actions(choice: random.Random, field: Field) -> Iterator[Action]:
    side = choice.randrange(len(SIDES))
    for count in (choice.randint(1, field.queues), field.queues):
        yield Action(side, str(count), choice.choice(ACTION_GAPS_US))


_DELAYS: dict[Strategy, Callable[[random.Random, Field], tuple[Delay, ...]]] = {
    "random": _at_random,
    "pct": _by_priority,
}
_ACTIONS: dict[Workload, Callable[[random.Random, Field], Iterator[Action]]] = {
    "traffic": _no_actions,
    "link": _link_actions,
    "ethtool": _channel_actions,
}


def names_of(points: Sequence[CodePoint]) -> dict[str, int]:
    """Return the guest's numbers of points, by their name."""
    return {point.name: number for number, point in enumerate(points)}


def guest_lines(schedule: Schedule, name: str, numbers: Mapping[str, int]) -> Iterator[str]:
    """Yield what the guest is told; `numbers` are those of the points.

    A delay at a point that is not there is left out: the schedule does not meet it.
    """
    for sender in schedule.senders:
        packets = " ".join(f"{qp}:{gap}" for qp, gap in sender.packets)
        yield f"sender {sender.side} {sender.cpu} {packets}"
    if schedule.actions:
        words = (f"{action.side}:{action.what}:{action.gap_us}" for action in schedule.actions)
        yield f"actor {schedule.actor_cpu} {' '.join(words)}"
    for delay in met_by(schedule, numbers):
        yield f"delay {numbers.get(delay.point, -1)} {delay.hit} {delay.us}"
    yield f"run {name}"


def met_by(schedule: Schedule, numbers: Mapping[str, int]) -> list[Delay]:
    """Return the delays whose points there are."""
    return [delay for delay in schedule.delays if delay.point == ANY or delay.point in numbers]
