# SPDX-License-Identifier: BSD-3-Clause
"""The device that a capture is held against: named, rebuilt from the capture, or a candidate."""

from collections.abc import Sequence
from dataclasses import replace

from ntbbench.capture.evidence import Evidence
from ntbbench.capture.measured_records import DeviceFacts
from ntbbench.core.errors import InputError
from ntbbench.ntb.catalogue import GENERIC, irq_lines, resolve
from ntbbench.ntb.device import DbRead, Hardware, masked_map

DB_READS: dict[str, DbRead] = {"latched": "latched", "zero": "zero", "legacy": "legacy"}


def presets_of(action: str) -> list[str]:
    """Return the presets that an interrupt line of this action may be of."""
    doorbells = [(name, lines) for name, lines in irq_lines() if lines.layout != "messages"]
    return [name for name, lines in doorbells if lines.action == action]


def candidates(evidence: Evidence, names: Sequence[str], doorbells: int | None) -> list[Hardware]:
    """Return the devices to hold a capture against: the named, the rebuilt, or those it may be.

    Raises
    ------
    InputError : none is named, and the capture does not say which it may be.
    """
    if not names and evidence.devices:
        return [_rebuilt(facts) for facts in evidence.devices]
    found = [name for action in sorted(evidence.actions) for name in presets_of(action)]
    if not names and not found:
        shown = ", ".join(sorted(evidence.actions)) or "none"
        raise InputError(
            "--hardware",
            None,
            f"{evidence.capture} does not tell its device (NTB interrupt lines: {shown}): "
            "name a preset, see `ntbbench hardware`",
        )
    return [resolve(name, doorbells) for name in names or found]


def _rebuilt(facts: DeviceFacts) -> Hardware:
    """Return the device that the capture itself describes; its file may have been edited."""
    try:
        valid, link = int(facts.db_valid_mask, 16), int(facts.link_mask, 16)
        masks = tuple(int(mask, 16) for mask in facts.vector_masks)
    except ValueError:
        raise InputError(facts.source, facts.db_valid_mask, "masks in hexadecimal") from None
    if facts.db_read not in DB_READS:
        raise InputError(facts.source, facts.db_read, f"db_read: {' or '.join(DB_READS)}")
    return replace(
        resolve(GENERIC),
        name="rebuilt from the capture",
        source=facts.source,
        vector_map=masked_map(valid, masks or (valid,)),
        link_mask=link,
        db_read=DB_READS[facts.db_read],
        callbacks=bool(masks),
    )


def mask_of(device: Hardware, vector: int) -> int:
    """Return what ntb_db_vector_mask() returns: without callbacks every doorbell."""
    masks = device.vector_map.db_vector_masks
    if not device.callbacks:
        return device.vector_map.db_valid_mask
    return masks[vector] if vector < len(masks) else 0
