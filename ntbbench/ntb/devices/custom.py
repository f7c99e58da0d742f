# SPDX-License-Identifier: BSD-3-Clause
"""Devices that a user describes: on the command line, or in a scenario's [device.NAME] tables."""

import re

from msgspec import Struct

from ntbbench.core.errors import InputError
from ntbbench.core.names import check_range, parse_int, parse_settings
from ntbbench.ntb.devices.catalogue import MW_COUNT_MAX, hardware_names
from ntbbench.ntb.devices.device import DbRead, Hardware, low_bits, masked_map, shift_masks
from ntbbench.ntb.vectormap import DB_BITS_MAX, check_u64

NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,39}")
U64_MAX = (1 << DB_BITS_MAX) - 1
NUMBERS = {
    "doorbells": (1, DB_BITS_MAX),
    "vectors": (1, DB_BITS_MAX),
    "shift": (1, DB_BITS_MAX),
    "mw_count": (0, MW_COUNT_MAX),
    "spad_count": (0, MW_COUNT_MAX),
}
KEYS = (*NUMBERS, "masks", "link_mask", "db_read")


class Device(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A custom device: `doorbells` with `vectors` and `shift`, or a list of `masks`.

    Parameters
    ----------
    doorbells : doorbell bits, 1 to 64.
    vectors : interrupt vectors, 1 to 64; default: as many as `shift` needs, or one a doorbell.
    shift : bits a vector, 1 to 64; vector v covers the bits from shift * v on; default: as few as
        let `vectors` cover all.
    masks : the bits of each vector, numbers or texts like "0x1f"; they do not overlap.
    mw_count, spad_count : memory windows and scratchpads; default: unlimited.
    link_mask : bits for the link, outside the doorbells.
    db_read : what db_read() shows of a rung bit: "latched" or "zero".
    """

    doorbells: int | None = None
    vectors: int | None = None
    shift: int | None = None
    masks: list[int | str] | None = None
    mw_count: int | None = None
    spad_count: int | None = None
    link_mask: int | str = 0
    db_read: DbRead = "latched"


def parse_device(text: str) -> tuple[str, Device]:
    """Return the name and the device of "NAME:doorbells=16,vectors=4,shift=5".

    Masks are separated by slashes: "NAME:masks=0x1f/0x3e0".

    Raises
    ------
    InputError : another form, an unknown key, or a value out of range.
    """
    name, colon, rest = text.partition(":")
    field = f"device {name}"
    if not colon or not rest.strip():
        raise InputError("device", text, "NAME:key=value,... with keys " + ", ".join(KEYS))
    check_name(name)
    settings = parse_settings(field, rest, KEYS)
    numbers = {
        key: parse_int(f"{field}: {key}", settings[key], *bounds)
        for key, bounds in NUMBERS.items()
        if key in settings
    }
    masks = settings.get("masks")
    device = Device(
        **numbers,
        masks=None if masks is None else list(masks.split("/")),
        link_mask=settings.get("link_mask", 0),
        db_read=parse_db_read(field, settings.get("db_read", "latched")),
    )
    build_device(name, device)
    return name, device


def parse_db_read(field: str, text: str) -> DbRead:
    """Return a value of db_read that a custom device can have."""
    known: dict[str, DbRead] = {"latched": "latched", "zero": "zero"}
    if text not in known:
        raise InputError(f"{field}: db_read", text, "latched or zero")
    return known[text]


def build_device(name: str, device: Device) -> Hardware:
    """Return the hardware of a custom device.

    Raises
    ------
    InputError : a bad or taken name, a value out of range, settings that exclude each other,
        overlapping masks, or a doorbell without a vector.
    """
    field = f"device {name}"
    check_name(name)
    irq_masks = explicit_masks(field, device) or shifted_masks(field, device)
    valid = 0
    for vector, mask in enumerate(irq_masks):
        if valid & mask:
            raise InputError(f"{field}: masks", hex(mask), f"vector {vector} overlaps another one")
        valid |= mask
    link_mask = parse_mask(f"{field}: link_mask", device.link_mask)
    if link_mask & valid:
        raise InputError(f"{field}: link_mask", hex(link_mask), "bits outside the doorbells")
    for key, count in (("mw_count", device.mw_count), ("spad_count", device.spad_count)):
        check_range(f"{field}: {key}", count or 0, 0, MW_COUNT_MAX)
    return Hardware(
        name=name,
        driver="-",
        description="custom device",
        doorbells=valid.bit_count(),
        vectors=len(irq_masks),
        vector_map=masked_map(valid, irq_masks),
        link_mask=link_mask,
        mw_count=device.mw_count,
        spad_count=device.spad_count,
        db_read=parse_db_read(field, device.db_read),
        sized="fixed",
        source="-",
    )


def check_name(name: str) -> None:
    """Raise InputError unless a custom device may have this name."""
    if not NAME.fullmatch(name):
        raise InputError("device", name, "a name of letters, digits, '.', '_' and '-', at most 40")
    if name in hardware_names():
        raise InputError("device", name, "a name that no preset has")


def explicit_masks(field: str, device: Device) -> list[int] | None:
    """Return the masks of a device that lists them; None: it does not."""
    if device.masks is None:
        return None
    if (device.doorbells, device.vectors, device.shift) != (None, None, None):
        raise InputError(field, "masks", "masks alone, without doorbells, vectors and shift")
    if not 1 <= len(device.masks) <= DB_BITS_MAX:
        raise InputError(f"{field}: masks", len(device.masks), f"1 to {DB_BITS_MAX} masks")
    masks = [parse_mask(f"{field}: masks", mask) for mask in device.masks]
    if not any(masks):
        raise InputError(f"{field}: masks", device.masks, "at least one doorbell bit")
    return masks


def parse_mask(field: str, mask: int | str) -> int:
    """Return a u64 mask given as a number or as text."""
    if isinstance(mask, str):
        return parse_int(field, mask, 0, U64_MAX)
    check_u64(field, mask)
    return mask


def shifted_masks(field: str, device: Device) -> list[int]:
    """Return the masks of a device with `shift` doorbells a vector."""
    if device.doorbells is None:
        raise InputError(field, "doorbells", "doorbells (with vectors and shift) or masks")
    count = check_range(f"{field}: doorbells", device.doorbells, 1, DB_BITS_MAX)
    given = [number for number in (device.vectors, device.shift) if number is not None]
    for number in given:
        check_range(f"{field}: vectors and shift", number, 1, DB_BITS_MAX)
    vectors = device.vectors or -(-count // (device.shift or 1))
    shift = device.shift or -(-count // vectors)
    if vectors * shift < count:
        allowed = f"vectors x shift of at least {count}: every doorbell needs a vector"
        raise InputError(field, f"vectors={vectors}, shift={shift}", allowed)
    return [mask & low_bits(count) for mask in shift_masks(vectors, shift)]
