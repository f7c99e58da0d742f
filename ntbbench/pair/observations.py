# SPDX-License-Identifier: BSD-3-Clause
"""What the lab's guest observes of either driver at its set-up: each answer, a key and its words.

ntb_observe asks for masks and vectors, rings each interrupt slot alone and lets the driver ring
each bit. With `probe` it asks for what no traffic shows: several bits at once, bits outside the
mask, rings that deferred work finds together. ntb_probe asks for link, scratchpads and windows.
"""

import errno
from collections.abc import Iterator, Mapping
from functools import cache

from ntbbench.pair.behaviour import OneSide
from ntbbench.pair.drivers.kernel_around import (
    EPF_IRQ_DB_START,
    SPAD_COUNT,
    U64,
    DriverError,
    db_vector_count,
    db_vector_mask,
    slot_of,
)
from ntbbench.pair.drivers.patches import Driver, Side
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell, Vntb, VntbConfig

Observations = Mapping[str, str]
VECTORS = 33  # one more than any driver reports
RINGS = 14  # bits that both sides have slots for
FEW = "2"  # a db_count without a doorbell: what patch 4 refuses
MANY = (("db_count", "33"), ("num_mws", "5"))  # more than the driver has room for
LATE = ("num_mws", "spad_count", "mw1", "vbus_number")  # patch 5 refuses them after the bind
IN_ANY_ORDER = "several"
TAKES_FEW = f"takes db_count {FEW}"
TAKES_LATE = "takes db_count after the bind"
LOOKS_UP = "irq looked up by the handler"  # a prerequisite's matter: no patch of the series
VECTORS_SEEN, READS, SLOTS = ", vectors", ", db_read in the events", ", slots"
FILLED = "slots filled"
PAIR = "slots 2 and 3, db_read"


@cache
def expected_observations(
    driver: Driver, slots: int, doorbell: Doorbell, filled: frozenset[int] | None
) -> Observations:
    """Return what the observer sees of `driver`.

    slots: as in `OneSide`.
    filled: slots that the endpoint lets the root complex ring: a ring of another one writes 0,
        which nobody sees. None: the wire does not tell which slot is rung.
    DriverError: a driver that refuses its db_count.
    """
    found: dict[str, str] = {}
    if driver.side == "ep":
        config = VntbConfig(driver)
        found[TAKES_FEW] = _takes(config, "db_count", FEW)
        config.attached = True
        found[TAKES_LATE] = _takes(config, "db_count", str(slots))
    side = OneSide(driver, slots, doorbell)
    found["db_valid_mask"] = hex(side.device.db_valid_mask())
    found["db_vector_count"] = str(db_vector_count(side.device))
    for vector in range(VECTORS):
        found[f"db_vector_mask({vector})"] = hex(db_vector_mask(side.device, vector))
    if isinstance(side.device, Vntb):
        filled_now = enumerate(side.device.db_data)
        found[FILLED] = " ".join(str(slot) for slot, data in filled_now if data)
    for slot in range(slots):
        found.update(_served(side, slot))
    found.update(_cleared(side))
    for bits in [1 << bit for bit in range(RINGS)] + [(1 << RINGS) - 1]:
        found.update(_rung(side, filled, bits))
    return normalised(found)


def normalised(observations: Observations) -> Observations:
    """Return observations without what is a driver's own choice: the order of several at once.

    Where one interrupt makes several events, what db_read() shows between them is of that order.
    """
    found = dict(observations)
    for key, value in observations.items():
        words = value.split()
        if key.endswith((VECTORS_SEEN, SLOTS)) and all(
            word.lstrip("-").isdigit() for word in words
        ):
            found[key] = " ".join(sorted(words, key=int))
        elif key.endswith(READS) and len(words) > 1:
            found[key] = IN_ANY_ORDER
    return found


def refusing_observations(driver: Driver) -> Observations:
    """Return what is seen of an endpoint that need not have bound: what its configfs takes."""
    return {TAKES_FEW: _takes(VntbConfig(driver), "db_count", FEW)}


def _takes(config: VntbConfig, attribute: str, text: str) -> str:
    try:
        config.store(attribute, text)
    except DriverError:
        return "no"
    return "yes"


def _served(side: OneSide, slot: int) -> Iterator[tuple[str, str]]:
    side.interrupt(slot)
    yield f"slot {slot}{VECTORS_SEEN}", " ".join(map(str, side.vectors))
    yield f"slot {slot}{READS}", " ".join(map(hex, side.db_reads))
    read = side.device.db_read()
    side.device.db_clear(read)
    yield f"slot {slot}, db_read", hex(read)
    yield f"slot {slot}, db_read after db_clear", hex(side.device.db_read())


def _cleared(side: OneSide) -> Iterator[tuple[str, str]]:
    for slot in (EPF_IRQ_DB_START, EPF_IRQ_DB_START + 1):
        side.interrupt(slot)
    device = side.device
    yield PAIR, hex(device.db_read())
    device.db_clear(1)
    yield f"{PAIR} after db_clear(0x1)", hex(device.db_read())
    device.db_clear(U64)
    yield f"{PAIR} after db_clear of all", hex(device.db_read())


def _rung(side: OneSide, filled: frozenset[int] | None, *rings: int) -> Iterator[tuple[str, str]]:
    refused = side.ring(*rings)
    name = f"peer_db_set({'), then ('.join(map(hex, rings))})"
    seen = filled
    if isinstance(side.device, Vntb):
        seen = frozenset(side.rung)  # an MSI is seen whatever its number
    if seen is not None:
        slots = (str(slot) for slot in side.rung if slot in seen)
        yield name + SLOTS, " ".join(slots)
    yield name, str(refused)


SEVERAL = (0, 2, 4)  # bits that arrive at once
NO_SLOT_BIT = 20  # beyond the slots of the root complex
FAR_BIT = 40  # beyond what ffs() takes
WORK_RINGS = 12  # more than the snapshots that deferred work takes at once
PROBED = "db_set_mask"  # what is asked of every driver that is probed at all
FAR_ADDR, FAR_SIZE = 0x123456789000, 8192  # of a window that leads to no memory
WINDOW_ALIGN = 4096  # pci-epf-vntb.c, ntb_hw_epf.c (mw_get_align): SZ_4K, and a size step of 1


@cache
def expected_probe(
    driver: Driver, slots: int, doorbell: Doorbell, filled: frozenset[int] | None
) -> Observations:
    """Return what a probed driver answers beyond `expected_observations`, whose parameters it has.

    DriverError: a driver that refuses its db_count.
    """
    side = OneSide(driver, slots, doorbell)
    found = dict(_configured(driver)) if driver.side == "ep" else {"irqs not handled": "0"}
    found["db_vector_mask(-1)"] = hex(db_vector_mask(side.device, -1))
    for slot in range(slots):
        side.interrupt(slot)
        found[f"slot {slot}, link events"] = str(side.link_events)
    side.device.db_clear(U64)
    bits = min(RINGS, slots - EPF_IRQ_DB_START)
    for bit in range(1, bits):
        for pair in ((bit, bit - 1), (0, bit)):
            side.interrupt(slot_of(pair[0]))
            side.interrupt(slot_of(pair[1]))
            found["bits {} and {}, db_read as they are cleared".format(*pair)] = _clearing(
                side, *(1 << one for one in pair)
            )
    found.update(_several(side, bits))
    found.update(_masked(side))
    if driver.side == "ep":
        found["peer_db_set from its own work" + SLOTS] = _rung_by_work(side)
    for rings in _rings_probed():
        found.update(_rung(side, filled, *rings))
    return normalised(found)


def _configured(driver: Driver) -> Iterator[tuple[str, str]]:
    """Yield what configfs takes beyond what `expected_observations` has."""
    config = VntbConfig(driver)
    for attribute, text in MANY:
        yield f"takes {attribute} {text}", _takes(config, attribute, text)
    config.attached = True
    late = _takes(config, "spad_count", str(SPAD_COUNT))
    yield from ((f"takes {attribute} after the bind", late) for attribute in LATE)


def _rung_by_work(side: OneSide) -> str:
    side.work_rings = WORK_RINGS
    side.ring(1)
    side.work_rings = 0
    return " ".join(map(str, side.rung))


def _clearing(side: OneSide, *clears: int) -> str:
    """Return what db_read() shows, then after each of `clears`; nothing stays set."""
    reads = [side.device.db_read()]
    for db_bits in clears:
        side.device.db_clear(db_bits)
        reads.append(side.device.db_read())
    side.device.db_clear(U64)
    return " ".join(map(hex, reads))


def _several(side: OneSide, bits: int) -> Iterator[tuple[str, str]]:
    name = "bits 0x15 at once"
    side.interrupt(*(slot_of(bit) for bit in SEVERAL if bit < bits))
    yield name + VECTORS_SEEN, " ".join(map(str, side.vectors))
    several = sum(1 << bit for bit in SEVERAL)
    clears = (1 << 2, U64 & ~several, 1 << 0, 1 << 4)
    yield f"{name}, db_read as they are cleared", _clearing(side, *clears)


def _masked(side: OneSide) -> Iterator[tuple[str, str]]:
    """Yield what a doorbell does while it is masked: neither driver masks any.

    Source: ntb_epf_db_set_mask(), vntb_epf_db_set_mask(): they return 0 and do nothing.
    """
    yield PROBED, "0"
    side.interrupt(slot_of(0))
    yield f"slot 2 masked{VECTORS_SEEN}", " ".join(map(str, side.vectors))
    read = _clearing(side, side.device.db_valid_mask())
    yield "slot 2 masked, db_read as it is cleared", read
    yield "db_clear_mask", "0"
    side.interrupt(slot_of(0))
    pending = hex(side.device.db_read())
    side.device.db_clear(U64)
    yield "slot 2 pending, db_read masked, unmasked", f"{pending} {pending}"
    yield f"slot 2 pending, then masked and unmasked{VECTORS_SEEN}", ""


def _rings_probed() -> Iterator[tuple[int, ...]]:
    """Yield the rings of a probed sender: with two masks the second follows at once."""
    for bit in range(1, RINGS):
        yield (1 << bit | 1 << bit - 1,)
        yield (1 << bit | 1,)
        yield 1 << bit, 1 << bit - 1
        yield 1, 1 << bit
    yield (sum(1 << bit for bit in SEVERAL),)
    yield (1 << 1 | 1 << FAR_BIT,)
    yield (1 << NO_SLOT_BIT,)


def expected_operations(
    side: Side, mw_count: int, window_size: int, mw1_offset: int | None = None
) -> Observations:
    """Return the answers of link, scratchpads and windows: no patch of the series changes one.

    mw_count, window_size: the memory windows, and the bytes of each.
    mw1_offset: bytes in front of the first window, of a host that pci-epf-ntb joins; None: vntb.

    Source: pci-epf-vntb.c (epf_ntb_cmd_handler, vntb_epf_ops) and ntb_hw_epf.c (ntb_epf_ops), Linux
    6.12.95 and 7.3. The endpoint's link_enable() and link_disable() do nothing.
    """
    if mw1_offset is None:
        found = dict(_endpoint_link() if side == "ep" else _host_link())
        found.update(_far_windows(side, mw_count))
    else:
        found = dict(_joined_link())
    if side == "rc":
        beyond = (f"spad_write({SPAD_COUNT})", f"peer_spad_write({SPAD_COUNT})")
        asked = ("spad_write(-1)", *beyond, "mw_count of peer 1")
        found.update(dict.fromkeys(asked, str(-errno.EINVAL)))
    found["spad_count"] = str(SPAD_COUNT)
    for operation in ("spad_read", "spad_write", "peer_spad_read", "peer_spad_write"):
        found[f"{operation}, right"] = str(SPAD_COUNT)
    found["mw_count"] = found["peer_mw_count"] = str(mw_count)
    for window in range(mw_count):
        # mw_get_align() tells the whole BAR: what is in front of the window counts too
        bar = window_size + (mw1_offset or 0 if window == 0 else 0)
        sizes = f"{WINDOW_ALIGN:#x} 0x1 {bar:#x}"
        found[f"mw_get_align({window})"] = f"0 {sizes}"
        found[f"mw_set_trans({window})"] = found[f"mw_clear_trans({window})"] = "0"
        found[f"peer_mw_get_addr({window})"] = f"0 {window_size:#x}"
        found[f"window {window} reaches the peer"] = "yes"
        if side == "rc" and mw1_offset is None:
            found[f"mw_clear_trans({window}), unmapped"] = str(window)
    return found


def _far_windows(side: Side, mw_count: int) -> Iterator[tuple[str, str]]:
    """Yield what becomes of a window whose address has more than 32 bits."""
    for window in range(mw_count):
        far = f"{FAR_ADDR:#x} {FAR_SIZE:#x}"
        if side == "ep":
            yield f"command CONFIGURE_MW({window})", f"1, maps {window} {far}"
            yield f"command TEARDOWN_MW({window})", f"1, unmaps {window}"
        else:
            yield f"mw_set_trans({window}) far, on the wire", far
    if side == "rc":
        yield "mw_set_trans(0) too large", str(-errno.EINVAL)


def _endpoint_link() -> Iterator[tuple[str, str]]:
    commands = {"CONFIGURE_DOORBELL": (0, 0), "LINK_UP": (1, 1), "LINK_DOWN": (1, 0)}
    for command, (events, is_up) in {**commands, "TEARDOWN_DOORBELL": (0, 0)}.items():
        yield f"command {command}, status", "1"
        yield f"command {command}, link events", str(events)
        yield f"command {command}, link_is_up", str(is_up)
    yield "link_enable", "0"
    yield "link_enable, link_is_up", "0"
    yield "link_disable", "0"


def _joined_link() -> Iterator[tuple[str, str]]:
    yield from _is_up()
    for operation, command in (("link_enable", "LINK_UP"), ("link_disable", "LINK_DOWN")):
        yield operation, "0"
        yield f"{operation} does as {command}", "yes"


def _is_up() -> Iterator[tuple[str, str]]:
    for status in ("1", "0"):
        yield f"link status {status}, link_is_up", status


def _host_link() -> Iterator[tuple[str, str]]:
    yield from _is_up()
    for operation, status in (("link_enable", "1"), ("link_disable", "0")):
        yield operation, "0"
        yield f"{operation}, link status", status
