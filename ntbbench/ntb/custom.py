# SPDX-License-Identifier: BSD-3-Clause
"""Devices that a user describes: on the command line, or in a scenario's [device.NAME] tables."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Struct

from ntbbench.core.errors import InputError
from ntbbench.core.names import parse_int, parse_settings
from ntbbench.core.options import Count, Kind, Word, changed, kinds
from ntbbench.ntb.catalogue import MW_COUNT_MAX, hardware_names
from ntbbench.ntb.device import DbRead, Hardware, low_bits, masked_map, shift_masks
from ntbbench.ntb.vectormap import DB_BITS_MAX, check_u64

NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,39}")
U64_MAX = (1 << DB_BITS_MAX) - 1


@dataclass(frozen=True)
class Mask(Kind):
    """A u64, as a number or as a text like 0x1f; it stays as it was written."""

    text: str
    metavar: ClassVar[str] = "0x1f"
    allowed: ClassVar[str] = "a u64"

    def parse(self, name: str, value: object) -> int | str:
        """Return the number or the text."""
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise InputError(name, value, "a number, or a text like '0x1f'")
        _number_of(name, value)
        return value


@dataclass(frozen=True)
class Masks(Kind):
    """The bits of each vector: a list, or on the command line 0x1f/0x3e0."""

    text: str
    metavar: ClassVar[str] = "0x1f/0x3e0"
    allowed: ClassVar[str] = f"1 to {DB_BITS_MAX} masks that do not overlap"

    def parse(self, name: str, value: object) -> tuple[int | str, ...]:
        """Return the masks as they were written."""
        parts = value.split("/") if isinstance(value, str) else value
        if not isinstance(parts, list) or not 1 <= len(parts) <= DB_BITS_MAX:
            given = len(parts) if isinstance(parts, list) else parts
            raise InputError(name, given, f"1 to {DB_BITS_MAX} masks")
        return tuple(Mask("").parse(name, part) for part in parts)


class Device(Struct, frozen=True, kw_only=True):
    """A custom device: `doorbells` with `vectors` and `shift`, or a list of `masks`."""

    doorbells: Annotated[int | None, Count(1, DB_BITS_MAX, "doorbell bits")] = None
    vectors: Annotated[
        int | None,
        Count(1, DB_BITS_MAX, "interrupts; as many as `shift` needs, or one per doorbell"),
    ] = None
    shift: Annotated[
        int | None,
        Count(1, DB_BITS_MAX, "bits a vector, vector v from bit shift * v on; as few as suffice"),
    ] = None
    masks: Annotated[
        tuple[int | str, ...] | None, Masks("instead of these three: the bits of each vector")
    ] = None
    mw_count: Annotated[
        int | None, Count(0, MW_COUNT_MAX, "memory windows; unlimited if left out")
    ] = None
    spad_count: Annotated[
        int | None, Count(0, MW_COUNT_MAX, "scratchpads; unlimited if left out")
    ] = None
    link_mask: Annotated[int | str, Mask("bits for the link, outside the doorbells")] = 0
    db_read: Annotated[
        DbRead, Word(("latched", "zero"), "what db_read() shows of a rung bit until db_clear()")
    ] = "latched"


def parse_devices(texts: Iterable[str]) -> dict[str, Device]:
    """Return the devices of texts like "NAME:doorbells=16,vectors=4,shift=5", by name.

    Masks are separated by slashes: "NAME:masks=0x1f/0x3e0".

    InputError: another form, an unknown key, a value out of range, or a name given twice.
    """
    found: dict[str, Device] = {}
    for text in texts:
        name, colon, rest = text.partition(":")
        keys = list(kinds(Device))
        if not colon or not rest.strip():
            raise InputError("device", text, "NAME:key=value,... with keys " + ", ".join(keys))
        if name in found:
            raise InputError("--device", name, "each device once")
        _check_name(name)
        found[name] = device_of(name, parse_settings(f"device {name}", rest, keys))
    return found


def device_of(name: str, table: object, prefix: str = "") -> Device:
    """Return the device of a table; InputError: a bad key or value, after `prefix`."""
    _check_name(name)
    device = changed(f"{prefix}device {name}: ", Device(), table)
    build_device(name, device)
    return device


def build_device(name: str, device: Device) -> Hardware:
    """Return the hardware of a custom device; InputError: a bad name, or masks that do not fit."""
    field = f"device {name}"
    _check_name(name)
    irq_masks = _explicit_masks(field, device) or _shifted_masks(field, device)
    valid = 0
    for vector, mask in enumerate(irq_masks):
        if valid & mask:
            raise InputError(f"{field}: masks", hex(mask), f"vector {vector} overlaps another one")
        valid |= mask
    link_mask = _number_of(f"{field}: link_mask", device.link_mask)
    if link_mask & valid:
        raise InputError(f"{field}: link_mask", hex(link_mask), "bits outside the doorbells")
    return Hardware(
        name=name,
        description="custom device",
        doorbells=valid.bit_count(),
        vectors=len(irq_masks),
        vector_map=masked_map(valid, irq_masks),
        link_mask=link_mask,
        mw_count=device.mw_count,
        spad_count=device.spad_count,
        db_read=device.db_read,
    )


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InputError("device", name, "a name of letters, digits, '.', '_' and '-', at most 40")
    if name in hardware_names():
        raise InputError("device", name, "a name that no preset has")


def _number_of(field: str, mask: int | str) -> int:
    if isinstance(mask, str):
        return parse_int(field, mask, 0, U64_MAX)
    check_u64(field, mask)
    return mask


def _explicit_masks(field: str, device: Device) -> list[int] | None:
    if device.masks is None:
        return None
    if (device.doorbells, device.vectors, device.shift) != (None, None, None):
        raise InputError(field, "masks", "masks alone, without doorbells, vectors and shift")
    masks = [_number_of(f"{field}: masks", mask) for mask in device.masks]
    if not any(masks):
        raise InputError(f"{field}: masks", list(device.masks), "at least one doorbell bit")
    return masks


def _shifted_masks(field: str, device: Device) -> list[int]:
    if device.doorbells is None:
        raise InputError(field, "doorbells", "doorbells (with vectors and shift) or masks")
    count = device.doorbells
    vectors = device.vectors or -(-count // (device.shift or 1))
    shift = device.shift or -(-count // vectors)
    if vectors * shift < count:
        allowed = f"vectors x shift of at least {count}: every doorbell needs a vector"
        raise InputError(field, f"vectors={vectors}, shift={shift}", allowed)
    return [mask & low_bits(count) for mask in shift_masks(vectors, shift)]
