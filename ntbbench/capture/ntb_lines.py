# SPDX-License-Identifier: BSD-3-Clause
"""Which lines of /proc/interrupts are an NTB device's, and which slot each of them is."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ntbbench.capture.proc import Row

MSI_INDEX_BITS = 11  # pci_msi_domain_calc_hwirq(): hwirq = index | devid << 11, Linux 6.12
FIRST_DOORBELL = 2  # slot 0: link, slot 1: reserved
DOORBELL = "doorbell bit"


@dataclass(frozen=True)
class Slot:
    """The place of a line among those of its device, what it means, whether it is a doorbell.

    `is_doorbell` is True also where the line carries other events too: then `role` says so.
    """

    slot: int
    role: str
    is_doorbell: bool


def _epf(slot: int, lines: int) -> Slot:
    if lines == 1:
        return Slot(slot, "all slots on one line (embedded doorbell)", True)
    if slot < FIRST_DOORBELL:
        return Slot(slot, ("link", "reserved")[slot], False)
    return Slot(slot, f"{DOORBELL} {slot - FIRST_DOORBELL}", True)


def _vector(slot: int, _lines: int) -> Slot:
    return Slot(slot, f"vector {slot} (link events too, where the vector has a link bit)", True)


def _all(slot: int, _lines: int) -> Slot:
    return Slot(slot, "all doorbells, and link events", True)


def _message(slot: int, _lines: int) -> Slot:
    return Slot(slot, "link and messages", False)


def _msi(slot: int, _lines: int) -> Slot:
    return Slot(slot, f"MSI of a QP, number {slot} of them", True)


# By action (request_irq's name); Linux 7.3 drivers/ntb, pci-epf-vntb.c.
ACTIONS: dict[str, Callable[[int, int], Slot]] = {
    "ntb_epf": _epf,
    "pci_epf_vntb_db": _epf,
    "ndev_vec_isr": _vector,
    "ndev_irq_isr": _all,
    "switchtec_ntb_doorbell": _all,
    "switchtec_ntb_message": _message,
    "ntb_irq_idt": _all,
    "ntb_transport": _msi,
}


def action_of(row: Row) -> str | None:
    """Return the NTB action of a line, which may be shared with others; None: it has none."""
    actions = [part.strip() for part in row.action.split(",")]
    return next((action for action in actions if action in ACTIONS), None)


def find_slots(rows: Iterable[Row]) -> dict[str, Slot]:
    """Return the slot of each NTB line by label; lines of one device count in file order."""
    groups: defaultdict[tuple[str, str, int], list[str]] = defaultdict(list)
    for row in rows:
        if (action := action_of(row)) is not None:
            device = 0 if row.hwirq is None else row.hwirq >> MSI_INDEX_BITS
            groups[action, row.chip, device].append(row.label)
    return {
        label: ACTIONS[action](slot, len(labels))
        for (action, _, _), labels in groups.items()
        for slot, label in enumerate(labels)
    }
