# SPDX-License-Identifier: BSD-3-Clause
"""The dispatch modes: which map a device has in each, and which queues exist then."""

from dataclasses import dataclass
from typing import Literal, get_args

from ntbbench.core.names import unknown
from ntbbench.ntb.devices.device import Hardware
from ntbbench.ntb.netdev import create_queues, queue_bits
from ntbbench.ntb.transport import QpCount, qp_count
from ntbbench.ntb.vectormap import VectorMap

Dispatch = Literal["fallback", "per-vector", "msi"]
DISPATCHES: tuple[str, ...] = get_args(Dispatch)


@dataclass(frozen=True)
class Provision:
    """What one device gives to one request for queues.

    Parameters
    ----------
    qps : ntb_transport's queue pairs.
    queues : netdev queues that exist after the request.
    active : u64 mask of the doorbell bits (QPs) of those queues.
    reason : why the request failed; None: it did not.
    """

    qps: QpCount
    queues: int
    active: int
    reason: str | None


def provision(
    hardware: Hardware, dispatch: str, queues_requested: int, max_num_clients: int = 0
) -> Provision:
    """Return what `ethtool -L DEV combined <queues_requested>` gives on `hardware`.

    Raises
    ------
    InputError : an unknown dispatch mode.
    """
    check_dispatch(dispatch)
    qps = queue_pairs(hardware, dispatch, max_num_clients)
    queues = create_queues(queues_requested, qps)
    active = sum(1 << bit for bit in queue_bits(qps.qp_bitmap)[: queues.created])
    reason = queues.error
    if reason is None and dispatch == "msi":
        reason = msi_refusal(hardware, qps, queues_requested)
    return Provision(qps, queues.created, active, reason)


def queue_pairs(hardware: Hardware, dispatch: str, max_num_clients: int) -> QpCount:
    """Return the queue pairs that ntb_transport makes of `hardware`."""
    if hardware.refusal:
        return QpCount(0, hardware.refusal, 0, False, None)
    return qp_count(
        hardware.vector_map.db_valid_mask,
        mw_count=hardware.mw_count,
        spad_count=hardware.spad_count,
        use_msi=dispatch == "msi",
        max_num_clients=max_num_clients,
    )


def msi_refusal(hardware: Hardware, qps: QpCount, queues_requested: int) -> str | None:
    """Return why these queues would not all be dispatched by MSI; None: they are.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_probe: use_msi needs a window of its own;
    ntb_transport_setup_qp_msi: a QP without scratchpads for its descriptor keeps its doorbell),
    Linux 7.3.
    """
    if not qps.use_msi:
        return f"use_msi needs more than one memory window, mw_count is {hardware.mw_count}"
    if qps.msi_qp_count is not None and queues_requested > qps.msi_qp_count:
        return (
            f"use_msi: {hardware.spad_count} scratchpads hold the MSI descriptors of "
            f"{qps.msi_qp_count} QPs, {queues_requested} requested; the others keep their doorbell"
        )
    return None


def dispatch_map(hardware: Hardware, dispatch: str, queues: int) -> VectorMap:
    """Return the interrupts of `hardware` and what the receiver makes of them.

    Parameters
    ----------
    dispatch : "per-vector": what the driver reports; "fallback": the same device without vector
        callbacks; "msi": one interrupt a QP, which schedules that QP alone.
    queues : queues that exist; `msi` has an interrupt for each of them and for no other.

    Raises
    ------
    InputError : an unknown dispatch mode.

    Source: include/linux/ntb.h (ntb_db_vector_mask), drivers/ntb/ntb_transport.c
    (ntb_transport_isr), Linux 7.3.
    """
    check_dispatch(dispatch)
    full = hardware.vector_map
    if dispatch == "per-vector":
        return full
    if dispatch == "fallback":
        return full.as_fallback()
    qp_masks = tuple(1 << bit for bit in queue_bits(full.db_valid_mask)[:queues])
    return VectorMap(sum(qp_masks), qp_masks, len(qp_masks), qp_masks)


def check_dispatch(dispatch: str) -> None:
    """Raise InputError unless `dispatch` is a dispatch mode."""
    if dispatch not in DISPATCHES:
        raise unknown("dispatch", dispatch, DISPATCHES)
