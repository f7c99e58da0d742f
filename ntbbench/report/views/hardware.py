# SPDX-License-Identifier: BSD-3-Clause
"""NTB devices: all of them as a list, or the doorbell map of one, bit by bit."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import fields

from ntbbench.ntb.audit import wakeup_groups
from ntbbench.ntb.records import NO_SOURCE, BitRow, DeviceRow, HardwareResult, Role
from ntbbench.ntb.vectormap import bits_of
from ntbbench.report.document import (
    Block,
    Column,
    Document,
    Drawing,
    Notes,
    Sheet,
    Table,
    column,
    words,
)
from ntbbench.report.wording import plural, ranges

BITS_A_ROW = 16
LABEL = 9  # columns left of the map
CELL = 4  # columns a bit
LOST = "!"
# The letter of a role in the map; a QP has its number. What each is, for the legend.
SIGNS = {
    Role.SPARE: ("-", "a valid doorbell without a QP: another limit came first"),
    Role.TOP: ("T", "the top valid bit, which ntb_transport never uses (ilog2)"),
    Role.LINK: ("L", "link events, outside db_valid_mask"),
    Role.RESERVED: ("R", "kept by the driver or lost to an erratum, outside db_valid_mask"),
    Role.OTHER: (".", "no doorbell: outside db_valid_mask"),
}
LISTED = (
    column(DeviceRow, "name"),
    Column("bits", "in db_valid_mask"),
    Column("link bits", "that carry link events", head="link\nbits"),
    column(DeviceRow, "vectors"),
    Column("bits per vector", "of the largest db_vector_mask()", head="bits per\nvector"),
    column(DeviceRow, "mw_count"),
    column(DeviceRow, "qp_count"),
)
FACTS = (Column("", align="left"), Column("", align="left"))
NOTE = (
    'bits: in db_valid_mask; bits per vector: of the largest db_vector_mask(), or "all" without '
    "vector callbacks; QPs: what ntb_transport makes of the device"
)


def document(result: HardwareResult) -> Document:
    """Return the list of devices, or the map of the one whose bits are there."""
    first = result.hardware[0] if result.hardware else None
    return _list(result) if first is None or first.bits is None else _map(result, first, first.bits)


def _list(result: HardwareResult) -> Document:
    described = (column(DeviceRow, "name"), column(DeviceRow, "description"))
    devices = result.hardware
    return Document(
        title="ntbbench hardware",
        verdict=f"{plural(len(devices), 'NTB device')}: `ntbbench hardware NAME` draws the map of "
        "one bit by bit",
        record=result,
        blocks=[
            Table("Devices", LISTED, [words(*_listed(device)) for device in devices], [NOTE]),
            Table("What they are", described, [words(d.name, d.description) for d in devices]),
        ],
        whole=True,
        sheet=lambda: _sheet(DeviceRow, devices),
    )


def _listed(device: DeviceRow) -> Iterator[object]:
    """Yield the cells of one device in the list."""
    yield device.name
    yield _mask(device.db_valid_mask).bit_count()
    yield ranges(bits_of(_mask(device.link_mask)))
    yield device.vectors
    widest = max((_mask(mask).bit_count() for mask in device.db_vector_masks), default=0)
    yield widest if device.callbacks else "all"
    yield "any" if device.mw_count is None else device.mw_count
    yield device.qp_count


def _map(result: HardwareResult, device: DeviceRow, bits: list[BitRow]) -> Document:
    shared = list(_sharing(bits))
    return Document(
        title=f"ntbbench hardware {device.name}",
        verdict=f"{device.name}: {'; '.join(shared)}",
        record=result,
        lines=[device.description],
        blocks=[
            Table("Device", FACTS, [words(*fact) for fact in _facts(device)]),
            Drawing("Doorbell bits", [*_bit_lines(bits), "", *_legend(bits)]),
            _interrupts(device, bits),
            Notes("Source", [(device.source, ())] if device.source != NO_SOURCE else []),
        ],
        whole=True,
        sheet=lambda: _sheet(BitRow, bits),
    )


def _facts(device: DeviceRow) -> Iterator[tuple[str, str]]:
    """Yield names and values."""
    valid = _mask(device.db_valid_mask)
    callbacks = "" if device.callbacks else ", the core's default: the driver has no callbacks"
    yield "db_valid_mask", f"{valid:#x}: {plural(valid.bit_count(), 'doorbell')}"
    if device.sized == "db_count":
        yield "db_count", str(device.doorbells)
    yield "vectors", f"db_vector_count {device.db_vector_count}{callbacks}"
    yield "windows", _limit(device.mw_count)
    yield "scratchpads", _limit(device.spad_count)
    yield "db_read()", device.db_read
    yield "queue pairs", f"{device.qp_count}: {device.qp_limit}"


def _limit(count: int | None) -> str:
    return "unlimited" if count is None else str(count)


def _bit_lines(bits: list[BitRow]) -> Iterator[str]:
    """Yield the map, 16 bits a row, the highest bits first as in a hexadecimal mask."""
    for first in reversed(range(0, len(bits), BITS_A_ROW)):
        row = bits[first : first + BITS_A_ROW]
        yield _line("bit", (str(bit.bit) for bit in row))
        yield _line("interrupt", ("" if b.interrupt is None else str(b.interrupt) for b in row))
        yield _line("QP", (_sign(bit) for bit in row))
        yield _line("wakes", (str(len(b.wakes)) if b.qp_num is not None else "" for b in row))
        if first:
            yield ""


def _line(label: str, cells: Iterable[str]) -> str:
    """Return one line of the map; bit 0 stands at the right end."""
    padded = [cell.rjust(CELL) for cell in cells]
    blank = " " * CELL * (BITS_A_ROW - len(padded))
    return f"{label:<{LABEL}}{blank}{''.join(reversed(padded))}".rstrip()


def _sign(bit: BitRow) -> str:
    text = SIGNS[bit.role][0] if bit.qp_num is None else str(bit.qp_num)
    return text + LOST if bit.lost else text


def _legend(bits: list[BitRow]) -> Iterator[str]:
    """Yield the meaning of every sign that the map has."""
    roles = {bit.role for bit in bits}
    if Role.QP in roles:
        yield "number  the doorbell of this QP; wakes: QPs that one ring of it schedules"
    for role, (letter, meaning) in SIGNS.items():
        if role in roles:
            yield f"{letter:<8}{meaning}"
    if any(bit.lost for bit in bits):
        yield f"{LOST:<8}no slot belongs to this bit: its rings are lost"


def _interrupts(device: DeviceRow, bits: list[BitRow]) -> Block:
    """Return what each interrupt stands for: its bits, the driver's mask, the QPs that it wakes."""
    if not device.callbacks:
        everything = f"every interrupt: mask {device.db_valid_mask} (db_valid_mask)"
        return Notes("Interrupts", [(everything, ())])
    qp_mask = sum(1 << bit.bit for bit in bits if bit.qp_num is not None)
    pairs = zip(device.irq_masks, device.db_vector_masks, strict=True)
    rows = [
        words(source, ranges(bits_of(_mask(irq))), mask, ranges(bits_of(_mask(mask) & qp_mask)))
        for source, (irq, mask) in enumerate(pairs)
    ]
    heads = (
        Column("interrupt"),
        Column("raised by bits", align="left"),
        Column("db_vector_mask"),
        Column("wakes QPs", align="left"),
    )
    return Table("Interrupts", heads, rows)


def _sharing(bits: list[BitRow]) -> Iterator[str]:
    """Yield which QPs wake together."""
    groups = wakeup_groups(bits)
    if not groups:
        yield "no queue can be created"
    elif all(len(group) == 1 for group in groups):
        yield "every QP has an interrupt of its own: amplification 1"
    for group in groups:
        if len(group) > 1:
            yield f"QPs {ranges(group)} wake together: amplification {len(group)}"
        elif group and any(len(other) != 1 for other in groups):
            yield f"QP {group[0]} wakes alone: amplification 1"


def _mask(text: str) -> int:
    return int(text, 16)


def _sheet(record: type[DeviceRow] | type[BitRow], rows: Sequence[DeviceRow | BitRow]) -> Sheet:
    """Return a row a record; a list is one cell, its items separated by slashes."""
    names = [field.name for field in fields(record) if field.name != "bits"]
    return Sheet(names, ([_flat(getattr(row, name)) for name in names] for row in rows), "needed")


def _flat(value: object) -> object:
    return "/".join(map(str, value)) if isinstance(value, list) else value
