# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench hardware` in every format: the devices as a list, or one device bit by bit."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from tabulate import tabulate

from ntbbench.ntb.vectormap import bits_of
from ntbbench.report.hardware_map import draw, limit, ranges
from ntbbench.report.hardware_rows import (
    SCHEMA,
    BitRow,
    Device,
    DeviceRow,
    Listing,
    bit_rows,
    device_row,
)
from ntbbench.report.markdown import escaped

HEADERS = ["name", "bits", "link bits", "vectors", "bits a vector", "windows", "QPs"]
SHORT_HEADERS = ["name", "bits", "link\nbits", "vec-\ntors", "bits a\nvector", "win-\ndows", "QPs"]
ALIGN = ("left", "right", "right", "right", "right", "right", "right")
NOTE = """\
bits: in db_valid_mask. bits a vector: of the largest db_vector_mask(), or "all"
without vector callbacks. QPs: what ntb_transport makes of the device.
`ntbbench hardware NAME` draws one map bit by bit."""


def cells(device: Device) -> list[str]:
    """Return one device as a row of the list."""
    hardware, vector_map = device.hardware, device.hardware.vector_map
    widest = max((mask.bit_count() for mask in vector_map.db_vector_masks), default=0)
    return [
        hardware.name,
        str(vector_map.db_valid_mask.bit_count()),
        ranges(bits_of(hardware.link_mask)),
        str(hardware.vectors),
        str(widest) if hardware.callbacks else "all",
        limit(hardware.mw_count).replace("unlimited", "any"),
        str(device.qps.qp_count),
    ]


def list_text(devices: Sequence[Device]) -> str:
    """Return the devices as a table of at most 80 columns."""
    rows = [cells(device) for device in devices]
    table = tabulate(rows, SHORT_HEADERS, "simple", disable_numparse=True, colalign=ALIGN)
    return f"{table}\n\n{NOTE}\n"


def list_markdown(devices: Sequence[Device]) -> str:
    """Return the devices as a Markdown table with what each of them is."""
    rows = [[*cells(device), escaped(device.hardware.description)] for device in devices]
    headers = [*HEADERS, "what it is"]
    align = (*ALIGN, "left")
    return tabulate(rows, headers, "github", disable_numparse=True, colalign=align) + "\n"


def list_csv(devices: Sequence[Device]) -> str:
    """Return one row a device; a list of masks is one cell, its masks separated by slashes."""
    return table_of(DeviceRow, [device_row(device) for device in devices])


def list_json(devices: Sequence[Device]) -> str:
    """Return the devices as JSON."""
    return json_of([device_row(device) for device in devices])


def map_markdown(device: Device) -> str:
    """Return the drawing as a code block."""
    return f"### {escaped(device.hardware.name)}\n\n```\n{draw(device)}```\n"


def map_csv(device: Device) -> str:
    """Return one row a bit."""
    return table_of(BitRow, bit_rows(device))


def map_json(device: Device) -> str:
    """Return one device with its bits as JSON."""
    return json_of([msgspec.structs.replace(device_row(device), bits=bit_rows(device))])


def table_of(record: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> str:
    """Return records as CSV, one column a field that every record has."""
    columns = [field.name for field in msgspec.structs.fields(record) if field.name != "bits"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(getattr(row, column)) for column in columns])
    return out.getvalue()


def cell(value: object) -> object:
    """Return a value as a CSV cell."""
    return "/".join(map(str, value)) if isinstance(value, list) else value


def json_of(rows: list[DeviceRow]) -> str:
    """Return the JSON of these devices, indented."""
    listing = Listing(schema=SCHEMA, hardware=rows)
    return msgspec.json.format(msgspec.json.encode(listing), indent=2).decode() + "\n"


LIST_FORMATS: Mapping[str, Callable[[Sequence[Device]], str]] = {
    "text": list_text,
    "md": list_markdown,
    "csv": list_csv,
    "json": list_json,
}
MAP_FORMATS: Mapping[str, Callable[[Device], str]] = {
    "text": draw,
    "md": map_markdown,
    "csv": map_csv,
    "json": map_json,
}
