# SPDX-License-Identifier: BSD-3-Clause
"""One device's doorbell map, drawn bit by bit for a terminal: ASCII, at most 80 columns."""

from collections.abc import Iterable, Iterator
from textwrap import wrap

from tabulate import tabulate

from ntbbench.ntb.devices.bit_roles import MEANINGS, DoorbellBit, Role, doorbell_bits, wakeup_groups
from ntbbench.ntb.devices.device import Hardware
from ntbbench.ntb.vectormap import bits_of
from ntbbench.report.hardware_rows import Device
from ntbbench.report.wording import plural

WIDTH = 80
BITS_A_ROW = 16
LABEL = 9  # columns left of the map
CELL = 4  # columns a bit
SIGNS = {
    Role.SPARE: "-",
    Role.TOP: "T",
    Role.LINK: "L",
    Role.RESERVED: "R",
    Role.OTHER: ".",
}
LOST = "!"


def draw(device: Device) -> str:
    """Return one device: its facts, its bits, its vectors, and which QPs wake together."""
    bits = doorbell_bits(device.hardware, device.qps)
    blocks = [
        wrap(f"{device.hardware.name}: {device.hardware.description}", WIDTH),
        list(facts(device)),
        list(bit_rows(bits)),
        list(legend(bits)),
        vector_table(device.hardware, bits),
        list(sharing(bits)),
        list(source(device.hardware)),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def facts(device: Device) -> Iterator[str]:
    """Yield one line a fact."""
    hardware, vector_map = device.hardware, device.hardware.vector_map
    valid = vector_map.db_valid_mask
    callbacks = "" if hardware.callbacks else ", the core's default: the driver has no callbacks"
    yield from fact("db_valid_mask", f"{valid:#x}: {plural(valid.bit_count(), 'doorbell')}")
    if hardware.sized == "db_count":
        yield from fact("db_count", str(hardware.doorbells))
    yield from fact("vectors", f"db_vector_count {vector_map.db_vector_count}{callbacks}")
    yield from fact("windows", limit(hardware.mw_count))
    yield from fact("scratchpads", limit(hardware.spad_count))
    yield from fact("db_read()", hardware.db_read)
    yield from fact("queue pairs", f"{device.qps.qp_count}: {device.qps.limit}")


def limit(count: int | None) -> str:
    """Return a count that None leaves open."""
    return "unlimited" if count is None else str(count)


def fact(name: str, value: str) -> list[str]:
    """Return one fact, folded below its name."""
    return wrap(f"{name:<15}{value}", WIDTH, subsequent_indent=" " * 15)


def bit_rows(bits: tuple[DoorbellBit, ...]) -> Iterator[str]:
    """Yield the map, 16 bits a row, the highest bits first as in a hexadecimal mask."""
    for first in reversed(range(0, len(bits), BITS_A_ROW)):
        row = bits[first : first + BITS_A_ROW]
        yield map_line("bit", (str(bit.bit) for bit in row))
        yield map_line("interrupt", ("" if b.source is None else str(b.source) for b in row))
        yield map_line("QP", (sign(bit) for bit in row))
        yield map_line("wakes", (str(len(b.wakes)) if b.qp_num is not None else "" for b in row))
        if first:
            yield ""


def map_line(label: str, cells: Iterable[str]) -> str:
    """Return one line of the map; bit 0 stands at the right end."""
    padded = [cell.rjust(CELL) for cell in cells]
    blank = " " * CELL * (BITS_A_ROW - len(padded))
    return f"{label:<{LABEL}}{blank}{''.join(reversed(padded))}".rstrip()


def sign(bit: DoorbellBit) -> str:
    """Return what the map shows of a bit's role: the QP's number, or a letter."""
    text = SIGNS[bit.role] if bit.qp_num is None else str(bit.qp_num)
    return text + LOST if bit.lost else text


def legend(bits: tuple[DoorbellBit, ...]) -> Iterator[str]:
    """Yield the meaning of every sign that the map has."""
    roles = {bit.role for bit in bits}
    if Role.QP in roles:
        yield f"number  {MEANINGS[Role.QP]}; wakes: QPs that one ring of it schedules"
    for role, letter in SIGNS.items():
        if role in roles:
            yield f"{letter:<8}{MEANINGS[role]}"
    if any(bit.lost for bit in bits):
        yield f"{LOST:<8}no slot belongs to this bit: its rings are lost"


def vector_table(hardware: Hardware, bits: tuple[DoorbellBit, ...]) -> list[str]:
    """Return one row an interrupt: its bits, the driver's mask, the QPs that it wakes."""
    vector_map = hardware.vector_map
    if not hardware.callbacks:
        return [f"every interrupt: mask {vector_map.db_valid_mask:#x} (db_valid_mask)"]
    qp_mask = sum(1 << bit.bit for bit in bits if bit.qp_num is not None)
    rows = [
        [str(source), ranges(bits_of(irq_mask)), f"{mask:#x}", ranges(bits_of(mask & qp_mask))]
        for source, (irq_mask, mask) in enumerate(
            zip(vector_map.irq_masks, vector_map.db_vector_masks, strict=True)
        )
    ]
    headers = ["interrupt", "raised by bits", "db_vector_mask", "wakes QPs"]
    align = ("right", "left", "right", "left")
    table = tabulate(rows, headers, "simple", disable_numparse=True, colalign=align)
    return [line.rstrip() for line in table.splitlines()]


def sharing(bits: tuple[DoorbellBit, ...]) -> Iterator[str]:
    """Yield which QPs wake together."""
    groups = wakeup_groups(bits)
    if not groups:
        yield "No queue can be created."
    elif all(len(group) == 1 for group in groups):
        yield "Every QP has an interrupt of its own: amplification 1."
    else:
        for group in groups:
            if len(group) > 1:
                yield f"QPs {ranges(group)} wake together: amplification {len(group)}."
            elif group:
                yield f"QP {group[0]} wakes alone: amplification 1."


def source(hardware: Hardware) -> Iterator[str]:
    """Yield where the facts were read; nothing for a device that no driver makes."""
    if hardware.source != "-":
        yield from wrap(f"source: {hardware.source}", WIDTH, subsequent_indent="  ")


def ranges(numbers: Iterable[int]) -> str:
    """Return ascending numbers as "0-4,7"; "-" where there are none."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    parts = [str(first) if first == last else f"{first}-{last}" for first, last in spans]
    return ",".join(parts) or "-"
