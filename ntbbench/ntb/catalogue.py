# SPDX-License-Identifier: BSD-3-Clause
"""Every NTB device that ntbbench knows, by name; the endpoint pair for any db_count.

The pair is there before ("legacy") and after ("v4") the series.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from ntbbench.core.names import check_range, unknown
from ntbbench.core.options import Count
from ntbbench.ntb.device import (
    DbRead,
    Hardware,
    IrqLines,
    VectorRules,
    low_bits,
    masked_map,
    plain_map,
    shift_masks,
)
from ntbbench.ntb.presets import FIXED
from ntbbench.ntb.records import AuditRule, Citation
from ntbbench.ntb.transport import CLIENTS_MAX
from ntbbench.ntb.vectormap import DB_BITS_MAX, VectorMap, bits_of

EPF_SLOTS_BEFORE_DB = 2  # slot 0: link, slot 1: reserved
CITED = "6.12.95"  # the kernel of the line numbers below: the drivers before the series
EPF_FILE = "drivers/ntb/hw/epf/ntb_hw_epf.c"
VNTB_FILE = "drivers/pci/endpoint/functions/pci-epf-vntb.c"
EPF_MASK = Citation(
    CITED, EPF_FILE, "ntb_epf_init_dev", 563, "ndev->db_valid_mask = BIT_ULL(ndev->db_count) - 1;"
)
EPF_EVENT = Citation(CITED, EPF_FILE, "ntb_epf_vec_isr", 327, "ntb_db_event(&ndev->ntb, irq_no);")
VNTB_MASK = Citation(
    CITED, VNTB_FILE, "vntb_epf_db_valid_mask", 1042, "return BIT_ULL(ntb_ndev(ntb)->db_count) - 1;"
)


@dataclass(frozen=True)
class EpfDriver:
    """One driver of the pair at one side of the series."""

    name: str
    driver: str
    description: str
    valid_less: int  # how many bits db_valid_mask has less than db_count
    real_less: int  # how many real doorbells there are less than db_count
    db_counts: tuple[int, int]  # the db_counts that the driver accepts, lowest and highest
    callbacks: bool
    action: str  # of its lines in /proc/interrupts, one a slot; empty: another entry has them
    source: str
    citations: Mapping[AuditRule, Citation] = field(default_factory=dict)
    # db_count is pci-epf-ntb's, which offers each host as many MSIs, in a power of two; of those
    # the host has one for the link
    joined: bool = False

    def hardware(self, slots: int) -> Hardware:
        """Return the device that this driver makes with a db_count of `slots`."""
        db_count = (1 << (slots - 1).bit_length()) - 1 if self.joined else slots
        low, high = self.db_counts
        fits = low <= slots <= high
        refusal = f"{self.driver} takes a db_count from {low} to {high}, not {slots} (EINVAL)"
        valid = low_bits(db_count - self.valid_less) if fits else 0
        lost = valid & ~low_bits(max(db_count - self.real_less, 0)) if fits else 0
        build: Callable[..., VectorMap] = masked_map if self.callbacks else plain_map
        vector_map = build(valid, shift_masks(valid.bit_length(), 1))
        db_read: DbRead = "latched" if self.callbacks else "legacy"
        # Before the series the drivers took slots for vectors. They would pass on slot 1 too, the
        # reserved one, but nobody rings it.
        vectors = tuple(EPF_SLOTS_BEFORE_DB + bit for bit in bits_of(valid & ~lost))
        rules = VectorRules(None if self.callbacks else vectors, citations=self.citations)
        return Hardware(
            name=self.name,
            driver=self.driver,
            description=self.description,
            doorbells=slots,
            vectors=vector_map.db_vector_count,
            vector_map=vector_map,
            mw_count=4,  # MAX_MW, NTB_EPF_MAX_MW_COUNT
            spad_count=128,  # as Documentation/PCI/endpoint/pci-vntb-howto.rst sets it
            db_read=db_read,
            sized="db_count",
            source=self.source,
            irqs=(IrqLines(self.action, "slots"),) if self.action else (),
            rules=rules,
            called=f"{self.driver} {'after' if self.callbacks else 'before'} the series",
            callbacks=self.callbacks,
            lost_mask=lost,
            mask_past_end=0 if self.callbacks else valid,
            refusal=None if fits else refusal,
        )


EPF_DRIVERS: tuple[EpfDriver, ...] = (
    EpfDriver(
        name="ntb_hw_epf-legacy",
        driver="ntb_hw_epf",
        description="RC before the series: no vector callbacks, one bit too many",
        valid_less=0,
        real_less=1,
        db_counts=(3, 31),
        callbacks=False,
        action="ntb_epf",
        source="Linux 6.12.95 drivers/ntb/hw/epf/ntb_hw_epf.c "
        "(ntb_epf_init_dev, ntb_epf_init_isr, ntb_epf_ops)",
        citations={
            AuditRule.SLOT: EPF_MASK,
            AuditRule.EVENT_VECTOR: EPF_EVENT,
            AuditRule.QP: EPF_MASK,
        },
    ),
    EpfDriver(
        name="ntb_hw_epf-v4",
        driver="ntb_hw_epf",
        description="RC after the series: one vector a doorbell",
        valid_less=1,
        real_less=1,
        db_counts=(3, 31),
        callbacks=True,
        action="ntb_epf",
        source="Linux 7.3 drivers/ntb/hw/epf/ntb_hw_epf.c (ntb_epf_init_dev, ntb_epf_init_isr, "
        "ntb_epf_db_vector_count, ntb_epf_db_vector_mask)",
    ),
    EpfDriver(
        name="pci-epf-vntb-legacy",
        driver="pci-epf-vntb",
        description="EP before the series: no vector callbacks, two bits too many",
        valid_less=0,
        real_less=2,
        db_counts=(1, 32),
        callbacks=False,
        action="pci_epf_vntb_db",
        source="Linux 6.12.95 drivers/pci/endpoint/functions/pci-epf-vntb.c "
        "(vntb_epf_db_valid_mask, epf_ntb_cmd_handler, vntb_epf_ops)",
        citations={
            AuditRule.SLOT: VNTB_MASK,
            AuditRule.EVENT_VECTOR: Citation(
                CITED, VNTB_FILE, "epf_ntb_cmd_handler", 262, "ntb_db_event(&ntb->ntb, i);"
            ),
            AuditRule.QP: VNTB_MASK,
        },
    ),
    EpfDriver(
        name="pci-epf-vntb-v4",
        driver="pci-epf-vntb",
        description="EP after the series: one vector a doorbell",
        valid_less=2,
        real_less=2,
        db_counts=(3, 32),
        callbacks=True,
        action="pci_epf_vntb_db",
        source="Linux 7.3 drivers/pci/endpoint/functions/pci-epf-vntb.c (vntb_epf_db_valid_mask, "
        "vntb_epf_db_vector_count, vntb_epf_db_vector_mask)",
    ),
    # In /proc/interrupts of such a host stand the lines of ntb_hw_epf: a capture is of that.
    EpfDriver(
        name="pci-epf-ntb-legacy",
        driver="pci-epf-ntb",
        description="host of pci-epf-ntb, ntb_hw_epf before the series",
        valid_less=0,
        real_less=1,
        db_counts=(3, 32),
        callbacks=False,
        action="",
        source="Linux 7.3 drivers/pci/endpoint/functions/pci-epf-ntb.c "
        "(epf_ntb_configure_interrupt); Linux 6.12.95 drivers/ntb/hw/epf/ntb_hw_epf.c",
        citations={
            AuditRule.SLOT: EPF_MASK,
            AuditRule.EVENT_VECTOR: EPF_EVENT,
            AuditRule.QP: EPF_MASK,
        },
        joined=True,
    ),
    EpfDriver(
        name="pci-epf-ntb-v4",
        driver="pci-epf-ntb",
        description="host of pci-epf-ntb, ntb_hw_epf after the series",
        valid_less=1,
        real_less=1,
        db_counts=(3, 32),
        callbacks=True,
        action="",
        source="Linux 7.3 drivers/pci/endpoint/functions/pci-epf-ntb.c "
        "(epf_ntb_configure_interrupt), drivers/ntb/hw/epf/ntb_hw_epf.c",
        joined=True,
    ),
)


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


def presets_of(action: str) -> list[str]:
    """Return the presets whose interrupt lines have an action, those that others stand for too."""
    own = [name for name, lines in irq_lines() if lines.action == action]
    return [name for name in hardware_names() if {name, resolve(name).alike} & {*own}]


def resolve(
    name: str,
    doorbells: int | None = None,
    vectors: int | None = None,
    mw_count: int | None = None,
    devices: Mapping[str, Hardware] | None = None,
) -> Hardware:
    """Return the device called `name`.

    doorbells: 1 to 64: db_count of the epf drivers, bits of `generic`; None: 16. Devices of fixed
        size ignore it, as all but `generic` do its `vectors`, 1 to 64; None: one a doorbell.
    mw_count: memory windows instead of the device's own; a preset then has scratchpads enough.
    devices: custom devices by name.
    InputError: an unknown name (with the nearest known one), or a number out of range.
    """
    custom = devices or {}
    known = (*custom, *hardware_names())
    if name not in known:
        raise unknown("hardware", name, known)
    db_count = DOORBELLS_DEFAULT if doorbells is None else doorbells
    check_range("doorbells", db_count, 1, DOORBELLS_MAX)
    if name in custom:
        hardware = custom[name]
    elif name == GENERIC:
        hardware = generic(db_count, db_count if vectors is None else vectors)
    else:
        hardware = _EPF[name].hardware(db_count) if name in _EPF else _FIXED[name]
    if mw_count is None:
        return hardware
    # A device with other windows is a supposition: its scratchpads are supposed to match, or the
    # real device's few would take back what was asked for.
    windows = check_range("mw_count", mw_count, 0, MW_COUNT_MAX)
    spads = hardware.spad_count if name in custom else None
    return replace(hardware, mw_count=windows, spad_count=spads)


def generic(doorbells: int, vectors: int) -> Hardware:
    """Return the device with bit b of vector b // ceil(doorbells / vectors); some may have none."""
    check_range("doorbells", doorbells, 1, DB_BITS_MAX)
    check_range("vectors", vectors, 1, DB_BITS_MAX)
    valid = low_bits(doorbells)
    shift = -(-doorbells // vectors)
    return Hardware(
        name=GENERIC,
        description="any number of doorbells and vectors, no other limit",
        doorbells=doorbells,
        vectors=vectors,
        vector_map=masked_map(valid, [mask & valid for mask in shift_masks(vectors, shift)]),
        sized="free",
    )
