# SPDX-License-Identifier: BSD-3-Clause
"""What each driver does with vector numbers, and the source line that decides over a rule."""

from ntbbench.ntb.audit.records import Citation, Conduct, IrqGrant, Rule
from ntbbench.ntb.devices.device import Hardware
from ntbbench.ntb.devices.epf_devices import EPF_SLOTS_BEFORE_DB
from ntbbench.ntb.vectormap import bits_of

NEW = "7.3.4"
OLD = "6.12.95"  # the drivers of the endpoint pair before the series
AMD_DB_CNT = 16  # ntb_hw_amd.h; the fewest MSI-X vectors that the driver takes
AMD_MSIX_VECTOR_CNT = 24  # ntb_hw_amd.h; it keeps this number whatever it was granted
INTEL_FILE = "drivers/ntb/hw/intel/ntb_hw_gen1.c"
AMD_FILE = "drivers/ntb/hw/amd/ntb_hw_amd.c"
SWITCHTEC_FILE = "drivers/ntb/hw/mscc/ntb_hw_switchtec.c"
EPF_FILE = "drivers/ntb/hw/epf/ntb_hw_epf.c"
VNTB_FILE = "drivers/pci/endpoint/functions/pci-epf-vntb.c"

INTEL = {
    Rule.EMPTY_VECTOR: Citation(
        NEW, INTEL_FILE, "ndev_init_isr", 410, "ndev->db_vec_count = msix_count;"
    ),
    Rule.VECTOR_BOUND: Citation(
        NEW,
        INTEL_FILE,
        "intel_ntb_db_vector_mask",
        1074,
        "if (db_vector < 0 || db_vector > ndev->db_vec_count)",
    ),
}
AMD = {
    Rule.EVENT_VECTOR: Citation(
        NEW, AMD_FILE, "ndev_interrupt", 698, "ntb_db_event(&ndev->ntb, vec);"
    ),
    Rule.VECTOR_BOUND: Citation(
        NEW,
        AMD_FILE,
        "amd_ntb_db_vector_mask",
        423,
        "if (db_vector < 0 || db_vector > ndev->db_count)",
    ),
    Rule.IRQ_COUNT: Citation(
        NEW, AMD_FILE, "ndev_init_isr", 768, "ndev->msix_vec_count = msix_max;"
    ),
    Rule.QP: Citation(NEW, AMD_FILE, "amd_init_dev", 1151, "ndev->db_count -= 1;"),
}
SWITCHTEC = {
    Rule.VECTOR_BOUND: Citation(
        NEW,
        SWITCHTEC_FILE,
        "switchtec_ntb_db_vector_mask",
        619,
        "if (db_vector < 0 || db_vector > 1)",
    ),
}
EPF_MASK = Citation(
    OLD, EPF_FILE, "ntb_epf_init_dev", 563, "ndev->db_valid_mask = BIT_ULL(ndev->db_count) - 1;"
)
EPF_LEGACY = {
    Rule.SLOT: EPF_MASK,
    Rule.EVENT_VECTOR: Citation(
        OLD, EPF_FILE, "ntb_epf_vec_isr", 327, "ntb_db_event(&ndev->ntb, irq_no);"
    ),
    Rule.QP: EPF_MASK,
}
VNTB_MASK = Citation(
    OLD,
    VNTB_FILE,
    "vntb_epf_db_valid_mask",
    1042,
    "return BIT_ULL(ntb_ndev(ntb)->db_count) - 1;",
)
VNTB_LEGACY = {
    Rule.SLOT: VNTB_MASK,
    Rule.EVENT_VECTOR: Citation(
        OLD, VNTB_FILE, "epf_ntb_cmd_handler", 262, "ntb_db_event(&ntb->ntb, i);"
    ),
    Rule.QP: VNTB_MASK,
}


def conduct_of(hardware: Hardware) -> Conduct:
    """Return what the driver of a preset does; of any other device: what the NTB core asks for.

    Source: the lines cited above; besides them ntb_hw_amd.c (amd_init_isr, ndev_deinit_isr) and
    intel's ndev_interrupt(), which passes on vectors that have a valid bit and no other.
    """
    one_too_many = hardware.vector_map.db_vector_count + 1
    match hardware.driver, hardware.name:
        case _, "ntb_hw_epf-legacy":
            conduct = Conduct(slots_rung(hardware), citations=EPF_LEGACY)
        case _, "pci-epf-vntb-legacy":
            conduct = Conduct(slots_rung(hardware), citations=VNTB_LEGACY)
        case _, "ntb_hw_amd":
            grant = IrqGrant(AMD_DB_CNT, AMD_MSIX_VECTOR_CNT, AMD_MSIX_VECTOR_CNT)
            conduct = Conduct(tuple(range(AMD_DB_CNT)), one_too_many, grant, AMD)
        case _, "ntb_hw_amd-intx":
            conduct = Conduct((0,), one_too_many, citations=AMD)
        case "ntb_hw_intel", _:
            conduct = Conduct(vectors_taken=one_too_many, citations=INTEL)
        case "ntb_hw_switchtec", _:
            conduct = Conduct(vectors_taken=one_too_many, citations=SWITCHTEC)
        case _:
            conduct = Conduct()
    return conduct


def slots_rung(hardware: Hardware) -> tuple[int, ...]:
    """Return the slots of the real doorbells, which the drivers took for vectors before the series.

    Slot 1, the reserved one, would be passed on too, but nobody rings it.
    """
    real = hardware.vector_map.db_valid_mask & ~hardware.lost_mask
    return tuple(EPF_SLOTS_BEFORE_DB + bit for bit in bits_of(real))
