# SPDX-License-Identifier: BSD-3-Clause
"""Devices and their doorbell bits as plain records, the JSON of `ntbbench hardware`."""

from dataclasses import dataclass

from msgspec import Struct

from ntbbench.ntb.devices.bit_roles import doorbell_bits
from ntbbench.ntb.devices.device import Hardware
from ntbbench.ntb.transport import QpCount

SCHEMA = "ntbbench.hardware/1"


@dataclass(frozen=True)
class Device:
    """One device and the queue pairs that ntb_transport makes of it."""

    hardware: Hardware
    qps: QpCount


class BitRow(Struct, frozen=True, kw_only=True):
    """One bit as JSON and CSV give it."""

    bit: int
    role: str
    lost: bool
    interrupt: int | None
    qp_num: int | None
    wakes: list[int]


class DeviceRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One device as JSON and CSV give it; masks are hexadecimal texts."""

    name: str
    driver: str
    description: str
    doorbells: int
    vectors: int
    db_valid_mask: str
    db_vector_count: int
    db_vector_masks: list[str]
    irq_masks: list[str]
    link_mask: str
    reserved_mask: str
    lost_mask: str
    callbacks: bool
    db_read: str
    sized: str
    mw_count: int | None
    spad_count: int | None
    qp_count: int
    qp_limit: str
    refusal: str | None
    source: str
    bits: list[BitRow] | None = None


class Listing(Struct, frozen=True, kw_only=True):
    """The JSON of the command."""

    schema: str
    hardware: list[DeviceRow]


def device_row(device: Device) -> DeviceRow:
    """Return one device without its bits."""
    hardware, vector_map = device.hardware, device.hardware.vector_map
    return DeviceRow(
        name=hardware.name,
        driver=hardware.driver,
        description=hardware.description,
        doorbells=hardware.doorbells,
        vectors=hardware.vectors,
        db_valid_mask=hex(vector_map.db_valid_mask),
        db_vector_count=vector_map.db_vector_count,
        db_vector_masks=[hex(mask) for mask in vector_map.db_vector_masks],
        irq_masks=[hex(mask) for mask in vector_map.irq_masks],
        link_mask=hex(hardware.link_mask),
        reserved_mask=hex(hardware.reserved_mask),
        lost_mask=hex(hardware.lost_mask),
        callbacks=hardware.callbacks,
        db_read=hardware.db_read,
        sized=hardware.sized,
        mw_count=hardware.mw_count,
        spad_count=hardware.spad_count,
        qp_count=device.qps.qp_count,
        qp_limit=device.qps.limit,
        refusal=hardware.refusal,
        source=hardware.source,
    )


def bit_rows(device: Device) -> list[BitRow]:
    """Return the bits of one device."""
    return [
        BitRow(
            bit=bit.bit,
            role=bit.role.value,
            lost=bit.lost,
            interrupt=bit.source,
            qp_num=bit.qp_num,
            wakes=list(bit.wakes),
        )
        for bit in doorbell_bits(device.hardware, device.qps)
    ]
