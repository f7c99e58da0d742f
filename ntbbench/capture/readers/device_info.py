# SPDX-License-Identifier: BSD-3-Clause
"""Debugfs `info`: doorbell masks of intel's, AMD's and IDT's driver, buffers of ntb_perf."""

import re
from pathlib import Path

from ntbbench.capture.readers import Known, Reader
from ntbbench.capture.records import DeviceFacts, Measured, MeasuredCount
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import read_small
from ntbbench.ntb.catalogue import resolve
from ntbbench.ntb.device import low_bits, shift_masks
from ntbbench.ntb.presets import AMD, AMD_DB_CNT, AMD_MSIX_VECTOR_CNT
from ntbbench.ntb.vectormap import DB_BITS_MAX

OVERLAP = (
    "bits {} are in the valid and in the link mask, the overlap of gen3's own driver (mended in "
    "Linux 6.15): taken as link"
)
NO_DOORBELL = "AMD's driver counts {} doorbells: with MSI or INTx none is left, no QP can be made"
ALL_BITS = low_bits(DB_BITS_MAX)
Found = dict[str, str]  # name -> text


def _fields(path: Path) -> Found:
    found: Found = {}
    for line in read_small(path).split("\n"):
        name, is_told, value = line.strip().partition(" -")
        if is_told and value.strip():
            found.setdefault(name.strip(), value.strip())
    return found


def _info(path: Path, _known: Known) -> Measured:
    """Rebuild a device from the `info` of intel's driver, or of AMD's, which has no link mask."""
    found = _fields(path)
    if "Doorbell Vector Count" in found or "Doorbell Link Mask" in found:
        return _intel(path, found)
    return _amd(path, found)


def _intel(path: Path, found: Found) -> Measured:
    """Rebuild an intel device.

    A bit in both masks, as gen3's driver has it before Linux 6.15, is taken for a link bit.

    Source: Linux 7.3 drivers/ntb/hw/intel/ntb_hw_gen1.c (ndev_ntb_debugfs_read, ndev_vec_mask),
    ntb_hw_gen3.c (ndev_ntb3_debugfs_read, gen3_init_ntb).
    """
    count, vectors, shift = (
        _told(path, found, name, DB_BITS_MAX) for name in ("Count", "Vector Count", "Vector Shift")
    )
    valid, link = (_told(path, found, name, ALL_BITS, 16) for name in ("Valid Mask", "Link Mask"))
    cautions = []
    if valid & link and valid == low_bits(valid.bit_length()):
        cautions.append(f"{path}: {OVERLAP.format(hex(valid & link))}")
        valid &= ~link
    if valid & link or valid.bit_count() > count or not valid:
        shown = f"valid mask {valid:#x}, link mask {link:#x}"
        raise InputError(str(path), shown, f"{count} bits, none in both")
    masks = shift_masks(vectors, shift)
    device = DeviceFacts(
        source=str(path),
        driver="ntb_hw_intel",
        db_valid_mask=hex(valid),
        vector_masks=[hex(mask & valid) for mask in masks],
        link_mask=hex(link),
        db_read="latched",
        link_vectors=[vector for vector, mask in enumerate(masks) if mask & link],
        mw_count=_count(found, "Memory Window Count"),
    )
    return Measured(devices=[device], cautions=cautions)


def _amd(path: Path, found: Found) -> Measured:
    """Rebuild an AMD device: one doorbell a vector; the vectors above are for events.

    Source: Linux 7.3 drivers/ntb/hw/amd/ntb_hw_amd.c (ndev_debugfs_read, ndev_init_isr,
    amd_init_dev); before Linux 5.7 all 16 bits are doorbells.
    """
    count = _told(path, found, "Count", AMD_DB_CNT)
    valid = _told(path, found, "Valid Mask", ALL_BITS, 16)
    if valid != low_bits(count):
        shown = f"count {count}, valid mask {valid:#x}"
        raise InputError(str(path), shown, "AMD's lowest bits, as many as it counts")
    vectors = _count(found, "MSIX Vector Count")
    events = range(count, AMD_MSIX_VECTOR_CNT if vectors is None else vectors)
    kept = low_bits(AMD_DB_CNT) & ~valid if count else 1
    device = DeviceFacts(
        source=str(path),
        driver=AMD.driver,
        db_valid_mask=hex(valid),
        vector_masks=[hex(mask) for mask in shift_masks(count, 1)],
        link_mask=hex(kept),
        db_read="latched",
        link_vectors=[*events],
        mw_count=_count(found, "Memory Window Count"),
    )
    cautions = [] if count else [f"{path}: {NO_DOORBELL.format(count)}"]
    return Measured(devices=[device], cautions=cautions)


def _told(path: Path, found: Found, name: str, high: int, base: int = 10) -> int:
    text = found.get(f"Doorbell {name}")
    if text is None:
        allowed = "missing: cut off, or not the info of intel's or AMD's driver"
        raise InputError(str(path), f"Doorbell {name}", allowed)
    digits = text.removeprefix("0x") if base == 16 else text
    if not re.fullmatch(r"[0-9a-fA-F]{1,16}" if base == 16 else r"[0-9]{1,4}", digits):
        raise InputError(str(path), f"Doorbell {name} - {text}", "a number")
    if not 0 <= int(digits, base) <= high:
        raise InputError(str(path), f"Doorbell {name} - {text}", f"0 to {high}")
    return int(digits, base)


def _count(found: Found, name: str) -> int | None:
    """Return a small number that need not be there."""
    text = found.get(name, "")
    return int(text) if re.fullmatch(r"[0-9]{1,4}", text) else None


INFO = Reader(
    "debugfs info of the driver", "doorbell masks and vector map", "interrupts and wakeups", _info,
    begins=lambda head: head.startswith("NTB Device Information"),
)  # fmt: skip

IDT_DOORBELL = "Local  Doorbell mask"
IDT_WINDOW = re.compile(r"\t?(\d{1,3})(?:-(\d{1,3}))?\.\s+\S+ BAR\d")


def _idt(path: Path, _known: Known) -> Measured:
    """Rebuild an IDT switch's port: 32 doorbells, no vector callbacks; its outbound windows.

    Source: Linux 7.3 drivers/ntb/hw/idt/ntb_hw_idt.c (idt_dbgfs_info_read).
    """
    if IDT_DOORBELL.replace("  ", " ") not in " ".join(read_small(path).split()):
        raise InputError(str(path), IDT_DOORBELL, "missing: cut off, or not IDT's info")
    preset = resolve("ntb_hw_idt")
    windows, is_outbound = 0, False
    for line in read_small(path).split("\n"):
        if "Memory Windows" in line:
            is_outbound = line.startswith("Outbound")
        elif is_outbound and (window := IDT_WINDOW.match(line.strip())) is not None:
            windows += 1 + int(window[2] or window[1]) - int(window[1])
    device = DeviceFacts(
        source=str(path),
        driver=preset.driver,
        db_valid_mask=hex(preset.vector_map.db_valid_mask),
        vector_masks=[],
        link_mask="0x0",
        db_read="latched",
        mw_count=windows,
    )
    return Measured(devices=[device])


IDT_INFO = Reader(
    "IDT debugfs info", "doorbells and memory windows", "interrupts and wakeups", _idt,
    begins=lambda head: "IDT NTB device Information" in head,
)  # fmt: skip

PORT = re.compile(r"Port (\d{1,4}) \((\d{1,4})\), Global index \d{1,4}:")
BUFFER = re.compile(r"(Out|In) buffer size (0x[0-9a-fA-F]{1,16}|\d{1,19})")
LINK = re.compile(r"Link status: (up|down)")


def _perf_info(path: Path, _known: Known) -> Measured:
    """Return the links and the buffers that ntb_perf has to its peers.

    Source: Linux 7.3 drivers/ntb/test/ntb_perf.c (perf_dbgfs_read_info).
    """
    counts: list[MeasuredCount] = []
    peer = ""
    for line in read_small(path).split("\n"):
        text = line.strip()
        if (port := PORT.fullmatch(text)) is not None:
            peer = f"port {port[1]}"
        elif (link := LINK.fullmatch(text)) is not None:
            counts.append(_of_peer(path, "ntb_perf link up", peer, int(link[1] == "up")))
        elif (size := BUFFER.fullmatch(text)) is not None:
            name = f"ntb_perf {size[1].lower()} buffer (bytes)"
            counts.append(_of_peer(path, name, peer, int(size[2], 16 if "x" in size[2] else 10)))
    if not counts:
        raise InputError(str(path), "no peer", "the ports of ntb_perf's info: cut off?")
    return Measured(counts=counts)


def _of_peer(path: Path, name: str, peer: str, value: int) -> MeasuredCount:
    return MeasuredCount(source=str(path), name=name, key=peer, value=value)


PERF_INFO = Reader(
    "ntb_perf info", "its link and its buffers to each peer", "throughput: its `run` has that",
    _perf_info, begins=lambda head: "Performance measuring tool info" in head,
)  # fmt: skip
