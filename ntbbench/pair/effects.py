# SPDX-License-Identifier: BSD-3-Clause
"""What each patch changes of what can be seen of its driver, and the whole analysis."""

from collections.abc import Callable, Iterable, Sequence
from itertools import product

from msgspec.structs import asdict

from ntbbench.core.errors import InputError
from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.behaviour import OneSide
from ntbbench.pair.drivers.kernel_around import (
    MW_COUNT_MAX,
    Client,
    DriverError,
    Hazard,
    db_vector_count,
    db_vector_mask,
)
from ntbbench.pair.drivers.ntb_hw_epf import Epf, contiguous_irqs, scattered_irqs
from ntbbench.pair.drivers.patches import PATCHES, SIDES, Driver, Side, driver, prefix, side_patches
from ntbbench.pair.drivers.pci_epf_vntb import PeerDbWork, VntbConfig
from ntbbench.pair.records import Change, PatchEffect, PatchesResult, RaceCost, StormCount
from ntbbench.pair.ring_trace import ring
from ntbbench.pair.setting import DIRECTIONS, Direction, Setting, transport_qps
from ntbbench.pair.subsets import dependencies, other_settings
from ntbbench.pair.verdict import setting_traits

TOO_MANY_WINDOWS = MW_COUNT_MAX + 1
PROBED_BIT = 1  # bit 0 hides some of the legacy's wrong bits
MULTI_BITS = 0b101

Observe = Callable[[OneSide, Setting], object]


def effects(setting: Setting) -> list[PatchEffect]:
    """Return for each patch of the series what it changes, in posted order."""
    found = []
    for patch in PATCHES:
        place = side_patches(patch.side).index(patch.number)
        changes = []
        for what, observe in (*BOTH, *OWN[patch.side]):
            seen = []
            for own in (prefix(patch.side, place), prefix(patch.side, place + 1)):
                side = OneSide(own, setting.slots_of(own.side), setting.doorbell)
                seen.append(str(observe(side, setting)))
            if seen[0] != seen[1]:
                changes.append(Change(what=what, before=seen[0], after=seen[1]))
        found.append(
            PatchEffect(patch=patch.number, side=patch.side, subject=patch.subject, changes=changes)
        )
    return found


def race_cost(
    direction: Direction, ep: Driver, rc: Driver, setting: Setting, client: Client
) -> RaceCost:
    """Ring each QP once on a fresh pair and count the tasklet runs, the race check included.

    With a client that reposts buffers a db_read() hit on the rung QP merges with the repost and
    adds no run.
    """
    receiver = rc if direction == "ep-to-rc" else ep
    qp_count = setting_traits(receiver, setting).qp_count
    traces = [ring(direction, ep, rc, setting, 1 << bit, client=client) for bit in range(qp_count)]
    return RaceCost(
        direction=direction,
        ep=ep.label,
        rc=rc.label,
        client=str(client),
        runs=[len(trace.runs) for trace in traces],
        race_checks=[len(trace.race_checks) for trace in traces],
    )


def _list(parts: Iterable[object]) -> str:
    return ", ".join(map(str, parts))


def _qps(side: OneSide, setting: Setting) -> str:
    mask = side.device.db_valid_mask()
    return f"{transport_qps(mask, setting.mw_count).qp_count} of {mask.bit_length() - 1}"


def _reported(side: OneSide, place: int) -> str:
    """Return the vectors reported for the slot of doorbell bit `place`; -1: the reserved slot."""
    side.interrupt(side.driver.db_start + place)
    return _list(side.vectors) or "nothing"


def _register(side: OneSide, bits: Sequence[int], cleared: int = 0) -> str:
    for bit in bits:
        side.interrupt(side.driver.db_start + bit)
    if cleared:  # before patch 11 clearing no bit clears all of them
        side.device.db_clear(cleared)
    return hex(side.device.db_read())


def _cost(driver: Driver, setting: Setting, client: Client) -> RaceCost:
    """Return the cost of a doorbell that `driver` takes from an unpatched peer."""
    if driver.side == "ep":
        return race_cost("rc-to-ep", driver, prefix("rc", 0), setting, client)
    return race_cost("ep-to-rc", prefix("ep", 0), driver, setting, client)


def _calls(side: OneSide, setting: Setting) -> str:
    """Return how many tasklets one doorbell schedules: the runs that are no race check."""
    cost = _cost(side.driver, setting, Client.SILENT)
    return _list(runs - hits for runs, hits in zip(cost.runs, cost.race_checks, strict=True))


def _multi(side: OneSide, _: Setting) -> str:
    side.ring(MULTI_BITS)
    return _list(side.rung)


def _context(side: OneSide, _: Setting) -> str:
    side.ring(1)
    return str(Hazard.SLEEPS) if Hazard.SLEEPS in side.hazards else "does not sleep"


def _store(side: OneSide, attribute: str, text: str, *, attached: bool = False) -> str:
    config = VntbConfig(side.driver)
    config.attached = attached
    return _errno(config.store, attribute, text)


def _bind(side: OneSide, db_count: int) -> str:
    config = VntbConfig(side.driver)
    config.db_count = db_count
    return _errno(config.configure_interrupt)


def _windows(side: OneSide, setting: Setting) -> str:
    unseen: list[int] = []
    irqs = contiguous_irqs(setting.rc_vectors)
    epf = Epf(side.driver, irqs, unseen.append, unseen.append)
    return f"{_errno(epf.probe, TOO_MANY_WINDOWS)}, {len(epf.requested)} irqs left behind"


def _scattered(side: OneSide, setting: Setting) -> str:
    return _reported(OneSide(side.driver, setting.rc_vectors, irqs=scattered_irqs), PROBED_BIT)


def _errno(call: Callable[..., None], *words: object) -> str:
    try:
        call(*words)
    except DriverError as error:
        return f"-{error.name}"
    return "0"


BOTH: tuple[tuple[str, Observe], ...] = (
    ("db_valid_mask", lambda side, _: hex(side.device.db_valid_mask())),
    ("QPs of ntb_transport, of those that the mask allows", _qps),
    ("ntb_db_vector_count()", lambda side, _: db_vector_count(side.device)),
    (
        "ntb_db_vector_mask() of vectors 0, 1, 2",
        lambda side, _: _list(hex(db_vector_mask(side.device, vector)) for vector in range(3)),
    ),
    ("vector told for a ring of bit 1", lambda side, _: _reported(side, PROBED_BIT)),
    ("vector told for a ring of the reserved slot", lambda side, _: _reported(side, -1)),
    ("db_read() after a ring of bit 1", lambda side, _: _register(side, [PROBED_BIT])),
    ("tasklets scheduled by a ring of QP 0, 1, ..", _calls),
    (
        "tasklet runs for one packet on QP 0, 1, .. (ntb_netdev)",
        lambda side, setting: _list(_cost(side.driver, setting, Client.REPOSTS).runs),
    ),
    ("slots rung by peer_db_set() of bits 0 and 2", _multi),
)
OWN: dict[Side, tuple[tuple[str, Observe], ...]] = {
    "ep": (
        ("peer_db_set() in atomic context", _context),
        ("configfs write of db_count 2", lambda side, _: _store(side, "db_count", "2")),
        ("configfs write of db_count 33", lambda side, _: _store(side, "db_count", "33")),
        ("bind with db_count 2", lambda side, _: _bind(side, 2)),
        ("bind with db_count 33", lambda side, _: _bind(side, 33)),
        (
            "configfs write after EPC attach",
            lambda side, _: _store(side, "spad_count", "128", attached=True),
        ),
    ),
    "rc": (
        ("vector told for bit 1 with non-contiguous irqs", _scattered),
        (
            "db_read() after rings of bits 0 and 1, bit 0 cleared",
            lambda side, _: _register(side, [0, 1], cleared=1),
        ),
        (f"probe with {TOO_MANY_WINDOWS} windows", _windows),
    ),
}


TICKS = 4000
DOORBELLS = 6  # db_count 8
RATE = 0.2  # rings of one bit in a tick: 1.2 in all, more than the work can raise
GAP_MAX = 15  # ticks of other works between two runs


class _Clocked:
    """The work and what the storm remembers of each ring."""

    def __init__(self, budget: int) -> None:
        self.work = PeerDbWork(self._raised, budget)
        self.work.enable()
        self.tick = 0
        self.msis = 0
        self.longest_run = 0
        self.tick_latency: list[int] = []
        self.snapshot_latency: list[int] = []
        self._in_hand: dict[int, tuple[int, int]] = {}
        self._waiting: dict[int, tuple[int, int]] = {}  # bit: (tick, snapshots to wait for)
        self._run_start = 0

    def ring(self, bit: int) -> None:
        """Ring one bit; it coalesces with one that waits already."""
        self._waiting.setdefault(bit, (self.tick, 1 + bool(self.work.db_bits)))
        self.work.set(1 << bit)

    def step(self) -> bool:
        """Do one step of the work; return whether a run ended with it."""
        running, snapshots = self.work.running, self.work.snapshots
        self.work.step()
        if not running:
            self._run_start = snapshots
        if self.work.snapshots > snapshots:
            self._in_hand, self._waiting = self._waiting, {}
            self.longest_run = max(self.longest_run, self.work.snapshots - self._run_start)
        return running and not self.work.running

    def _raised(self, bit: int) -> None:
        rung, snapshots = self._in_hand.pop(bit)
        self.msis += 1
        self.tick_latency.append(self.tick - rung)
        self.snapshot_latency.append(snapshots)


def storm(budget: int, seed: int) -> StormCount:
    """Run one seeded storm, whose rings do not depend on the budget; InputError: a seed below 0."""
    import numpy as np  # noqa: PLC0415  # no other use of the pair takes the time to load it

    if seed < 0:
        raise InputError("--seed", seed, "0 or more")
    rings_seed, gaps_seed = np.random.SeedSequence(seed).spawn(2)
    rung = np.random.Generator(np.random.PCG64DXSM(rings_seed)).random((TICKS, DOORBELLS)) < RATE
    words = (rung @ (1 << np.arange(DOORBELLS))).tolist()
    gaps = np.random.Generator(np.random.PCG64DXSM(gaps_seed)).integers(0, GAP_MAX + 1, TICKS * 4)
    clocked = _Clocked(budget)
    # The work steps once a tick, after a gap behind each run.
    idle_until, ends = 0, iter(gaps.tolist())
    while clocked.tick < len(words) or clocked.work.running or clocked.work.queued:
        for bit in bits_of(words[clocked.tick] if clocked.tick < len(words) else 0):
            clocked.ring(bit)
        if clocked.tick >= idle_until and clocked.step():
            idle_until = clocked.tick + next(ends)
        clocked.tick += 1
    return StormCount(
        budget=budget,
        rings=int(rung.sum()),
        msis=clocked.msis,
        snapshots=clocked.work.snapshots,
        runs=clocked.work.runs,
        longest_run=clocked.longest_run,
        snapshot_latency_mean=float(np.mean(clocked.snapshot_latency)),
        snapshot_latency_max=max(clocked.snapshot_latency),
        tick_latency_mean=float(np.mean(clocked.tick_latency)),
        tick_latency_max=max(clocked.tick_latency),
    )


SEED = 1


def analyse(setting: Setting, seed: int = SEED) -> PatchesResult:
    """Return all that is known of the series in a setting; InputError: a seed below 0."""
    return PatchesResult(
        **asdict(dependencies(setting)),
        elsewhere=[found for side in SIDES for found in other_settings(side)],
        effects=effects(setting),
        race_costs=race_costs(setting),
        storm_seed=seed,
        storm=[storm(budget, seed) for budget in range(1, 17)],
    )


def race_costs(setting: Setting) -> list[RaceCost]:
    """Return the tasklet runs per doorbell before the series and after it."""
    before = [driver(side, ()) for side in SIDES]
    after = [driver(side, side_patches(side)) for side in SIDES]
    return [
        race_cost(direction, ep, rc, setting, client)
        for direction, client, (ep, rc) in product(DIRECTIONS, Client, (before, after))
    ]
