# SPDX-License-Identifier: BSD-3-Clause
"""The device that a capture is held against: named, rebuilt from the capture, or a candidate."""

from collections.abc import Sequence
from dataclasses import dataclass

from ntbbench.capture.evidence import Evidence
from ntbbench.capture.measured import DeviceFacts
from ntbbench.core.errors import InputError
from ntbbench.ntb.devices.catalogue import irq_lines, resolve
from ntbbench.ntb.devices.device import DbRead, masked_map
from ntbbench.ntb.vectormap import VectorMap

DB_READS: dict[str, DbRead] = {"latched": "latched", "zero": "zero", "legacy": "legacy"}


@dataclass(frozen=True)
class Subject:
    """The device that a capture is held against; `masks` by vector as the driver reports them."""

    name: str
    source: str
    db_valid_mask: int
    masks: tuple[int, ...]
    link_mask: int
    db_read: DbRead
    callbacks: bool

    def mask(self, vector: int) -> int:
        """Return what ntb_db_vector_mask() returns: without callbacks every doorbell."""
        if not self.callbacks:
            return self.db_valid_mask
        return self.masks[vector] if vector < len(self.masks) else 0


def preset_subject(name: str, doorbells: int | None = None) -> Subject:
    """Return a preset as a subject.

    Raises
    ------
    InputError : an unknown name, or doorbells out of range.
    """
    hardware = resolve(name, doorbells)
    vector_map = hardware.vector_map
    return Subject(
        name=name,
        source=hardware.source,
        db_valid_mask=vector_map.db_valid_mask,
        masks=vector_map.db_vector_masks,
        link_mask=hardware.link_mask,
        db_read=hardware.db_read,
        callbacks=hardware.callbacks,
    )


def rebuilt_subject(facts: DeviceFacts) -> Subject:
    """Return the device that the capture itself describes.

    Raises
    ------
    InputError : masks that are no u64 or overlap, in a file that was edited.
    """
    try:
        valid, link = int(facts.db_valid_mask, 16), int(facts.link_mask, 16)
        masks = tuple(int(mask, 16) for mask in facts.vector_masks)
    except ValueError:
        raise InputError(facts.source, facts.db_valid_mask, "masks in hexadecimal") from None
    if facts.db_read not in DB_READS:
        raise InputError(facts.source, facts.db_read, f"db_read: {' or '.join(DB_READS)}")
    checked: VectorMap = masked_map(valid, masks or (valid,))
    return Subject(
        name="rebuilt from the capture",
        source=facts.source,
        db_valid_mask=checked.db_valid_mask,
        masks=checked.db_vector_masks,
        link_mask=link,
        db_read=DB_READS[facts.db_read],
        callbacks=bool(masks),
    )


def candidates(action: str) -> list[str]:
    """Return the presets that an interrupt line of this action may be of."""
    doorbells = [(name, lines) for name, lines in irq_lines() if lines.layout != "messages"]
    return [name for name, lines in doorbells if lines.action == action]


def subjects_of(evidence: Evidence, names: Sequence[str], doorbells: int | None) -> list[Subject]:
    """Return the devices to hold a capture against: the named, the rebuilt, or the candidates.

    Raises
    ------
    InputError : none is named, and the capture does not tell which it may be.
    """
    if names:
        return [preset_subject(name, doorbells) for name in names]
    if evidence.devices:
        return [rebuilt_subject(facts) for facts in evidence.devices]
    found = [name for action in sorted(evidence.actions) for name in candidates(action)]
    if not found:
        shown = ", ".join(sorted(evidence.actions)) or "none"
        raise InputError(
            "--hardware",
            None,
            f"{evidence.capture} does not tell its device (NTB interrupt lines: {shown}): "
            "name a preset, see `ntbbench hardware`",
        )
    return [preset_subject(name, doorbells) for name in found]
