# SPDX-License-Identifier: BSD-3-Clause
"""Every NTB device that ntbbench knows, by name."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from ntbbench.core.names import check_range, unknown
from ntbbench.core.options import Count
from ntbbench.ntb.devices.device import Hardware, IrqLines, low_bits, masked_map, shift_masks
from ntbbench.ntb.devices.epf_devices import EPF_DRIVERS
from ntbbench.ntb.devices.presets import FIXED
from ntbbench.ntb.records import NO_SOURCE
from ntbbench.ntb.transport import CLIENTS_MAX
from ntbbench.ntb.vectormap import DB_BITS_MAX

GENERIC = "generic"
DOORBELLS_DEFAULT = 16
DOORBELLS_MAX = 64
MW_COUNT_MAX = 4096
# Options that several commands have.
DOORBELLS = "db_count of the epf drivers, doorbell bits of generic"
MW_COUNT = Count(
    0, MW_COUNT_MAX, "memory windows instead of the device's own, with scratchpads enough for them"
)
MAX_NUM_CLIENTS = Count(0, CLIENTS_MAX, "of ntb_transport; 0: unset")

_FIXED = {hardware.name: hardware for hardware in FIXED}
_EPF = {driver.name: driver for driver in EPF_DRIVERS}


def hardware_names() -> tuple[str, ...]:
    """Return the names of all presets: the endpoint pair, `generic`, then the fixed devices."""
    return (*_EPF, GENERIC, *_FIXED)


@cache
def irq_lines() -> tuple[tuple[str, IrqLines], ...]:
    """Return the kinds of lines in /proc/interrupts, each beside the preset that has it."""
    return tuple((name, lines) for name in hardware_names() for lines in resolve(name).irqs)


def resolve(
    name: str,
    doorbells: int | None = None,
    vectors: int | None = None,
    mw_count: int | None = None,
    devices: Mapping[str, Hardware] | None = None,
) -> Hardware:
    """Return the device called `name`.

    Parameters
    ----------
    name : a preset, or a key of `devices`.
    doorbells : 1 to 64: db_count of the epf drivers, bits of `generic`; None: 16. Devices of fixed
        size ignore it.
    vectors : 1 to 64: interrupt vectors of `generic`; None: one per doorbell. All others ignore it.
    mw_count : memory windows instead of the device's own; a preset then has scratchpads enough for
        them. None: keep both.
    devices : custom devices by name.

    Raises
    ------
    InputError : an unknown name (with the nearest known one), or a number out of range.
    """
    custom = devices or {}
    known = (*custom, *hardware_names())
    if name not in known:
        raise unknown("hardware", name, known)
    db_count = DOORBELLS_DEFAULT if doorbells is None else doorbells
    check_range("doorbells", db_count, 1, DOORBELLS_MAX)
    hardware = custom.get(name) or _preset(name, db_count, vectors)
    if mw_count is None:
        return hardware
    # A device with other windows is a supposition: its scratchpads are supposed to match, or the
    # real device's few would take back what was asked for.
    windows = check_range("mw_count", mw_count, 0, MW_COUNT_MAX)
    spads = hardware.spad_count if name in custom else None
    return replace(hardware, mw_count=windows, spad_count=spads)


def _preset(name: str, doorbells: int, vectors: int | None) -> Hardware:
    if name == GENERIC:
        return generic(doorbells, doorbells if vectors is None else vectors)
    if name in _EPF:
        return _EPF[name].hardware(doorbells)
    return _FIXED[name]


def generic(doorbells: int, vectors: int) -> Hardware:
    """Return the device in which bit b belongs to vector b // ceil(doorbells / vectors).

    More vectors than doorbells is allowed: the vectors left over have no bit.
    """
    check_range("doorbells", doorbells, 1, DB_BITS_MAX)
    check_range("vectors", vectors, 1, DB_BITS_MAX)
    valid = low_bits(doorbells)
    shift = -(-doorbells // vectors)
    return Hardware(
        name=GENERIC,
        driver="-",
        description="any number of doorbells and vectors, no other limit",
        doorbells=doorbells,
        vectors=vectors,
        vector_map=masked_map(valid, [mask & valid for mask in shift_masks(vectors, shift)]),
        link_mask=0,
        mw_count=None,
        spad_count=None,
        db_read="latched",
        sized="free",
        source=NO_SOURCE,
    )
