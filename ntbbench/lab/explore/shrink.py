# SPDX-License-Identifier: BSD-3-Clause
"""A schedule that fails, made small: of the candidates of a boot the smallest that still fails."""

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ntbbench.lab.explore.code_points import CodePoint
from ntbbench.lab.explore.explore_guest import ExploreLab
from ntbbench.lab.explore.oracles import judged
from ntbbench.lab.explore.records import EACH, Delay, PacketSender, Schedule

ROUNDS = 6
TRIES = 5  # of a candidate: which tick meets which is of the moment
HITS = 12  # single hits that are tried in place of all
RUNS = 5  # of the smallest, in a boot of its own
BOOTS = 3  # until one fails: QEMU's own clock shifts one boot in some 40
SHORTEST_US = 20


def shrunk(
    lab: ExploreLab, points: Sequence[CodePoint], schedule: Schedule, oracle: str
) -> Schedule:
    """Return the smallest schedule that was found to fail in the same way; a boot a round.

    One that fails in most of its runs is better than a smaller one that does not.
    """
    for _ in range(ROUNDS):
        smaller = list(smaller_ones(schedule))
        runs = {f"{n}.{run}": one for n, one in enumerate(smaller) for run in range(TRIES)}
        boot = lab.boot(runs, points, logs=0)
        judgements = ((one, judged(lab, one, name, boot)) for name, one in runs.items())
        failed = Counter(one for one, found in judgements if found and found.oracle == oracle)
        if not failed:
            break
        mostly = [one for one, count in failed.items() if count > TRIES // 2]
        schedule = min(mostly or failed, key=lambda one: one.size)
    return schedule


def smaller_ones(schedule: Schedule) -> Iterator[Schedule]:
    """Yield schedules that do a little less: fewer delays first, then fewer packets, less delay."""
    delays, senders = schedule.delays, schedule.senders
    if len(delays) > 1:
        yield from (replace(schedule, delays=(delay,)) for delay in delays)
        if len(delays) > 2:
            yield from (replace(schedule, delays=without(delays, n)) for n in range(len(delays)))
        return
    if delays:
        yield replace(schedule, delays=())
    yield from (replace(schedule, senders=without(senders, n)) for n in range(len(senders)))
    for n, sender in enumerate(senders):
        for packets in _parts(sender.packets):
            cut = PacketSender(sender.side, sender.cpu, packets)
            yield replace(schedule, senders=(*senders[:n], cut, *senders[n + 1 :]))
    for delay in delays:
        yield from (replace(schedule, delays=(less,)) for less in _less(delay))


def without(items: tuple, n: int) -> tuple:  # type: ignore[type-arg]
    """Return a tuple without its n-th item."""
    return (*items[:n], *items[n + 1 :])


def _parts(packets: tuple[tuple[int, int], ...]) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield the packets without a half, a quarter, or one of them."""
    count = len(packets)
    for size in dict.fromkeys((count // 2, count // 4, 1)):
        if 0 < size < count:
            yield packets[size:]
            yield packets[:-size]


def _less(delay: Delay) -> Iterator[Delay]:
    if delay.hit == EACH:
        yield from (Delay(delay.point, hit, delay.us) for hit in range(1, HITS + 1))
    if delay.us > SHORTEST_US:
        yield Delay(delay.point, delay.hit, delay.us // 2)
