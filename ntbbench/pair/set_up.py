# SPDX-License-Identifier: BSD-3-Clause
"""What an observer of one side sees at its set-up: the model's answer to each of its questions.

The questions are those of the lab's guest module ntb_observe: masks and vectors, each interrupt
slot rung alone, and each bit rung by the driver. An observation is a key and a value in words.
"""

from collections.abc import Iterator, Mapping
from functools import cache

from ntbbench.pair.behaviour import OneSide
from ntbbench.pair.drivers.kernel_around import DriverError, db_vector_count, db_vector_mask
from ntbbench.pair.drivers.patches import Driver
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell, Vntb, VntbConfig
from ntbbench.pair.drivers.slots import EPF_IRQ_DB_START, U64

Observations = Mapping[str, str]
VECTORS = 33  # one more than any driver reports
RINGS = 14  # bits that both sides have slots for
FEW = "2"  # a db_count without a doorbell: what patch 4 refuses
SEVERAL = "several"
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

    Parameters
    ----------
    slots : as in `OneSide`.
    filled : slots that the endpoint lets the root complex ring: a ring of another one writes 0,
        which nobody sees. None: the wire does not tell which slot is rung.

    Raises
    ------
    DriverError : a driver that refuses its db_count.
    """
    return normalised(_observations(driver, slots, doorbell, filled))


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
            found[key] = SEVERAL
    return found


def _observations(
    driver: Driver, slots: int, doorbell: Doorbell, filled: frozenset[int] | None
) -> dict[str, str]:
    found: dict[str, str] = {}
    if driver.side == "ep":
        config = VntbConfig(driver)
        found[TAKES_FEW] = _takes(config, FEW)
        config.attached = True
        found[TAKES_LATE] = _takes(config, str(slots))
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
        found.update(_rung(side, bits, filled))
    return found


def refusing_observations(driver: Driver) -> Observations:
    """Return what is seen of an endpoint that need not have bound: what its configfs takes."""
    return {TAKES_FEW: _takes(VntbConfig(driver), FEW)}


def _takes(config: VntbConfig, db_count: str) -> str:
    try:
        config.store("db_count", db_count)
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


def _rung(side: OneSide, bits: int, filled: frozenset[int] | None) -> Iterator[tuple[str, str]]:
    errno = side.ring(bits)
    seen = filled
    if isinstance(side.device, Vntb):
        seen = frozenset(side.rung)  # an MSI is seen whatever its number
    if seen is not None:
        slots = (str(slot) for slot in side.rung if slot in seen)
        yield f"peer_db_set({bits:#x}){SLOTS}", " ".join(slots)
    yield f"peer_db_set({bits:#x})", str(errno)
