# SPDX-License-Identifier: BSD-3-Clause
"""What can be seen of one driver from outside, and what each patch changes of it."""

from collections.abc import Callable

from ntbbench.pair.behaviour import OneSide
from ntbbench.pair.drivers.core_ops import db_vector_count, db_vector_mask
from ntbbench.pair.drivers.hazards import DriverError, Hazard
from ntbbench.pair.drivers.ntb_hw_epf import Epf, contiguous_irqs, scattered_irqs
from ntbbench.pair.drivers.patches import PATCHES, Driver, Side, prefix, side_patches
from ntbbench.pair.drivers.pci_epf_vntb import Vntb
from ntbbench.pair.drivers.slots import MW_COUNT_MAX
from ntbbench.pair.records import Change, PatchEffect, RaceCost
from ntbbench.pair.ring_trace import ring
from ntbbench.pair.series.verdict import setting_traits
from ntbbench.pair.setting import Direction, Setting, transport_qps
from ntbbench.pair.wakeups import Client

TOO_MANY_WINDOWS = MW_COUNT_MAX + 1
PROBED_BIT = 1  # bit 0 hides some of the legacy's wrong bits
MULTI_BITS = 0b101

Observe = Callable[[Driver, Setting], object]


def effects(setting: Setting) -> list[PatchEffect]:
    """Return for each patch of the series what it changes, in posted order.

    Raises
    ------
    DriverError : a driver that refuses the setting.
    """
    found = []
    for patch in PATCHES:
        place = side_patches(patch.side).index(patch.number)
        before, after = prefix(patch.side, place), prefix(patch.side, place + 1)
        pairs = [
            (what, str(observe(before, setting)), str(observe(after, setting)))
            for what, observe in OBSERVED[patch.side]
        ]
        changes = [Change(what=w, before=b, after=a) for w, b, a in pairs if a != b]
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

    Raises
    ------
    DriverError : a driver that refuses the setting.
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


def _one_side(driver: Driver, setting: Setting) -> OneSide:
    return OneSide(driver, setting.slots_of(driver.side), setting.doorbell)


def _list(numbers: list[int], nothing: str = "") -> str:
    return ", ".join(map(str, numbers)) or nothing


# Both sides.


def _mask(driver: Driver, setting: Setting) -> str:
    return f"{_one_side(driver, setting).device.db_valid_mask():#x}"


def _qps(driver: Driver, setting: Setting) -> str:
    mask = _one_side(driver, setting).device.db_valid_mask()
    return f"{transport_qps(mask, setting.mw_count).qp_count} of {mask.bit_length() - 1}"


def _vector_count(driver: Driver, setting: Setting) -> int:
    return db_vector_count(_one_side(driver, setting).device)


def _vector_masks(driver: Driver, setting: Setting) -> str:
    device = _one_side(driver, setting).device
    return ", ".join(f"{db_vector_mask(device, vector):#x}" for vector in range(3))


def _reported(place: int) -> Observe:
    """Return the observation of the vectors that the slot at `place` of the doorbells reports."""

    def observe(driver: Driver, setting: Setting) -> str:
        side = _one_side(driver, setting)
        side.interrupt(driver.db_start + place)
        return _list(side.vectors, "nothing")

    return observe


def _register(driver: Driver, setting: Setting) -> str:
    side = _one_side(driver, setting)
    side.interrupt(driver.db_start + PROBED_BIT)
    return f"{side.device.db_read():#x}"


def _cost(driver: Driver, setting: Setting, client: Client) -> RaceCost:
    """Return the cost of a doorbell that `driver` takes from an unpatched peer."""
    if driver.side == "ep":
        return race_cost("rc-to-ep", driver, prefix("rc", 0), setting, client)
    return race_cost("ep-to-rc", prefix("ep", 0), driver, setting, client)


def _calls(driver: Driver, setting: Setting) -> str:
    """Return how many tasklets one doorbell schedules: the runs that are no race check."""
    cost = _cost(driver, setting, Client.SILENT)
    return _list([runs - hits for runs, hits in zip(cost.runs, cost.race_checks, strict=True)])


def _runs(driver: Driver, setting: Setting) -> str:
    return _list(_cost(driver, setting, Client.REPOSTS).runs)


def _multi(driver: Driver, setting: Setting) -> str:
    side = _one_side(driver, setting)
    side.ring(MULTI_BITS)
    return _list(side.rung)


# The endpoint alone.


def _context(driver: Driver, setting: Setting) -> str:
    side = _one_side(driver, setting)
    side.ring(1)
    return str(Hazard.SLEEPS) if Hazard.SLEEPS in side.hazards else "does not sleep"


def _vntb(driver: Driver, setting: Setting) -> Vntb:
    return Vntb(driver, setting.doorbell, _ignore, _ignore)


def _store(db_count: int) -> Observe:
    return lambda driver, setting: _errno(
        _vntb(driver, setting).config.store, "db_count", str(db_count)
    )


def _bind(db_count: int) -> Observe:
    def observe(driver: Driver, setting: Setting) -> str:
        vntb = _vntb(driver, setting)
        vntb.config.db_count = db_count
        return _errno(vntb.bind)

    return observe


def _late_store(driver: Driver, setting: Setting) -> str:
    vntb = _vntb(driver, setting)
    vntb.config.store("db_count", str(setting.ep_slots))
    vntb.bind()
    return _errno(vntb.config.store, "spad_count", "128")


# The root complex alone.


def _scattered(driver: Driver, setting: Setting) -> str:
    side = OneSide(driver, setting.rc_vectors, irqs=scattered_irqs)
    side.interrupt(driver.db_start + PROBED_BIT)
    return _list(side.vectors, "nothing")


def _windows(driver: Driver, setting: Setting) -> str:
    epf = Epf(driver, contiguous_irqs(setting.rc_vectors), _ignore, _ignore)
    return f"{_errno(epf.probe, TOO_MANY_WINDOWS)}, {len(epf.requested)} irqs left behind"


def _cleared(driver: Driver, setting: Setting) -> str:
    side = _one_side(driver, setting)
    for bit in range(2):
        side.interrupt(driver.db_start + bit)
    side.device.db_clear(1)
    return f"{side.device.db_read():#x}"


def _ignore(_: int) -> None:
    """Take a vector, an MSI or a slot and do nothing."""


def _errno(call: Callable[..., None], *words: object) -> str:
    try:
        call(*words)
    except DriverError as error:
        return f"-{error.name}"
    return "0"


BOTH: tuple[tuple[str, Observe], ...] = (
    ("db_valid_mask", _mask),
    ("QPs of ntb_transport, of those that the mask allows", _qps),
    ("ntb_db_vector_count()", _vector_count),
    ("ntb_db_vector_mask() of vectors 0, 1, 2", _vector_masks),
    ("vector told for a ring of bit 1", _reported(PROBED_BIT)),
    ("vector told for a ring of the reserved slot", _reported(-1)),
    ("db_read() after a ring of bit 1", _register),
    ("tasklets scheduled by a ring of QP 0, 1, ..", _calls),
    ("tasklet runs for one packet on QP 0, 1, .. (ntb_netdev)", _runs),
    ("slots rung by peer_db_set() of bits 0 and 2", _multi),
)
OBSERVED: dict[Side, tuple[tuple[str, Observe], ...]] = {
    "ep": (
        *BOTH,
        ("peer_db_set() in atomic context", _context),
        ("configfs write of db_count 2", _store(2)),
        ("configfs write of db_count 33", _store(33)),
        ("bind with db_count 2", _bind(2)),
        ("bind with db_count 33", _bind(33)),
        ("configfs write after EPC attach", _late_store),
    ),
    "rc": (
        *BOTH,
        ("vector told for bit 1 with non-contiguous irqs", _scattered),
        ("db_read() after rings of bits 0 and 1, bit 0 cleared", _cleared),
        (f"probe with {TOO_MANY_WINDOWS} windows", _windows),
    ),
}
