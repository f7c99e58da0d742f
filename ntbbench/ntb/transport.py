# SPDX-License-Identifier: BSD-3-Clause
"""How many queue pairs ntb_transport makes of a device, and how many ntb_netdev gets."""

from dataclasses import dataclass

from ntbbench.ntb.vectormap import bits_of

NTB_TRANSPORT_MIN_SPADS = 6  # drivers/ntb/ntb_transport.c: MW0_SZ_HIGH + 2
MW0_SZ_HIGH = 4  # drivers/ntb/ntb_transport.c: the first scratchpad of the window sizes
SPADS_A_WINDOW = 2  # a window's size is 64 bits, a scratchpad 32
SPADS_AN_MSI = 2  # an MSI descriptor: address offset and data
QP_COUNT_MAX = 64  # qp_bitmap is a u64
UINT_BITS = 32  # qp_count is an unsigned int and wraps below 0
CLIENTS_MAX = (1 << UINT_BITS) - 1  # max_num_clients is an unsigned int


@dataclass(frozen=True)
class QpCount:
    """The queue pairs of one transport and the limit that decided their number."""

    qp_count: int  # QPs in `qp_bitmap`, that is QPs that a client can get
    limit: str  # the limit that decided, with its numbers
    qp_bitmap: int  # u64, one bit a QP; QP n rings doorbell bit n
    use_msi: bool  # use_msi was asked for and the device has a window to spare for it
    msi_qp_count: int | None  # QPs whose MSI descriptor fits into the scratchpads; None: no limit


def qp_count(
    db_valid_mask: int,
    *,
    mw_count: int | None,
    spad_count: int | None,
    use_msi: bool,
    max_num_clients: int,
) -> QpCount:
    """Return the queue pairs that ntb_transport makes of a device.

    db_valid_mask: u64 mask of the doorbell bits.
    mw_count: outbound memory windows; None: unlimited.
    spad_count: scratchpads; None: unlimited.
    use_msi: the module parameter; it takes effect on a device with more than one window only.
    max_num_clients: the module parameter; 0: unset.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_probe, ntb_transport_setup_qp_msi),
    Linux 6.12 and 7.3. `ilog2()` leaves the highest doorbell bit unused. max_num_clients applies
    where it is the smaller number, and then the windows are not looked at. qp_count is unsigned
    and wraps: with an empty db_valid_mask the QPs exist, but none is in qp_bitmap.

    Deviates: `qp_count` counts the QPs of qp_bitmap, which clients can get; with holes in the mask
    the kernel's number is larger. A wrapped count without a limit is ENOMEM there, no QP here.
    """
    if spad_count is not None and spad_count < NTB_TRANSPORT_MIN_SPADS:
        few = f"{spad_count} scratchpads, at least {NTB_TRANSPORT_MIN_SPADS} needed"
        return QpCount(0, f"ntb_transport does not bind (EINVAL): {few}", 0, False, None)
    msi = use_msi and (mw_count is None or mw_count > 1)
    windows, windows_limit = memory_windows(mw_count, spad_count, msi)
    count = (db_valid_mask.bit_length() - 1 - msi) % (1 << UINT_BITS)
    limit = _doorbell_limit(db_valid_mask, msi)
    if max_num_clients and max_num_clients < count:
        count, limit = max_num_clients, f"max_num_clients = {max_num_clients}"
    elif windows is not None and windows < count:
        count, limit = windows, windows_limit
    bitmap = db_valid_mask & ((1 << count) - 1) if count <= QP_COUNT_MAX else 0
    if not bitmap and count:
        limit = _doorbell_limit(db_valid_mask, msi)
    fitting = None
    if spad_count is not None and windows is not None:
        free = spad_count - MW0_SZ_HIGH - windows * SPADS_A_WINDOW
        fitting = max(free, 0) // SPADS_AN_MSI
    return QpCount(bitmap.bit_count(), limit, bitmap, msi, fitting)


def memory_windows(
    mw_count: int | None, spad_count: int | None, msi: bool
) -> tuple[int | None, str]:
    """Return how many windows carry QPs (None: no limit) and the words for that limit."""
    limits: list[tuple[int, str]] = []
    if mw_count is not None:
        used = f"mw_count {mw_count}" + (", the last one kept for MSI" if msi else "")
        limits.append((mw_count - msi, used))
    if spad_count is not None:
        by_spads = (spad_count - MW0_SZ_HIGH) // SPADS_A_WINDOW
        limits.append((by_spads, f"{spad_count} scratchpads hold the sizes of {by_spads}"))
    if not limits:
        return None, ""
    windows, why = min(limits)
    return windows, f"{windows} memory window{'s' * (windows != 1)} ({why})"


def _doorbell_limit(db_valid_mask: int, msi: bool) -> str:
    if not db_valid_mask:
        return "doorbell bits: db_valid_mask is 0"
    usable = db_valid_mask.bit_length() - 1
    text = f"doorbell bits: ilog2(db_valid_mask {db_valid_mask:#x}) = {usable}"
    return text + (", 1 of them for use_msi" if msi else "")


TX_STOP = 5  # drivers/net/ntb_netdev.c: free entries below which a queue stops
TX_START = 10  # free entries from which on the transmit-done handler wakes it
NTB_NETDEV_MAX_QUEUES = 64  # drivers/net/ntb_netdev.c, Linux 7.3
NTB_NETDEV_DEFAULT_QUEUES = 1  # drivers/net/ntb_netdev.c, Linux 7.3
FFS_BITS = 32  # ntb_transport_create_queue() finds a free QP with ffs(), which takes an int


@dataclass(frozen=True)
class Queues:
    """The queues that exist after a request, and why it failed if it did."""

    created: int
    error: str | None


def create_queues(requested: int, qps: QpCount) -> Queues:
    """Return the queues of ntb_netdev after `ethtool -L DEV combined <requested>`.

    `created` is `requested`, or, where the request fails and changes nothing, the default of 1
    queue (0 where not even one QP is possible). `error` then starts with "ENOSPC: ".

    Source: drivers/net/ntb_netdev.c (ntb_netdev_probe, ntb_inc_channels), Linux 7.3;
    drivers/ntb/ntb_transport.c (ntb_transport_create_queue).

    Deviates: above NTB_NETDEV_MAX_QUEUES ethtool itself says EINVAL before the driver is asked;
    with no queue at all there is no network device to ask.
    """
    available = len(queue_bits(qps.qp_bitmap))
    if requested <= available:
        return Queues(requested, None)
    limit = qps.limit
    if available < qps.qp_count:
        limit = f"a QP is found with a {FFS_BITS}-bit ffs(), QP_LINKS has {FFS_BITS} bits"
    created = min(available, NTB_NETDEV_DEFAULT_QUEUES)
    noun = "queue" if requested == 1 else "queues"
    error = f"ENOSPC: {requested} {noun} requested, {available} possible: {limit}"
    if requested > NTB_NETDEV_MAX_QUEUES:
        error += f"; ethtool refuses more than {NTB_NETDEV_MAX_QUEUES} with EINVAL"
    return Queues(created, error)


def queue_bits(qp_bitmap: int) -> list[int]:
    """Return the doorbell bit of each queue that ntb_netdev can get, queue 0 first.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_create_queue: the lowest free QP, found
    with a 32-bit ffs()), Linux 7.3.
    """
    return bits_of(qp_bitmap & (1 << FFS_BITS) - 1)
