# SPDX-License-Identifier: BSD-3-Clause
"""One ring through both drivers, with everything that can be seen on the way written down."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ntbbench.ntb.transport import QpCount
from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.drivers.core_ops import db_vector_mask
from ntbbench.pair.drivers.hazards import DriverError, Hazard
from ntbbench.pair.drivers.ntb_hw_epf import Epf
from ntbbench.pair.drivers.patches import Driver, Side
from ntbbench.pair.drivers.pci_epf_vntb import Vntb
from ntbbench.pair.setting import Arrive, Direction, Pair, Setting, transport_qps
from ntbbench.pair.wakeups import Client, Transport


@dataclass
class SlotTrace:
    """What the interrupt of one slot did on the receiving side.

    Parameters
    ----------
    slot : the slot on the wire.
    vectors : reported to the NTB core, in order; none if the driver ignored or never saw it.
    masks : `ntb_db_vector_mask()` of each vector.
    db_read : the receiver's doorbell register after it.
    scheduled : QPs that its vectors scheduled, in order, merged ones included.
    """

    slot: int
    vectors: list[int] = field(default_factory=list)
    masks: list[int] = field(default_factory=list)
    db_read: int = 0
    scheduled: list[int] = field(default_factory=list)


@dataclass
class RingTrace:
    """One call of peer_db_set() and all that came of it.

    Parameters
    ----------
    direction, ep, rc, setting, db_bits : what was asked.
    masks : db_valid_mask of either side.
    qps : the QPs of either side's transport.
    refused : the errno of peer_db_set(); None: it returned 0.
    pending : peer_db_pending after the call; None where the driver has none.
    slots : the slots on the wire, in order.
    failed_raises : MSIs that the controller refused, in words.
    runs : QPs of the tasklet runs, in order, race checks included.
    race_checks : QPs whose race check found their bit in db_read().
    reports : hazards met, with where.
    """

    direction: Direction
    ep: Driver
    rc: Driver
    setting: Setting
    db_bits: int
    masks: dict[Side, int] = field(default_factory=dict)
    qps: dict[Side, QpCount] = field(default_factory=dict)
    refused: DriverError | None = None
    pending: int | None = None
    slots: list[SlotTrace] = field(default_factory=list)
    failed_raises: list[str] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    race_checks: list[int] = field(default_factory=list)
    reports: list[tuple[Hazard, str]] = field(default_factory=list)

    @property
    def link_up(self) -> bool:
        """Whether the two transports agree on the number of QPs."""
        return self.qps["ep"].qp_count == self.qps["rc"].qp_count

    @property
    def sender(self) -> Driver:
        """The driver that rings."""
        return self.ep if self.direction == "ep-to-rc" else self.rc

    @property
    def receiver(self) -> Driver:
        """The driver that takes the interrupt."""
        return self.rc if self.direction == "ep-to-rc" else self.ep

    @property
    def rung(self) -> list[int]:
        """The QPs of the receiver that are rung."""
        return bits_of(self.db_bits & self.qps[self.receiver.side].qp_bitmap)

    @property
    def woken(self) -> set[int]:
        """The QPs that were scheduled."""
        return {qp_num for slot in self.slots for qp_num in slot.scheduled}

    @property
    def asleep(self) -> list[int]:
        """The rung QPs that nothing scheduled."""
        return [qp_num for qp_num in self.rung if qp_num not in self.woken]


def ring(
    direction: Direction,
    ep: Driver,
    rc: Driver,
    setting: Setting,
    db_bits: int,
    *,
    irqs: Sequence[int] | None = None,
    client: Client = Client.REPOSTS,
) -> RingTrace:
    """Ring once from atomic context, one packet waiting at each rung QP, and run the tasklets.

    Parameters
    ----------
    direction : who rings.
    ep, rc, setting, irqs : as in `Pair`.
    db_bits : u64, the bits of one peer_db_set() call.
    client : what the receiver's client does with a packet.

    Raises
    ------
    DriverError : a driver that refuses the setting.
    """
    trace = RingTrace(direction, ep, rc, setting, db_bits)

    def event(vector: int) -> None:
        trace.slots[-1].vectors.append(vector)
        trace.slots[-1].masks.append(db_vector_mask(receiver, vector))
        before = len(transport.schedule_calls)
        transport.doorbell_callback(vector)
        trace.slots[-1].scheduled += transport.schedule_calls[before:]

    pair = Pair(ep, rc, setting, ep_event=event, rc_event=event, irqs=irqs)
    ends: tuple[Vntb | Epf, Vntb | Epf] = pair.ep, pair.rc
    sender, receiver = ends if direction == "ep-to-rc" else ends[::-1]
    for device in ends:
        mask = device.db_valid_mask()
        trace.masks[device.driver.side] = mask
        trace.qps[device.driver.side] = transport_qps(mask, setting.mw_count)
    qp_bitmap = trace.qps[receiver.driver.side].qp_bitmap
    transport = Transport(receiver, qp_bitmap, client, packets=dict.fromkeys(trace.rung, 1))
    pair.on_slot = lambda slot, arrive: _arrive(trace, receiver, slot, arrive)
    _send(trace, sender)
    transport.softirq()
    trace.runs, trace.race_checks = transport.runs, transport.race_checks
    trace.failed_raises = pair.ep.failed_raises
    trace.reports = pair.ep.sanitizer.reports + pair.rc.sanitizer.reports
    return trace


def _arrive(trace: RingTrace, receiver: Vntb | Epf, slot: int, arrive: Arrive) -> None:
    trace.slots.append(SlotTrace(slot))
    arrive(slot)
    if isinstance(receiver, Vntb):
        receiver.poll()
    trace.slots[-1].db_read = receiver.db_read()


def _send(trace: RingTrace, sender: Vntb | Epf) -> None:
    try:
        with sender.sanitizer.atomic():
            sender.peer_db_set(trace.db_bits)
    except DriverError as error:
        trace.refused = error
    if isinstance(sender, Vntb) and sender.driver.has(2):
        trace.pending = sender.peer_db_work.pending
        sender.run_peer_db_work()
