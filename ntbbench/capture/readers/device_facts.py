# SPDX-License-Identifier: BSD-3-Clause
"""The device that the `point` of a recording describes: loopback, or one of the driver pair."""

from ntbbench.capture.measured import DeviceFacts
from ntbbench.capture.readers.doorbell_point import PairReceiver, Point
from ntbbench.ntb.devices.device import low_bits, shift_masks
from ntbbench.pair.drivers.slots import EP_MSIS, EPF_IRQ_DB_START

LOOP_DOORBELLS = 16
NETDEV = "ntb_netdev"
# The interrupt lines of each side of the pair (request_irq's name).
ACTIONS = {"rc": "ntb_epf", "ep": "pci_epf_vntb_db"}
RC_VALID_PATCH, EP_VALID_PATCH = 9, 6  # these take the slots before bit 0 out of db_valid_mask


def point_facts(point: Point, source: str) -> DeviceFacts:
    """Return the device that received in a recording."""
    if point.receiver is not None:
        return _pair_facts(point, point.receiver, source)
    masks = [0] * point.vectors
    for bit in range(LOOP_DOORBELLS if masks else 0):
        masks[bit % point.vectors] |= 1 << bit
    return DeviceFacts(
        source=source,
        db_valid_mask=hex(low_bits(LOOP_DOORBELLS)),
        vector_masks=[hex(mask) for mask in masks],
        link_mask="0x0",
        db_read="latched" if point.db_read_latched else "zero",
    )


def _pair_facts(point: Point, receiver: PairReceiver, source: str) -> DeviceFacts:
    """Return a driver of the pair: without vector callbacks it is one before the series.

    Its db_read() then shows other bits than the rung one: an int with a number on the root
    complex, the bit above it on the endpoint.
    """
    return DeviceFacts(
        source=source,
        db_valid_mask=hex(low_bits(point.vectors or _valid_bits(receiver))),
        vector_masks=[hex(mask) for mask in shift_masks(point.vectors, 1)],
        link_mask="0x0",
        db_read="latched" if point.db_read_latched else "legacy",
        action=ACTIONS[receiver.side],
        is_embedded=receiver.side == "ep" and receiver.doorbell == "embedded",
        client=NETDEV,
    )


def _valid_bits(receiver: PairReceiver) -> int:
    """Return how many bits db_valid_mask has in a driver without vector callbacks."""
    if receiver.side == "rc":  # its db_count leaves the link out, of the slots before bit 0
        return EP_MSIS - 1 - (RC_VALID_PATCH in receiver.patches)
    reserved = EPF_IRQ_DB_START if EP_VALID_PATCH in receiver.patches else 0
    return max(receiver.ep_slots - reserved, 0)
