# SPDX-License-Identifier: BSD-3-Clause
"""What can be seen of one driver from outside, and what each patch changes of it."""

from collections.abc import Callable

from msgspec import Struct

from ntbbench.pair.drivers.core_ops import db_vector_count, db_vector_mask
from ntbbench.pair.drivers.hazards import DriverError, Hazard
from ntbbench.pair.drivers.ntb_hw_epf import Epf, contiguous_irqs, scattered_irqs
from ntbbench.pair.drivers.patches import PATCHES, Driver, Side, prefix, side_patches
from ntbbench.pair.drivers.pci_epf_vntb import Vntb
from ntbbench.pair.drivers.slots import MW_COUNT_MAX
from ntbbench.pair.series.race_check import race_cost
from ntbbench.pair.setting import Direction, Setting, bound_vntb, probed_epf, transport_qps
from ntbbench.pair.wakeups import Client

NOTHING = "nothing"
TOO_MANY_WINDOWS = MW_COUNT_MAX + 1
PROBED_BIT = 1  # bit 0 hides some of the legacy's wrong bits
MULTI_BITS = 0b101


class Change(Struct, frozen=True, kw_only=True):
    """One thing that can be seen, before and after a patch."""

    what: str
    before: str
    after: str


class PatchEffect(Struct, frozen=True, kw_only=True):
    """What becomes observable with one patch, on top of those before it in the series."""

    patch: int
    side: str
    subject: str
    changes: list[Change]


Observe = Callable[[Driver, Setting], str]


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
            (what, observe(before, setting), observe(after, setting))
            for what, observe in OBSERVED[patch.side]
        ]
        changes = [Change(what=w, before=b, after=a) for w, b, a in pairs if a != b]
        found.append(
            PatchEffect(patch=patch.number, side=patch.side, subject=patch.subject, changes=changes)
        )
    return found


# Both sides.


def _mask(driver: Driver, setting: Setting) -> str:
    return f"{_device(driver, setting).db_valid_mask():#x}"


def _qps(driver: Driver, setting: Setting) -> str:
    mask = _device(driver, setting).db_valid_mask()
    return f"{transport_qps(mask, setting.mw_count).qp_count} of {mask.bit_length() - 1}"


def _vector_count(driver: Driver, setting: Setting) -> str:
    return str(db_vector_count(_device(driver, setting)))


def _vector_masks(driver: Driver, setting: Setting) -> str:
    device = _device(driver, setting)
    return ", ".join(f"{db_vector_mask(device, vector):#x}" for vector in range(3))


def _reported(driver: Driver, setting: Setting) -> str:
    return _told(driver, setting, driver.db_start + PROBED_BIT)


def _reserved(driver: Driver, setting: Setting) -> str:
    return _told(driver, setting, driver.db_start - 1)


def _register(driver: Driver, setting: Setting) -> str:
    device = _device(driver, setting)
    _interrupt(device, driver.db_start + PROBED_BIT)
    return f"{device.db_read():#x}"


def _calls(driver: Driver, setting: Setting) -> str:
    """Return how many tasklets one doorbell schedules: the runs that are no race check."""
    cost = race_cost(*_facing(driver), setting, Client.SILENT)
    per_qp = (runs - hits for runs, hits in zip(cost.runs, cost.race_checks, strict=True))
    return ", ".join(map(str, per_qp))


def _runs(driver: Driver, setting: Setting) -> str:
    return ", ".join(map(str, race_cost(*_facing(driver), setting, Client.REPOSTS).runs))


def _multi(driver: Driver, setting: Setting) -> str:
    slots: list[int] = []
    if driver.side == "rc":
        epf = probed_epf(driver, contiguous_irqs(setting.rc_vectors), _ignore, slots.append)
        epf.peer_db_set(MULTI_BITS)
    else:
        vntb = bound_vntb(
            driver, setting.ep_slots, setting.doorbell, _ignore, lambda msi: slots.append(msi - 1)
        )
        vntb.peer_db_set(MULTI_BITS)
        vntb.run_peer_db_work()
    return ", ".join(map(str, slots))


# The endpoint alone.


def _context(driver: Driver, setting: Setting) -> str:
    vntb = bound_vntb(driver, setting.ep_slots, setting.doorbell, _ignore, _ignore)
    with vntb.sanitizer.atomic():
        vntb.peer_db_set(1)
    vntb.run_peer_db_work()
    return str(Hazard.SLEEPS) if Hazard.SLEEPS in vntb.sanitizer.hazards else "does not sleep"


def _store(db_count: int) -> Observe:
    def observe(driver: Driver, setting: Setting) -> str:
        vntb = Vntb(driver, setting.doorbell, _ignore, _ignore)
        return _errno(lambda: vntb.config.store("db_count", str(db_count)))

    return observe


def _bind(db_count: int) -> Observe:
    def observe(driver: Driver, setting: Setting) -> str:
        vntb = Vntb(driver, setting.doorbell, _ignore, _ignore)
        vntb.config.db_count = db_count
        return _errno(vntb.bind)

    return observe


def _late_store(driver: Driver, setting: Setting) -> str:
    vntb = bound_vntb(driver, setting.ep_slots, setting.doorbell, _ignore, _ignore)
    return _errno(lambda: vntb.config.store("spad_count", "128"))


# The root complex alone.


def _scattered(driver: Driver, setting: Setting) -> str:
    told: list[int] = []
    epf = probed_epf(driver, scattered_irqs(setting.rc_vectors), told.append, _ignore)
    epf.isr(driver.db_start + PROBED_BIT)
    return ", ".join(map(str, told)) or NOTHING


def _windows(driver: Driver, setting: Setting) -> str:
    epf = Epf(driver, contiguous_irqs(setting.rc_vectors), _ignore, _ignore)
    return f"{_errno(lambda: epf.probe(TOO_MANY_WINDOWS))}, {len(epf.requested)} irqs left behind"


def _cleared(driver: Driver, setting: Setting) -> str:
    epf = probed_epf(driver, contiguous_irqs(setting.rc_vectors), _ignore, _ignore)
    for bit in range(2):
        epf.isr(driver.db_start + bit)
    epf.db_clear(1)
    return f"{epf.db_read():#x}"


BOTH: tuple[tuple[str, Observe], ...] = (
    ("db_valid_mask", _mask),
    ("QPs of ntb_transport, of those that the mask allows", _qps),
    ("ntb_db_vector_count()", _vector_count),
    ("ntb_db_vector_mask() of vectors 0, 1, 2", _vector_masks),
    ("vector told for a ring of bit 1", _reported),
    ("vector told for a ring of the reserved slot", _reserved),
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


def _ignore(_: int) -> None:
    """Take a vector, an MSI or a slot and do nothing."""


def _device(driver: Driver, setting: Setting) -> Epf | Vntb:
    if driver.side == "ep":
        return bound_vntb(driver, setting.ep_slots, setting.doorbell, _ignore, _ignore)
    return probed_epf(driver, contiguous_irqs(setting.rc_vectors), _ignore, _ignore)


def _interrupt(device: Epf | Vntb, slot: int) -> None:
    if isinstance(device, Epf):
        device.isr(slot)
    else:
        device.write_doorbell(slot)
        device.poll()


def _told(driver: Driver, setting: Setting, slot: int) -> str:
    told: list[int] = []
    device: Epf | Vntb
    if driver.side == "ep":
        device = bound_vntb(driver, setting.ep_slots, setting.doorbell, told.append, _ignore)
    else:
        device = probed_epf(driver, contiguous_irqs(setting.rc_vectors), told.append, _ignore)
    _interrupt(device, slot)
    return ", ".join(map(str, told)) or NOTHING


def _facing(driver: Driver) -> tuple[Direction, Driver, Driver]:
    """Return the direction in which `driver` receives, with an unpatched peer."""
    if driver.side == "ep":
        return "rc-to-ep", driver, prefix("rc", 0)
    return "ep-to-rc", prefix("ep", 0), driver


def _errno(call: Callable[[], None]) -> str:
    try:
        call()
    except DriverError as error:
        return f"-{error.name}"
    return "0"
