# SPDX-License-Identifier: BSD-3-Clause
"""The real NTB devices of fixed size: an entry each holds all that ntbbench knows of it.

Facts name the place that they were read from; what the audit finds, the line of the driver.
"""

from dataclasses import replace
from functools import partial

from ntbbench.ntb.device import (
    Hardware,
    IrqGrant,
    IrqLines,
    VectorRules,
    low_bits,
    masked_map,
    plain_map,
    shift_masks,
)
from ntbbench.ntb.records import AuditRule, Citation
from ntbbench.ntb.vectormap import VectorMap

HW = "drivers/ntb/hw/"
# The kernel of the line numbers below, and the files.
intel_line = partial(Citation, "7.3.4", f"{HW}intel/ntb_hw_gen1.c")
amd_line = partial(Citation, "7.3.4", f"{HW}amd/ntb_hw_amd.c")
switchtec_line = partial(Citation, "7.3.4", f"{HW}mscc/ntb_hw_switchtec.c")
ONE_IRQ = (IrqLines("ndev_irq_isr", "all"),)  # of Intel's and of AMD's driver
AMD_DB_CNT = 16  # ntb_hw_amd.h; the fewest MSI-X vectors that the driver takes
AMD_MSIX_VECTOR_CNT = 24  # ntb_hw_amd.h; it keeps this number whatever it was granted

INTEL_RULES = VectorRules(
    vectors_beyond=1,
    citations={
        AuditRule.EMPTY_VECTOR: intel_line(
            "ndev_init_isr", 410, "ndev->db_vec_count = msix_count;"
        ),
        AuditRule.VECTOR_BOUND: intel_line(
            "intel_ntb_db_vector_mask", 1074, "if (db_vector < 0 || db_vector > ndev->db_vec_count)"
        ),
    },
)
# Besides the lines cited: amd_init_isr() and ndev_deinit_isr().
AMD_RULES = VectorRules(
    event_vectors=tuple(range(AMD_DB_CNT)),
    vectors_beyond=1,
    irq_grant=IrqGrant(AMD_DB_CNT, AMD_MSIX_VECTOR_CNT, AMD_MSIX_VECTOR_CNT),
    citations={
        AuditRule.EVENT_VECTOR: amd_line("ndev_interrupt", 698, "ntb_db_event(&ndev->ntb, vec);"),
        AuditRule.VECTOR_BOUND: amd_line(
            "amd_ntb_db_vector_mask", 423, "if (db_vector < 0 || db_vector > ndev->db_count)"
        ),
        AuditRule.IRQ_COUNT: amd_line("ndev_init_isr", 768, "ndev->msix_vec_count = msix_max;"),
        AuditRule.QP: amd_line("amd_init_dev", 1151, "ndev->db_count -= 1;"),
    },
)
SWITCHTEC_RULES = VectorRules(
    vectors_beyond=1,
    citations={
        AuditRule.VECTOR_BOUND: switchtec_line(
            "switchtec_ntb_db_vector_mask", 619, "if (db_vector < 0 || db_vector > 1)"
        )
    },
)

# Xeon: bit 15 is the link's; MSI-X vector 3 covers bits 15 to 19, so only the link.
INTEL_GEN1 = Hardware(
    name="ntb_hw_intel-gen1",
    driver="ntb_hw_intel",
    description="Xeon, MSI-X: 5 bits a vector, the last vector for the link",
    doorbells=15,
    vectors=4,
    vector_map=masked_map(low_bits(15), [mask & low_bits(16) for mask in shift_masks(4, 5)]),
    link_mask=1 << 15,
    mw_count=2,  # XEON_MW_COUNT; 3 with split BARs
    spad_count=16,  # XEON_SPAD_COUNT; half of it where not back to back
    source="Linux 7.3 drivers/ntb/hw/intel/ntb_hw_gen1.c (xeon_init_ntb, xeon_init_isr, "
    "ndev_init_isr, ndev_vec_mask, intel_ntb_db_vector_mask), ntb_hw_gen1.h",
    irqs=(IrqLines("ndev_vec_isr", "vectors", (4,)),),
    rules=INTEL_RULES,
)

# Xeon whose bit 14 cannot be rung back to back (NTB_HWERR_B2BDOORBELL_BIT14).
INTEL_GEN1_ERRATUM = replace(
    INTEL_GEN1,
    name="ntb_hw_intel-gen1-erratum",
    description="Xeon, MSI-X, with the bit-14 erratum: one doorbell less",
    doorbells=14,
    vector_map=masked_map(low_bits(14), INTEL_GEN1.vector_map.irq_masks),
    reserved_mask=1 << 14,
    irqs=(),
    alike=INTEL_GEN1.name,
)

# Skylake: the link's bit 32 raises vector 31, as 32 is broken (MSIX_VECTOR32_BAD).
INTEL_GEN3 = Hardware(
    name="ntb_hw_intel-gen3",
    driver="ntb_hw_intel",
    description="Skylake, MSI-X: one bit a vector, vector 31 for the link",
    doorbells=31,
    vectors=33,
    vector_map=masked_map(low_bits(31), [*shift_masks(31, 1), 1 << 31 | 1 << 32, 0]),
    link_mask=1 << 31 | 1 << 32,
    mw_count=2,  # XEON_MW_COUNT
    spad_count=16,  # GEN3_SPAD_COUNT
    source="Linux 7.3 drivers/ntb/hw/intel/ntb_hw_gen3.c (gen3_init_ntb, gen3_init_isr), "
    "ntb_hw_gen1.c (ndev_interrupt, intel_ntb_db_vector_mask), ntb_hw_gen3.h",
    irqs=(IrqLines("ndev_vec_isr", "vectors", (33,)),),
    rules=INTEL_RULES,
)

GEN3_MASK = Citation(
    "6.14",
    f"{HW}intel/ntb_hw_gen3.c",
    "gen3_init_ntb",
    217,
    "ndev->db_valid_mask = BIT_ULL(ndev->db_count) - 1;",
)
# Before, bit 31 was a doorbell and the link's at once (ntb_hw_intel: Fix using link status DB's).
INTEL_GEN3_BEFORE = replace(
    INTEL_GEN3,
    name="ntb_hw_intel-gen3-before-6.15",
    description="Skylake before Linux 6.15, MSI-X: bit 31 is a doorbell and the link's at once",
    doorbells=32,
    vector_map=masked_map(low_bits(32), INTEL_GEN3.vector_map.irq_masks),
    source="Linux 6.14 drivers/ntb/hw/intel/ntb_hw_gen3.c (gen3_init_ntb); stable kernels since "
    "April 2025 have the later facts",
    irqs=(),
    alike=INTEL_GEN3.name,
    before="6.15",
    rules=replace(
        INTEL_RULES,
        citations={**INTEL_RULES.citations, AuditRule.FOREIGN_BIT: GEN3_MASK},
    ),
)

# Ice Lake and later: the link's bit 32 has vector 32.
INTEL_GEN4 = replace(
    INTEL_GEN3,
    name="ntb_hw_intel-gen4",
    description="Ice Lake and later, MSI-X: one bit a vector, vector 32 for the link",
    doorbells=32,
    vector_map=masked_map(low_bits(32), shift_masks(33, 1)),
    link_mask=1 << 32,
    source="Linux 7.3 drivers/ntb/hw/intel/ntb_hw_gen4.c (gen4_init_ntb, gen4_init_isr), "
    "ntb_hw_gen1.c (ndev_interrupt, intel_ntb_db_vector_mask), ntb_hw_gen4.h",
)


def intel_intx(
    msix: Hardware, total_shift: int, irqs: tuple[IrqLines, ...] = (), alike: str = ""
) -> Hardware:
    """The same device with MSI or INTx: one vector covers all bits, the link's too."""
    return replace(
        msix,
        name=f"{msix.name}-intx",
        description=f"{msix.description.partition(',')[0]}, MSI or INTx: one vector covers all",
        vectors=1,
        vector_map=masked_map(msix.vector_map.db_valid_mask, [low_bits(total_shift)]),
        irqs=irqs,
        alike=alike,
    )


GEN1_INTX = intel_intx(INTEL_GEN1, 16, ONE_IRQ)  # XEON_DB_TOTAL_SHIFT

# 16 bits; the driver keeps the top one for its unload, a link event.
AMD = Hardware(
    name="ntb_hw_amd",
    driver="ntb_hw_amd",
    description="MSI-X: one bit a vector, the top bit kept for the link",
    doorbells=15,
    vectors=15,
    vector_map=VectorMap(
        db_valid_mask=low_bits(15),
        irq_masks=shift_masks(16, 1),
        db_vector_count=15,
        db_vector_masks=(*shift_masks(15, 1), 0),
    ),
    link_mask=1 << 15,
    mw_count=3,  # device 145b; 2 on the others
    spad_count=8,  # AMD_SPADS_CNT / 2, one half a side
    source="Linux 7.3 drivers/ntb/hw/amd/ntb_hw_amd.c (amd_init_ntb, amd_init_dev, "
    "ndev_init_isr, amd_ntb_db_vector_count, amd_ntb_db_vector_mask, dev_data), "
    "ntb_hw_amd.h",
    irqs=(IrqLines("ndev_vec_isr", "vectors", range(AMD_DB_CNT, AMD_MSIX_VECTOR_CNT + 1)),),
    since="5.7",
    rules=AMD_RULES,
)

# Before, the driver had no message for its unload (NTB: send DB event when driver is loaded or
# un-loaded): the vectors above the doorbells are for events alone.
AMD_BEFORE = replace(
    AMD,
    name="ntb_hw_amd-before-5.7",
    description="MSI-X before Linux 5.7: all 16 bits are doorbells",
    doorbells=16,
    vectors=16,
    vector_map=masked_map(low_bits(16), shift_masks(16, 1)),
    link_mask=0,
    source="Linux before 5.7 drivers/ntb/hw/amd/ntb_hw_amd.c (amd_init_dev, ndev_init_isr)",
    irqs=(),
    alike=AMD.name,
    before="5.7",
    since="",
)

# With one interrupt the driver counts one doorbell and keeps it as the top one.
AMD_INTX = replace(
    AMD,
    name="ntb_hw_amd-intx",
    description="MSI or INTx: no doorbell is left, no QP can be created",
    doorbells=0,
    vectors=0,
    vector_map=VectorMap(db_valid_mask=0, irq_masks=(1,), db_vector_count=0, db_vector_masks=(0,)),
    link_mask=1,
    irqs=ONE_IRQ,
    since="",
    rules=replace(AMD_RULES, event_vectors=(0,), irq_grant=None),
)

# Two partitions share 64 bits; the message interrupt takes the top four of each half.
SWITCHTEC = Hardware(
    name="ntb_hw_switchtec",
    driver="ntb_hw_switchtec",
    # Link events come by message.
    description="partition pair: one doorbell interrupt covers all",
    doorbells=28,
    vectors=1,
    vector_map=masked_map(low_bits(28), [low_bits(28)]),
    mw_count=6,  # MAX_DIRECT_MW (use_lut_mws is off); the real number is the switch's set-up
    spad_count=128,  # struct shared_mw
    source="Linux 7.3 drivers/ntb/hw/mscc/ntb_hw_switchtec.c (switchtec_ntb_init_db, "
    "switchtec_ntb_init_db_msg_irq, switchtec_ntb_db_vector_mask, "
    "switchtec_ntb_peer_mw_count, switchtec_ntb_spad_count)",
    irqs=(
        IrqLines("switchtec_ntb_doorbell", "doorbells"),
        IrqLines("switchtec_ntb_message", "messages"),
    ),
    rules=SWITCHTEC_RULES,
    reserved_mask=low_bits(4) << 28,
    mask_past_end=low_bits(28),  # the check is `> 1`, and vectors count from 0
)

# Each side has its own doorbell registers.
SWITCHTEC_CROSSLINK = replace(
    SWITCHTEC,
    name="ntb_hw_switchtec-crosslink",
    description="crosslink: one doorbell interrupt covers all",
    doorbells=60,
    vector_map=masked_map(low_bits(60), [low_bits(60)]),
    reserved_mask=low_bits(4) << 60,
    irqs=(),
    alike=SWITCHTEC.name,
    mask_past_end=low_bits(60),
)

MSI_SHIFT = Citation(
    "6.14",
    "drivers/ntb/ntb_transport.c",
    "ntb_transport_probe",
    1356,
    "nt->msi_db_mask = 1 << qp_count;",
)
# Before, ntb_transport shifted an int for the MSI doorbell (ntb: use 64-bit arithmetic for the MSI
# doorbell mask); of all devices only this one has so many bits.
SWITCHTEC_CROSSLINK_BEFORE = replace(
    SWITCHTEC_CROSSLINK,
    name="ntb_hw_switchtec-crosslink-before-6.15",
    description="crosslink before Linux 6.15: use_msi takes a wrong doorbell bit",
    source="Linux 6.14 drivers/ntb/ntb_transport.c (ntb_transport_probe), stable kernels since "
    "April 2025 have the later facts; of the device: " + SWITCHTEC.source,
    before="6.15",
    rules=replace(
        SWITCHTEC_RULES,
        msi_shift_bits=32,
        citations={**SWITCHTEC_RULES.citations, AuditRule.MSI_MASK: MSI_SHIFT},
    ),
)

# A device for the message API: no scratchpads and no inbound windows, so no ntb_transport.
IDT = Hardware(
    name="ntb_hw_idt",
    driver="ntb_hw_idt",
    description="no vector callbacks; ntb_transport does not bind to it",
    doorbells=32,
    vectors=1,
    vector_map=plain_map(low_bits(32), [low_bits(32)]),
    mw_count=29,  # IDT_MAX_NR_MWS; the real number is the switch's set-up
    spad_count=0,
    source="Linux 7.3 drivers/ntb/hw/idt/ntb_hw_idt.c (idt_ntb_ops, idt_ntb_db_valid_mask, "
    "idt_thread_isr, idt_scan_mws), ntb_hw_idt.h",
    irqs=(IrqLines("ntb_irq_idt", "all"),),
    callbacks=False,
    mask_past_end=low_bits(32),
    refusal="ntb_transport does not bind (EINVAL): the driver has no inbound memory windows "
    "(mw_set_trans) and no scratchpads",
)


FIXED: tuple[Hardware, ...] = (
    INTEL_GEN1,
    GEN1_INTX,
    INTEL_GEN1_ERRATUM,
    INTEL_GEN3,
    intel_intx(INTEL_GEN3, 33, alike=GEN1_INTX.name),  # GEN3_DB_TOTAL_SHIFT
    INTEL_GEN3_BEFORE,
    INTEL_GEN4,
    intel_intx(INTEL_GEN4, 33, alike=GEN1_INTX.name),  # GEN4_DB_TOTAL_SHIFT
    AMD,
    AMD_BEFORE,
    AMD_INTX,
    SWITCHTEC,
    SWITCHTEC_CROSSLINK,
    SWITCHTEC_CROSSLINK_BEFORE,
    IDT,
)
