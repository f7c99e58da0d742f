# SPDX-License-Identifier: BSD-3-Clause
"""What one side does, as seen from its wire: found by running its driver, ring by ring.

A verdict on a pair needs no more than this of either side, so it can be computed for thousands
of settings: each driver runs once for each number of slots, not once for each pair. The lab's
guest module ntb_observe asks the same of a real driver: masks and vectors, each interrupt slot
rung alone, each bit rung by the driver. An observation is a key and a value in words.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from ntbbench.pair.drivers.kernel_around import (
    EP_DB_COUNT_MAX,
    EPF_IRQ_DB_START,
    MW_COUNT_MAX,
    U64,
    U64_BITS,
    DriverError,
    Hazard,
    db_vector_count,
    db_vector_mask,
)
from ntbbench.pair.drivers.ntb_hw_epf import Epf, contiguous_irqs, scattered_irqs
from ntbbench.pair.drivers.patches import Driver
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell, Vntb, VntbConfig
from ntbbench.pair.setting import bound_vntb, probed_epf, ring_in_atomic

QP_BITS = MW_COUNT_MAX  # QPs that the pair's windows can give: ntb_transport rings their bits only
RESERVED_SLOTS = EPF_IRQ_DB_START  # bit b rings slot b + 2, so qp_count bits touch qp_count + 2
# db_counts that someone may write after attach: the largest that patch 4 accepts, and one that
# no shift of a u64 survives.
REWRITTEN_DB_COUNTS = (EP_DB_COUNT_MAX, U64_BITS + 1)


class OneSide:
    """One driver, set up; its core and its wire write down what it does.

    slots: the slots of that side, link and reserved included: the endpoint's db_count, or the
        vectors granted to the root complex.
    doorbell: how rings reach the endpoint; without effect on the root complex.
    irqs: gives the Linux irq numbers of the root complex's vectors.
    DriverError: a driver that refuses its slots.
    """

    def __init__(
        self,
        driver: Driver,
        slots: int,
        doorbell: Doorbell = Doorbell.POLL,
        irqs: Callable[[int], tuple[int, ...]] = contiguous_irqs,
    ) -> None:
        self.driver = driver
        self.vectors: list[int] = []  # reported to the core by the last interrupt
        self.masks: list[int] = []  # the core's ntb_db_vector_mask() of each
        self.db_reads: list[int] = []  # what db_read() then shows
        self.rung: list[int] = []  # the slots of the last ring
        self.device: Epf | Vntb
        if driver.side == "ep":
            self.device = bound_vntb(driver, slots, doorbell, self._event, self._raise_msi)
        else:
            self.device = probed_epf(driver, irqs(slots), self._event, self.rung.append)

    def _event(self, vector: int) -> None:
        self.vectors.append(vector)
        self.masks.append(db_vector_mask(self.device, vector))
        self.db_reads.append(self.device.db_read())

    def _raise_msi(self, number: int) -> None:
        self.rung.append(number - 1)

    @property
    def hazards(self) -> frozenset[Hazard]:
        """The hazards met so far."""
        return self.device.sanitizer.hazards

    def interrupt(self, slot: int) -> None:
        """Let the interrupt of a slot arrive, if there is one."""
        for seen in (self.vectors, self.masks, self.db_reads):
            seen.clear()
        if isinstance(self.device, Vntb):
            self.device.write_doorbell(slot)
            self.device.poll()
        elif slot < len(self.device.irqs):
            self.device.isr(slot)

    def ring(self, db_bits: int) -> int:
        """Ring as ntb_transport does, from atomic context; return 0 or a negative errno."""
        self.rung.clear()
        refused = ring_in_atomic(self.device, db_bits)
        if refused is not None:
            return -refused.code
        if isinstance(self.device, Vntb):
            self.device.run_peer_db_work()
        return 0


@dataclass(frozen=True)
class Sending:
    """What a side does when ntb_transport rings one bit."""

    # for bits 0 .. QP_BITS-1, the slots that the wire carries; () after an errno
    slots: tuple[tuple[int, ...], ...]
    hazards: frozenset[Hazard]  # met while ringing; `sending_hazards` looks for more


@dataclass(frozen=True)
class Receiving:
    """What a side does with the interrupt of each slot."""

    # for slots 0 .. QP_BITS+1, `ntb_db_vector_mask()` of each vector that the interrupt
    # reports, in order; None where nothing reaches the NTB core
    masks: tuple[tuple[int, ...] | None, ...]
    db_reads: tuple[int, ...]  # for the same slots, db_read() after the interrupt, nothing cleared
    fallback: bool  # the core falls back to db_valid_mask
    hazards: frozenset[Hazard]  # met while receiving; `receiving_hazards` looks for more


@cache
def valid_mask(driver: Driver, slots: int) -> int:
    """Return the db_valid_mask of one side; `slots` as of `OneSide`."""
    return OneSide(driver, slots).device.db_valid_mask()


@cache
def sending(driver: Driver, slots: int) -> Sending:
    """Run the sending half of one side: each bit alone."""
    side = OneSide(driver, slots)
    rung = []
    for bit in range(QP_BITS):
        side.ring(1 << bit)
        rung.append(tuple(side.rung))
    return Sending(tuple(rung), side.hazards)


@cache
def sending_hazards(driver: Driver, slots: int) -> frozenset[Hazard]:
    """Return the hazards of ringing one bit, several at once, and after a late configfs write."""
    side = OneSide(driver, slots)
    side.ring(side.device.db_valid_mask())
    hazards = sending(driver, slots).hazards | side.hazards
    for other in _rewritten(driver, slots, Doorbell.POLL):
        other.ring(1)
        hazards |= other.hazards
    return hazards


@cache
def receiving(driver: Driver, slots: int, doorbell: Doorbell) -> Receiving:
    """Run the receiving half of one side: the interrupt of each slot alone."""
    side = OneSide(driver, slots, doorbell)
    masks: list[tuple[int, ...] | None] = []
    db_reads = []
    for slot in range(QP_BITS + RESERVED_SLOTS):
        side.interrupt(slot)
        masks.append(tuple(side.masks) or None)
        db_reads.append(side.device.db_read())
        side.device.db_clear(U64)
    return Receiving(tuple(masks), tuple(db_reads), not side.device.has_vector_ops, side.hazards)


@cache
def receiving_hazards(driver: Driver, slots: int, doorbell: Doorbell) -> frozenset[Hazard]:
    """Return the hazards of being rung, also with scattered irqs or a late configfs write.

    A wrong bit in db_read() is not among them: it depends on what the peer rings.
    """
    hazards = receiving(driver, slots, doorbell).hazards
    for vntb in _rewritten(driver, slots, doorbell):
        vntb.interrupt(driver.db_start)
        hazards |= vntb.hazards
    if driver.side == "ep":
        return hazards
    epf = OneSide(driver, slots, irqs=scattered_irqs)
    for slot in range(driver.db_start, slots):
        epf.interrupt(slot)
    return hazards | epf.hazards


def _rewritten(driver: Driver, slots: int, doorbell: Doorbell) -> Iterator[OneSide]:
    """Yield endpoints whose db_count was written again after attach, where that is accepted."""
    for db_count in REWRITTEN_DB_COUNTS if driver.side == "ep" else ():
        side = OneSide(driver, slots, doorbell)
        if isinstance(side.device, Vntb):
            try:
                side.device.config.store("db_count", str(db_count))
            except DriverError:
                continue
            yield side


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

    slots: as in `OneSide`.
    filled: slots that the endpoint lets the root complex ring: a ring of another one writes 0,
        which nobody sees. None: the wire does not tell which slot is rung.
    DriverError: a driver that refuses its db_count.
    """
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
            found[key] = SEVERAL
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
