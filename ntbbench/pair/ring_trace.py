# SPDX-License-Identifier: BSD-3-Clause
"""One ring through both drivers, with everything that can be seen on the way written down."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ntbbench.core.errors import InputError
from ntbbench.ntb.transport import QpCount
from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.drivers.core_ops import db_vector_mask
from ntbbench.pair.drivers.hazards import DriverError, Hazard
from ntbbench.pair.drivers.ntb_hw_epf import Epf
from ntbbench.pair.drivers.patches import Driver
from ntbbench.pair.drivers.pci_epf_vntb import Vntb
from ntbbench.pair.drivers.slots import U64_BITS
from ntbbench.pair.setting import Arrive, Direction, Pair, Setting, transport_qps
from ntbbench.pair.wakeups import Client, Transport


@dataclass
class SlotTrace:
    """What the interrupt of one slot did on the receiving side.

    Parameters
    ----------
    slot : the slot on the wire.
    vectors : told to the NTB core, in order; none if the driver ignored or never saw it.
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
    ep_mask, rc_mask : db_valid_mask of either side.
    ep_qps, rc_qps : the transports' QPs.
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
    ep_mask: int = 0
    rc_mask: int = 0
    ep_qps: QpCount | None = None
    rc_qps: QpCount | None = None
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
        return self.qp_counts[0] == self.qp_counts[1]

    @property
    def qp_counts(self) -> tuple[int, int]:
        """The QPs of the endpoint's and the root complex's transport."""
        ep, rc = self.ep_qps, self.rc_qps
        return (ep.qp_count if ep else 0, rc.qp_count if rc else 0)

    @property
    def sender(self) -> Driver:
        """The driver that rings."""
        return self.ep if self.direction == "ep-to-rc" else self.rc

    @property
    def receiver(self) -> Driver:
        """The driver that takes the interrupt."""
        return self.rc if self.direction == "ep-to-rc" else self.ep

    @property
    def receiver_qps(self) -> int:
        """The qp_bitmap above the receiver."""
        qps = self.rc_qps if self.direction == "ep-to-rc" else self.ep_qps
        return qps.qp_bitmap if qps else 0


class _Receiver:
    """The core and the transport above the receiving driver, logging slot by slot."""

    def __init__(self, trace: RingTrace) -> None:
        self.trace = trace
        self.transport: Transport | None = None
        self.current: SlotTrace | None = None

    def db_event(self, vector: int) -> None:
        """Take ntb_db_event()."""
        if self.transport is None or self.current is None:
            return
        before = len(self.transport.schedule_calls)
        self.current.vectors.append(vector)
        self.current.masks.append(db_vector_mask(self.transport.ndev, vector))
        self.transport.doorbell_callback(vector)
        self.current.scheduled += self.transport.schedule_calls[before:]


def check_bits(db_bits: int, sender: Driver, db_valid_mask: int) -> None:
    """Raise InputError for bits that the sender's driver does not call doorbells."""
    if not 0 < db_bits < 1 << U64_BITS:
        raise InputError("--bits", hex(db_bits), "at least one bit of 0 .. 63")
    # ntb_hw_epf answers for itself, with EINVAL.
    if sender.side == "ep" and db_bits & ~db_valid_mask:
        outside = bits_of(db_bits & ~db_valid_mask)
        raise InputError(
            "--bits",
            ",".join(map(str, outside)),
            f"outside the endpoint's db_valid_mask {db_valid_mask:#x}",
        )


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
    InputError : bits that the sending endpoint does not have.
    """
    trace = RingTrace(direction, ep, rc, setting, db_bits)
    above = _Receiver(trace)
    pair = Pair(ep, rc, setting, ep_event=above.db_event, rc_event=above.db_event, irqs=irqs)
    receiver: Vntb | Epf = pair.rc if direction == "ep-to-rc" else pair.ep
    _probe(trace, pair)
    check_bits(db_bits, trace.sender, trace.ep_mask)
    above.transport = Transport(receiver, trace.receiver_qps, client)
    above.transport.packets = dict.fromkeys(bits_of(db_bits & trace.receiver_qps), 1)
    pair.on_slot = lambda slot, arrive: _log_slot(above, receiver, slot, arrive)
    _send(trace, pair)
    above.transport.softirq()
    trace.runs = above.transport.runs
    trace.race_checks = above.transport.race_checks
    trace.failed_raises = pair.ep.failed_raises
    trace.reports = pair.ep.sanitizer.reports + pair.rc.sanitizer.reports
    return trace


def _probe(trace: RingTrace, pair: Pair) -> None:
    """Let ntb_transport count its QPs on both sides."""
    trace.ep_mask, trace.rc_mask = pair.ep.db_valid_mask(), pair.rc.db_valid_mask()
    trace.ep_qps = transport_qps(trace.ep_mask, trace.setting.mw_count)
    trace.rc_qps = transport_qps(trace.rc_mask, trace.setting.mw_count)


def _log_slot(above: _Receiver, receiver: Vntb | Epf, slot: int, arrive: Arrive) -> None:
    above.current = SlotTrace(slot)
    above.trace.slots.append(above.current)
    arrive(slot)
    if isinstance(receiver, Vntb):
        receiver.poll()
    above.current.db_read = receiver.db_read()


def _send(trace: RingTrace, pair: Pair) -> None:
    sender = pair.ep if trace.direction == "ep-to-rc" else pair.rc
    try:
        with sender.sanitizer.atomic():
            sender.peer_db_set(trace.db_bits)
    except DriverError as error:
        trace.refused = error
    if isinstance(sender, Vntb) and sender.driver.has(2):
        trace.pending = sender.peer_db_work.pending
        sender.run_peer_db_work()
