# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: E101, E501  # the kernel's own text, with its tabs and blanks
"""Edits of ntb_hw_epf.c."""

import re

from kit_edit import (
    CHECK,
    ENUM,
    NO_FIT,
    SETTING,
    VECTOR_MASK,
    Edit,
    in_another_style,
    renamed,
    uncommented,
)

ISR = """	if (irq_no == EPF_IRQ_LINK) {
		ntb_link_event(&ndev->ntb);
	} else if (irq_no == EPF_IRQ_RESERVED_DB) {
		dev_warn_ratelimited(ndev->dev,
				     "Unexpected reserved doorbell slot IRQ received\\n");
	} else {
		db_vector = irq_no - EPF_IRQ_DB_START;
		if (ndev->db_count < NTB_EPF_MIN_DB_COUNT ||
		    db_vector >= ndev->db_count - 1) {
			dev_warn_ratelimited(ndev->dev,
					     "Unexpected doorbell vector %u (db_count %u)\\n",
					     db_vector, ndev->db_count);
			return IRQ_HANDLED;
		}

		atomic64_or(BIT_ULL(db_vector), &ndev->db_val);
		ntb_db_event(&ndev->ntb, db_vector);
	}
"""
ISR_SWITCH = """	switch (irq_no) {
	case EPF_IRQ_LINK:
		ntb_link_event(&ndev->ntb);
		break;
	case EPF_IRQ_RESERVED_DB:
		break;
	default:
		db_vector = irq_no - EPF_IRQ_DB_START;
		if (ndev->db_count < NTB_EPF_MIN_DB_COUNT ||
		    db_vector >= ndev->db_count - 1)
			break;
		set_bit(db_vector, (unsigned long *)&ndev->db_val);
		ntb_db_event(&ndev->ntb, db_vector);
	}
"""
ISR_HEAD = "static irqreturn_t ntb_epf_vec_isr(int irq, void *dev)\n{"
ISR_HELPER = """static void doorbell_of(struct ntb_epf_dev *ndev, unsigned int bell)
{
	if (ndev->db_count < NTB_EPF_MIN_DB_COUNT || bell >= ndev->db_count - 1)
		return;
	atomic64_or(BIT_ULL(bell), &ndev->db_val);
	ntb_db_event(&ndev->ntb, bell);
}

static irqreturn_t ntb_epf_vec_isr(int irq, void *dev)
{"""
ISR_CALLS = """	if (irq_no >= EPF_IRQ_DB_START)
		doorbell_of(ndev, irq_no - EPF_IRQ_DB_START);
	else if (irq_no == EPF_IRQ_LINK)
		ntb_link_event(&ndev->ntb);
"""
NO_VECTOR = ("	unsigned int db_vector;\n	unsigned int irq_no", "	unsigned int irq_no")
RC_NUMBER = "	u32 interrupt_num = ffs(db_bits) + 1;\n"
RC_MASK = "	ndev->db_valid_mask = BIT_ULL(ndev->db_count - 1) - 1;\n"
RC_COUNT = "	return db_count - 1;\n"
RC_READ = "	return atomic64_read(&ndev->db_val);\n"
RC_CLEAR = "	atomic64_and(~db_bits, &ndev->db_val);\n"
RC_SET = "		atomic64_or(BIT_ULL(db_vector), &ndev->db_val);\n"
RC_EVENT = "		ntb_db_event(&ndev->ntb, db_vector);\n"
RC_VECTOR = "		db_vector = irq_no - EPF_IRQ_DB_START;\n"
RESERVED = """	} else if (irq_no == EPF_IRQ_RESERVED_DB) {
		dev_warn_ratelimited(ndev->dev,
				     "Unexpected reserved doorbell slot IRQ received\\n");
"""

LINK_HANDLER = """static irqreturn_t link_isr(int irq, void *dev)
{
	struct ntb_epf_irq_ctx *ctx = dev;

	ntb_link_event(&ctx->ndev->ntb);
	return IRQ_HANDLED;
}

"""
WRITE = (
    "	writel(db_data, ndev->db_reg + (db_entry_size * interrupt_num) +\n	       db_offset);\n"
)
MSI = {"doorbell": "msi"}

HARMLESS = (
    Edit("constants renamed", "rc", (renamed(
        EPF_IRQ_DB_START="FIRST_BELL", NTB_EPF_MIN_DB_COUNT="FEWEST", EPF_IRQ_LINK="LINK_SLOT",
    ),)),
    Edit("functions renamed", "rc", (renamed(
        ntb_epf_peer_db_set="ring_endpoint", ntb_epf_vec_isr="rung", db_val="bells",
        ntb_epf_db_vector_mask="bells_of", ntb_epf_db_valid_mask="all_bells", irq_no="slot",
    ),)),
    Edit("a helper serves a doorbell", "rc", (
        (ISR_HEAD, ISR_HELPER), (ISR, ISR_CALLS), NO_VECTOR,
    )),
    Edit("switch instead of if", "rc", ((ISR, ISR_SWITCH),)),
    Edit("constants written out", "rc", (
        (ENUM, ""),
        renamed(EPF_IRQ_DB_START="2", EPF_IRQ_LINK="0", EPF_IRQ_RESERVED_DB="1"),
    )),
    Edit("comments stripped", "rc", (uncommented,)),
    Edit("another style", "rc", (in_another_style,)),
    Edit("the mask by a loop", "rc", ((RC_MASK, """	ndev->db_valid_mask = 0;
	for (ret = ndev->db_count - 2; ret >= 0; ret--)
		ndev->db_valid_mask |= BIT_ULL(ret);
"""),)),
    Edit("the slot by the other find", "rc", (
        (RC_NUMBER, "	u32 interrupt_num = EPF_IRQ_DB_START + __ffs64(db_bits);\n"),
        (RC_SET, "		set_bit(db_vector, (unsigned long *)&ndev->db_val);\n"),
    )),
    Edit("a macro inlined", "rc", (
        ("#define ntb_ndev(__ntb) container_of(__ntb, struct ntb_epf_dev, ntb)\n", ""),
        lambda text: re.sub(r"ntb_ndev\((\w+)\)", r"container_of(\1, struct ntb_epf_dev, ntb)", text),
    )),
    Edit("a lock instead of an atomic", "rc", (
        ("	atomic64_t db_val;\n", "	spinlock_t db_lock;\n	u64 db_val;\n"),
        ("	mutex_init(&ndev->cmd_lock);\n", "	mutex_init(&ndev->cmd_lock);\n	spin_lock_init(&ndev->db_lock);\n"),
        (RC_READ, "	return READ_ONCE(ndev->db_val);\n"),
        (RC_CLEAR, """	unsigned long flags;

	spin_lock_irqsave(&ndev->db_lock, flags);
	ndev->db_val &= ~db_bits;
	spin_unlock_irqrestore(&ndev->db_lock, flags);
"""),
        (RC_SET, """		spin_lock(&ndev->db_lock);
		ndev->db_val |= BIT_ULL(db_vector);
		spin_unlock(&ndev->db_lock);
"""),
    )),
    Edit("two handlers", "rc", (
        (ISR_HEAD, LINK_HANDLER + ISR_HEAD),
        ("pci_irq_vector(pdev, i), ntb_epf_vec_isr,\n", "pci_irq_vector(pdev, i), i ? ntb_epf_vec_isr : link_isr,\n"),
    )),
    Edit("debug messages", "rc", (
        (RC_EVENT, '		dev_dbg(ndev->dev, "doorbell %u\\n", db_vector);\n' + RC_EVENT),
        ("	db_entry_size = readl(", '	dev_dbg(dev, "ring %u\\n", interrupt_num);\n	db_entry_size = readl('),
    )),
    Edit("interrupts of another name", "rc", (
        ('0, "ntb_epf", &ndev->irq_ctx[i]);', "0, dev_name(dev), &ndev->irq_ctx[i]);"),
    )),
)  # fmt: skip

BUGS = (
    Edit("the handler is off by one", "rc", ((RC_VECTOR, RC_VECTOR.replace("DB_START", "LINK")),),
         NO_FIT + r"slot 2, vectors: 2 instead of 0"),
    Edit("patch 9 is missing", "rc", ((RC_MASK, RC_MASK.replace("count - 1)", "count)")),),
         "behaves as the series without patch 9: no released kernel"),
    Edit("valid mask a bit too narrow", "rc", (
        (RC_MASK, RC_MASK.replace("count - 1)", "count - 2)")),
    ), NO_FIT + "db_valid_mask: 0x1fff instead of 0x3fff"),
    Edit("one vector's mask is empty", "rc", (
        (VECTOR_MASK, VECTOR_MASK.replace("return BIT", "return db_vector == 3 ? 0 : BIT")),
    ), NO_FIT + r"db_vector_mask\(3\): 0x0 instead of 0x8"),
    Edit("one vector too few", "rc", ((RC_COUNT, RC_COUNT.replace("1", "2")),),
         NO_FIT + "db_vector_count: 13 instead of 14"),
    Edit("db_read shows a number", "rc", (
        (RC_READ, "	return fls64(atomic64_read(&ndev->db_val));\n"),
    ), NO_FIT + "slot 3, db_read in the events: 0x2 instead of .*|" + NO_FIT + "slot 4, db_read"),
    Edit("db_clear clears all", "rc", ((RC_CLEAR, "	atomic64_set(&ndev->db_val, 0);\n"),),
         NO_FIT + "bits 0 and 1, db_read as they are cleared: 0x3 0x0 0x0 instead of"),
    Edit("db_clear clears nothing", "rc", ((RC_CLEAR, ""),),
         NO_FIT + "slot 2, db_read after db_clear: 0x1 instead of 0x0"),
    Edit("the bit is set after the event", "rc", (
        (RC_SET + RC_EVENT, RC_EVENT + RC_SET),
    ), NO_FIT + "slot 2, db_read in the events: 0x0 instead of 0x1"),
    Edit("the reserved slot is a doorbell", "rc", (
        (RESERVED, ""), (RC_VECTOR, RC_VECTOR.replace(";", " + (irq_no == 1);")),
    ), NO_FIT + r"slot 1, vectors: 0 instead of none"),
    Edit("a bit rings its neighbour's slot", "rc", (
        (RC_NUMBER, RC_NUMBER.replace("+ 1;", "+ 1 + (db_bits == 2);")),
    ), NO_FIT + r"peer_db_set\(0x2\), slots: 4 instead of 3"),
    Edit("a bit replaces those pending", "rc", (
        (RC_SET, "		atomic64_set(&ndev->db_val, BIT_ULL(db_vector));\n"),
    ), NO_FIT + "slots 2 and 3, db_read: 0x2 instead of 0x3"),
    Edit("the bit is never set", "rc", ((RC_SET, ""),), NO_FIT + "slot 2, db_read"),
    Edit("the highest bit rings", "rc", (
        (RC_NUMBER, "	u32 interrupt_num = fls64(db_bits) + 1;\n"),
    ), NO_FIT + r"peer_db_set\(0x3fff\), slots: .*|" + NO_FIT + r"peer_db_set\(0x3fff\)"),
    Edit("the last slot is refused", "rc", (
        ("	if (interrupt_num > ndev->db_count) {", "	if (interrupt_num >= ndev->db_count) {"),
    ), NO_FIT + r"peer_db_set\(0x2000\).*: -22 instead of 0"),
    Edit("no slot is refused", "rc", (
        ("	if (interrupt_num > ndev->db_count) {", "	if (interrupt_num > 31) {"),
    ), NO_FIT + r"peer_db_set\(0x100000\): 0 instead of -22"),
    Edit("a scratchpad too few", "rc", (
        ("	ndev->spad_count = readl(ndev->ctrl_reg + NTB_EPF_SPAD_COUNT);\n",
         "	ndev->spad_count = readl(ndev->ctrl_reg + NTB_EPF_SPAD_COUNT) - 1;\n"),
    ), NO_FIT + "spad_count: 63 instead of 64"),
    Edit("a peer's scratchpad is the next", "rc", (
        ("	offset = (idx << 2);\n	writel(val, ndev->peer_spad_reg + offset);",
         "	offset = ((idx ^ 1) << 2);\n	writel(val, ndev->peer_spad_reg + offset);"),
    ), NO_FIT + "peer_spad_write, right: 0 instead of 64"),
    Edit("link_disable enables", "rc", (("CMD_LINK_DOWN, 0)", "CMD_LINK_UP, 0)"),),
         NO_FIT + "link_disable, link status: 1 instead of 0"),
    Edit("the link is always up", "rc", (
        ("	return status & LINK_STATUS_UP;\n", "	return status | LINK_STATUS_UP;\n"),
    ), NO_FIT + "link status 0, link_is_up: 1 instead of 0"),
    Edit("a window too few", "rc", (
        ("	return ntb_ndev(ntb)->mw_count;\n", "	return ntb_ndev(ntb)->mw_count - 1;\n"),
    ), NO_FIT + "peer_mw_count: 1 instead of 2"),
    Edit("a window's translation is refused", "rc", (
        ("	if (size > mw_size) {", "	if (size >= mw_size) {"),
    ), NO_FIT + r"mw_set_trans\(0\): -22 instead of 0"),
    Edit("the handler says it was not its interrupt", "rc", (
        ("		ntb_db_event(&ndev->ntb, db_vector);\n	}\n\n	return IRQ_HANDLED;",
         "		ntb_db_event(&ndev->ntb, db_vector);\n	}\n\n	return IRQ_NONE;"),
    ), NO_FIT + "irqs not handled: [0-9]+ instead of 0"),
    Edit("the link's interrupt is ignored", "rc", (
        ("	if (irq_no == EPF_IRQ_LINK) {\n		ntb_link_event(&ndev->ntb);\n",
         "	if (irq_no == EPF_IRQ_LINK) {\n		return IRQ_HANDLED;\n"),
    ), NO_FIT + "slot 0, link events: 0 instead of 1"),
    Edit("a doorbell is a link event too", "rc", (
        (RC_EVENT, RC_EVENT + "		ntb_link_event(&ndev->ntb);\n"),
    ), NO_FIT + "slot 2, link events: 1 instead of 0"),
    Edit("a window's address has 32 bits", "rc", (
        ("	writel(upper_32_bits(addr), ", "	writel(0, "),
    ), NO_FIT + r"mw_set_trans\(0\) far, on the wire: 0x56789000"),
    Edit("mw_clear_trans clears the first window", "rc", (
        ("CMD_TEARDOWN_MW, idx)", "CMD_TEARDOWN_MW, 0)"),
    ), NO_FIT + r"mw_clear_trans\(1\), unmapped: 0 instead of 1"),
    Edit("a scratchpad too many", "rc", (
        ('	if (idx < 0 || idx >= ndev->spad_count) {\n		dev_err(dev, "WRITE: Invalid ScratchPad',
         '	if (idx < 0 || idx > ndev->spad_count) {\n		dev_err(dev, "WRITE: Invalid ScratchPad'),
    ), NO_FIT + r"spad_write\(64\): 0 instead of -22"),
    Edit("db_set_mask clears doorbells too", "rc", (
        ("static int ntb_epf_db_set_mask(struct ntb_dev *ntb, u64 db_bits)\n{\n",
         "static int ntb_epf_db_set_mask(struct ntb_dev *ntb, u64 db_bits)\n{\n"
         "	atomic64_and(~db_bits, &ntb_ndev(ntb)->db_val);\n"),
    ), NO_FIT + "slot 2 pending, db_read masked, unmasked: 0x0 0x0"),
    Edit("the last interrupt has no handler", "rc", (
        ("	for (i = 0; i < irq; i++) {\n", "	for (i = 0; i < irq - 1; i++) {\n"),
    ), NO_FIT + "slot 15, vectors: none instead of 13"),
    Edit("a table's entries are four bytes apart", "rc", (
        (WRITE, WRITE.replace("db_entry_size * interrupt_num", "sizeof(u32) * interrupt_num")),
    ), NO_FIT + r"peer_db_set\(0x1\), slots", SETTING, MSI),
    Edit("the slot's number is written, not its data", "rc", (
        (WRITE, WRITE.replace("writel(db_data", "writel(interrupt_num")),
    ), NO_FIT + r"peer_db_set\(0x1\), slots", SETTING, MSI),
    Edit("regions are not released", "rc", (
        ("	pci_release_regions(pdev);\n	pci_disable_device(pdev);\n	pci_set_drvdata(pdev, NULL);\n}",
         "	pci_disable_device(pdev);\n	pci_set_drvdata(pdev, NULL);\n}"),
    ), "round=1", CHECK),
    Edit("the last interrupt is not freed", "rc", (
        ("	for (i = 0; i < ndev->db_count + 1; i++)\n		free_irq(", "	for (i = 0; i < ndev->db_count; i++)\n		free_irq("),
    ), "panic|BUG|WARNING|round=1", CHECK),
    Edit("interrupts are freed after the device", "rc", (
        ("	ntb_unregister_device(&ndev->ntb);\n	ntb_epf_cleanup_isr(ndev);\n	ntb_epf_deinit_pci(ndev);\n",
         "	ntb_unregister_device(&ndev->ntb);\n	ntb_epf_deinit_pci(ndev);\n	ntb_epf_cleanup_isr(ndev);\n"),
    ), "panic|BUG|KASAN|round=1", CHECK),
)  # fmt: skip
