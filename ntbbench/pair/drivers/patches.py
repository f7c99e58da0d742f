# SPDX-License-Identifier: BSD-3-Clause
"""The twelve patches of the series, what they stand on, and a driver as a choice of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ntbbench.core.errors import InputError
from ntbbench.core.names import parse_int_axis, unknown
from ntbbench.pair.drivers.kernel_around import EPF_IRQ_DB_START, ROOT_FIX_DB_START

Side = Literal["ep", "rc"]
SIDES: tuple[Side, Side] = ("ep", "rc")
ROOT_FIX = "root-fix"


@dataclass(frozen=True)
class Patch:
    """One patch: its number in the posted series, the driver it changes, its subject."""

    number: int
    side: Side
    subject: str


PATCHES = (
    Patch(1, "ep", "Document legacy MSI doorbell offset"),
    Patch(2, "ep", "Defer pci_epc_raise_irq() out of atomic context"),
    Patch(3, "ep", "Report 0-based doorbell vector via ntb_db_event()"),
    Patch(4, "ep", "Reject unusable doorbell counts"),
    Patch(5, "ep", "Guard configfs writes after EPC attach"),
    Patch(6, "ep", "Exclude reserved slots from db_valid_mask"),
    Patch(7, "ep", "Implement db_vector_count/mask for doorbells"),
    Patch(8, "rc", "Document legacy doorbell slot offset in ntb_epf_peer_db_set()"),
    Patch(9, "rc", "Make db_valid_mask cover only real doorbell bits"),
    Patch(10, "rc", "Report 0-based doorbell vector via ntb_db_event()"),
    Patch(11, "rc", "Fix doorbell bitmask and IRQ vector handling"),
    Patch(12, "rc", "Implement db_vector_count/mask for doorbells"),
)

# What the series was posted on top of; each can be switched off by itself.
PREREQUISITES: dict[str, Side] = {
    "db-count-zero": "ep",  # bind refuses a db_count of 0
    "irq-base": "rc",  # no pci_irq_vector() from hardirq: the first irq number is kept
    "isr-unwind": "rc",  # a failed request_irq() frees the irqs requested before it
}


@dataclass(frozen=True)
class Driver:
    """One side's driver by its patches; InputError: one of the other side."""

    side: Side  # "ep" (pci-epf-vntb) or "rc" (ntb_hw_epf)
    patches: frozenset[int]  # numbers of the applied patches, all of this side
    prerequisites: frozenset[str]  # names out of PREREQUISITES, all of this side
    # the slot of doorbell bit 0: 2 on the wire of every real kernel, 1 with the root fix
    db_start: int = EPF_IRQ_DB_START

    def __post_init__(self) -> None:
        known = side_patches(self.side)
        for number in sorted(self.patches - set(known)):
            allowed = f"patches of this side are {known[0]}..{known[-1]}"
            raise InputError(f"--{self.side}", number, allowed)
        for name in sorted(self.prerequisites - set(side_prerequisites(self.side))):
            raise unknown(f"--{self.side}", name, side_prerequisites(self.side))

    def has(self, number: int) -> bool:
        """Return whether patch `number` is applied."""
        return number in self.patches

    @property
    def label(self) -> str:
        """A name for people: "root-fix", "unpatched", a prefix or the set of patches."""
        if self.db_start == ROOT_FIX_DB_START:
            return ROOT_FIX
        if not self.patches:
            return "unpatched"
        if len(self.patches) == 1:
            return f"patch {min(self.patches)}"
        if self.patches == prefix(self.side, len(self.patches)).patches:
            return f"patches {number_ranges(self.patches)}"
        return "patches " + ",".join(map(str, sorted(self.patches)))


def side_patches(side: Side) -> tuple[int, ...]:
    """Return the numbers of one side's patches in posted order."""
    return tuple(patch.number for patch in PATCHES if patch.side == side)


def number_ranges(numbers: Iterable[int]) -> str:
    """Return numbers as `1-7`, `9-11`, `2,5`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in runs)


def side_prerequisites(side: Side) -> tuple[str, ...]:
    """Return the names of one side's prerequisites."""
    return tuple(name for name, owner in PREREQUISITES.items() if owner == side)


def driver(side: Side, patches: Iterable[int]) -> Driver:
    """Return a driver with `patches` on top of all prerequisites, as the series was posted."""
    return Driver(side, frozenset(patches), frozenset(side_prerequisites(side)))


def prefix(side: Side, count: int, field: str = "") -> Driver:
    """Return the driver after the first `count` patches of its half; InputError: too many, in
    `field`."""
    numbers = side_patches(side)
    if not 0 <= count <= len(numbers):
        alone = f"one patch alone is set:{numbers[-1]}"
        allowed = f"a prefix of 0..{len(numbers)} patches, or {ROOT_FIX}; {alone}"
        raise InputError(field or f"--{side}", count, allowed)
    return driver(side, numbers[:count])


def root_fix(side: Side) -> Driver:
    """Return the rejected alternative: the whole series, but bit 0 in slot 1 on both ways."""
    whole = driver(side, side_patches(side))
    return Driver(side, whole.patches, whole.prerequisites, ROOT_FIX_DB_START)


def cell_driver(side: Side, cell: int | str) -> Driver:
    """Return the driver of a row or column of the matrix: a prefix number or "root-fix"."""
    return root_fix(side) if isinstance(cell, str) else prefix(side, cell)


# The half without its patches and the whole half, in the words of `lab pair --ep-patches` too.
WHOLE = {"none": False, "all": True, "full": True}
# Kernels whose sources were read: (driver of ep, of rc).
STABLE = driver("ep", ()), driver("rc", (9, 10, 11))
NEITHER = frozenset[int](), frozenset[str]()
KERNELS: dict[str, tuple[Driver, Driver]] = {
    "6.1.192": STABLE,
    "6.12.95": (Driver("ep", *NEITHER), Driver("rc", *NEITHER)),
    "6.12.117": STABLE,
    "7.3": (driver("ep", side_patches("ep")), driver("rc", side_patches("rc"))),
}
NAMED = {"before": "6.12.95", "after": "7.3"}  # the drivers that `lab pair` calls so


def parse_driver(side: Side, text: str, end: str = "") -> Driver:
    """Return the driver that a user named.

    text: a prefix ("0" .. "7" or "5"), "root-fix", a word of WHOLE or NAMED, a kernel's version
        ("6.12.117", "debian:6.12.117"), or a set of patches: "set:3,7", "set:8-11", or the list
        without "set:" when it holds a comma or a dash. `-NAME` at the end drops a prerequisite
        ("none,-irq-base").
    end: the end that errors name; empty: the side.

    InputError: anything else.
    """
    field = f"--{end or side}-driver"
    parts = [part.strip() for part in text.split(",")]
    dropped = {part[1:] for part in parts if part.startswith("-")}
    base = _base_driver(side, ",".join(p for p in parts if not p.startswith("-")), field)
    for name in sorted(dropped - set(side_prerequisites(side))):
        raise unknown(field, name, side_prerequisites(side))
    return Driver(side, base.patches, base.prerequisites - dropped, base.db_start)


def _base_driver(side: Side, text: str, field: str) -> Driver:
    if text == ROOT_FIX:
        return root_fix(side)
    kernel = NAMED.get(text, text.removeprefix("debian:"))
    if kernel in KERNELS:
        return KERNELS[kernel][SIDES.index(side)]
    if text in WHOLE:
        return driver(side, side_patches(side) if WHOLE[text] else ())
    if text.isascii() and text.isdigit() and len(text) < 4:
        return prefix(side, int(text), field)
    numbers = side_patches(side)
    try:
        if ".." not in text:
            chosen = parse_int_axis(text.removeprefix("set:"), field, numbers[0], numbers[-1])
            return driver(side, chosen)
    except InputError:
        pass
    raise InputError(
        field,
        text,
        f"a prefix 0..{len(numbers)}, {', '.join((*NAMED, *WHOLE))}, {ROOT_FIX}, "
        f"a kernel ({', '.join(KERNELS)}), or a set like set:{numbers[0]},{numbers[-1]} of "
        f"patches {numbers[0]}..{numbers[-1]}",
    )
