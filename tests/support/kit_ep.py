# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: E101, E501  # the kernel's own text, with its tabs and blanks
"""Edits of pci-epf-vntb.c."""

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

POLL_LOOP = """	for (i = EPF_IRQ_DB_START; i < ntb->db_count && !ntb->msi_doorbell;
	     i++) {
		if (ntb->epf_db[i]) {
			atomic64_or(1 << (i - EPF_IRQ_DB_START), &ntb->db);
			ntb_db_event(ntb->ntb, i - EPF_IRQ_DB_START);
			ntb->epf_db[i] = 0;
		}
	}
"""
HANDLER_LOOP = """	for (i = EPF_IRQ_DB_START; i < ntb->db_count; i++)
		if (irq == ntb->epf->db_msg[i].virq) {
			atomic64_or(1 << (i - EPF_IRQ_DB_START), &ntb->db);
			ntb_db_event(ndev, i - EPF_IRQ_DB_START);
		}
"""
SERVE = """static void tell(struct epf_ntb *ntb, struct ntb_dev *ndev, int slot)
{
	int bell = slot - EPF_IRQ_DB_START;

	atomic64_or(1 << bell, &ntb->db);
	ntb_db_event(ndev, bell);
}

static void epf_ntb_cmd_handler(struct work_struct *work)
{"""
CMD_HANDLER = "static void epf_ntb_cmd_handler(struct work_struct *work)\n{"
EP_MASK = "	return GENMASK_ULL(nr_vec - 1, 0);\n"
EP_COUNT = "	return db_count - EPF_IRQ_DB_START;\n"
RAISED = "			interrupt_num = db_bit + EPF_IRQ_DB_START + 1;\n"
EP_WORK = """			db_bit = __ffs64(db_bits);
"""
EP_READ = "	return atomic64_read(&ntb->db);\n"
EP_CLEAR = "	atomic64_and(~db_bits, &ntb->db);\n"
TABLE = """	for (i = 0; i < ntb->db_count; i++) {
		ntb->reg->db_data[i] = 1 + i;
"""
EP_BIT = "atomic64_or(1 << (i - EPF_IRQ_DB_START), &ntb->db)"
LOOPS_FROM_1 = (
    ("for (i = EPF_IRQ_DB_START; i < ntb->db_count", "for (i = 1; i < ntb->db_count"),
    (EP_BIT, "atomic64_or(1 << (i - 1), &ntb->db)"),
    ("ntb_db_event(ntb->ntb, i - EPF_IRQ_DB_START)", "ntb_db_event(ntb->ntb, i)"),
    ("ntb_db_event(ndev, i - EPF_IRQ_DB_START)", "ntb_db_event(ndev, i)"),
)

ATTACHED = re.compile(
    r"\tif \(epf_ntb_epc_attached\(ntb\)\)[\t\\ ]*\n[^\n]*-EOPNOTSUPP;[^\n]*\n[^\n]*\n"
)

HARMLESS = (
    Edit("constants renamed", "ep", (
        renamed(EPF_IRQ_DB_START="FIRST_BELL", MIN_DB_COUNT="LEAST_BELLS", MAX_DB_COUNT="BELLS"),
    )),
    Edit("functions renamed", "ep", (renamed(
        vntb_epf_peer_db_set="ring_host", epf_ntb_cmd_handler="look", vntb_epf_db_read="pending",
        vntb_epf_peer_db_work="raise_all", vntb_epf_db_valid_mask="bells",
        epf_ntb_doorbell_handler="rung", vntb_epf_db_vector_mask="bells_of",
        epf_ntb_configure_interrupt="ask_for_msis", peer_db_pending="to_raise",
    ),)),
    Edit("a helper serves a slot", "ep", (
        (CMD_HANDLER, SERVE),
        (POLL_LOOP, POLL_LOOP.replace(f"			{EP_BIT};\n", "").replace(
            "ntb_db_event(ntb->ntb, i - EPF_IRQ_DB_START)", "tell(ntb, ntb->ntb, i)")),
        (HANDLER_LOOP, HANDLER_LOOP.replace(f"			{EP_BIT};\n", "").replace(
            "ntb_db_event(ndev, i - EPF_IRQ_DB_START)", "tell(ntb, ndev, i)")),
    )),
    Edit("loops by bit", "ep", (
        (POLL_LOOP, """	for (i = 0; i + 2 < ntb->db_count && !ntb->msi_doorbell; i++) {
		if (!ntb->epf_db[i + 2])
			continue;
		atomic64_or(BIT_ULL(i), &ntb->db);
		ntb_db_event(ntb->ntb, i);
		ntb->epf_db[i + 2] = 0;
	}
"""),
        (HANDLER_LOOP, """	for (i = 0; i + 2 < ntb->db_count; i++) {
		if (irq != ntb->epf->db_msg[i + 2].virq)
			continue;
		atomic64_or(BIT_ULL(i), &ntb->db);
		ntb_db_event(ndev, i);
	}
"""),
    )),
    Edit("loops turned round", "ep", (
        ("for (i = EPF_IRQ_DB_START; i < ntb->db_count && !ntb->msi_doorbell;\n	     i++) {",
         "for (i = ntb->db_count - 1; i >= EPF_IRQ_DB_START &&\n	     !ntb->msi_doorbell; i--) {"),
        ("for (i = EPF_IRQ_DB_START; i < ntb->db_count; i++)",
         "for (i = ntb->db_count - 1; i >= EPF_IRQ_DB_START; i--)"),
        ("db_bit = __ffs64(db_bits);", "db_bit = fls64(db_bits) - 1;"),
    )),
    Edit("constants written out", "ep", (
        (ENUM, ""), ("#define MIN_DB_COUNT			(EPF_IRQ_DB_START + 1)\n", ""),
        renamed(EPF_IRQ_DB_START="2", MIN_DB_COUNT="3"),
    )),
    Edit("comments stripped", "ep", (uncommented,)),
    Edit("another style", "ep", (in_another_style,)),
    Edit("switch instead of if", "ep", ((VECTOR_MASK, """	switch (db_vector) {
	case 0 ... 31:
		return db_vector < nr_vec ? 1ULL << db_vector : 0;
	default:
		return 0;
	}
"""), (EP_MASK, "	return (1ULL << nr_vec) - 1;\n"))),
    Edit("another workqueue", "ep", (
        ("queue_work(kpcintb_workqueue, &ntb->peer_db_work)",
         "schedule_work(&ntb->peer_db_work)"),
    )),
    Edit("the slot is cleared first", "ep", (
        (POLL_LOOP, POLL_LOOP.replace("			ntb->epf_db[i] = 0;\n", "").replace(
            f"			{EP_BIT};\n", f"			ntb->epf_db[i] = 0;\n			{EP_BIT};\n")),
    )),
    Edit("bits first, then events", "ep", (
        (POLL_LOOP, """	u64 found = 0;

	for (i = EPF_IRQ_DB_START; i < ntb->db_count && !ntb->msi_doorbell; i++)
		if (xchg(&ntb->epf_db[i], 0))
			found |= BIT_ULL(i - EPF_IRQ_DB_START);
	atomic64_or(found, &ntb->db);
	for_each_set_bit(i, (unsigned long *)&found, MAX_DB_COUNT)
		ntb_db_event(ntb->ntb, i);
"""),
    )),
    Edit("doorbells have a work of their own", "ep", (
        (CMD_HANDLER, """static void epf_ntb_serve(struct work_struct *work)
{
	struct epf_ntb *ntb = container_of(work, struct epf_ntb, cmd_handler.work);
	int i;

""" + POLL_LOOP + "}\n\n" + CMD_HANDLER),
        ("	ntb = container_of(work, struct epf_ntb, cmd_handler.work);\n\n" + POLL_LOOP,
         "	ntb = container_of(work, struct epf_ntb, cmd_handler.work);\n\n	epf_ntb_serve(work);\n"),
    )),
    Edit("the bits by for_each_set_bit", "ep", (
        ("		while (db_bits) {\n", "		for_each_set_bit(db_bit, (unsigned long *)&db_bits, 64) {\n"),
        (EP_WORK, ""),
        ("			db_bits &= ~BIT_ULL(db_bit);\n", ""),
    )),
    Edit("what is left needs no queue_work but the ring's own", "ep", (
        ("	if (atomic64_read(&ntb->peer_db_pending))\n		queue_work(kpcintb_workqueue, &ntb->peer_db_work);\n", ""),
    )),
    Edit("a workqueue of another name", "ep", (
        ('alloc_workqueue("kpcintb"', 'alloc_workqueue("vntb"'),
    )),
)  # fmt: skip

BUGS = (
    Edit("patch 3 is missing", "ep", LOOPS_FROM_1, "behaves as the series without patch 3: no rel"),
    Edit("vectors off by one", "ep", (
        ("ntb_db_event(ntb->ntb, i - EPF_IRQ_DB_START)", "ntb_db_event(ntb->ntb, i - 1)"),
    ), NO_FIT + r"slot 2, vectors: 1 instead of 0"),
    Edit("valid mask a bit too wide", "ep", ((EP_MASK, "	return GENMASK_ULL(nr_vec, 0);\n"),),
         NO_FIT + "db_valid_mask: 0x7f instead of 0x3f"),
    Edit("valid mask a bit too narrow", "ep", (
        (EP_MASK, "	return GENMASK_ULL(nr_vec - 2, 0);\n"),
    ), NO_FIT + "db_valid_mask: 0x1f instead of 0x3f"),
    Edit("one vector's mask is another's", "ep", (
        (VECTOR_MASK, VECTOR_MASK.replace("(db_vector);", "(db_vector == 5 ? 4 : db_vector);")),
    ), NO_FIT + r"db_vector_mask\(5\): 0x10 instead of 0x20"),
    Edit("one vector too few", "ep", ((EP_COUNT, EP_COUNT.replace("START", "START - 1")),),
         NO_FIT + "db_valid_mask: 0x1f instead of 0x3f; db_vector_count: 5 instead of 6"),
    Edit("db_read shows the next bit", "ep", ((EP_READ, EP_READ.replace(";", " << 1;")),),
         NO_FIT + "slot 2, db_read after db_clear: 0x2 instead of 0x0"),
    Edit("db_clear clears all", "ep", ((EP_CLEAR, "	atomic64_set(&ntb->db, 0);\n"),),
         NO_FIT + r"slots 2 and 3, db_read after db_clear\(0x1\): 0x0 instead of 0x2"),
    Edit("db_clear clears nothing", "ep", ((EP_CLEAR, ""),),
         NO_FIT + "slot 2, db_read after db_clear: 0x1 instead of 0x0"),
    Edit("a bit replaces those pending", "ep", (
        (EP_BIT, EP_BIT.replace("atomic64_or(", "atomic64_set(&ntb->db, ").replace(
            ", &ntb->db)", ")")),
    ), NO_FIT + "slots 2 and 3, db_read: 0x2 instead of 0x3"),
    Edit("the reserved slot is a doorbell", "ep", (
        ("for (i = EPF_IRQ_DB_START; i < ntb->db_count && ", "for (i = 1; i < ntb->db_count && "),
        ("ntb_db_event(ntb->ntb, i - EPF_IRQ_DB_START)",
         "ntb_db_event(ntb->ntb, max(i - EPF_IRQ_DB_START, 0))"),
    ), NO_FIT + r"slot 1, vectors: 0 instead of none"),
    Edit("the last slot is not filled", "ep", (
        (TABLE, TABLE.replace("db_count;", "db_count - 1;")),
    ), NO_FIT + "slots filled: 0 1 2 3 4 5 6 instead of 0 1 2 3 4 5 6 7"),
    Edit("the last slot is not polled", "ep", (
        (POLL_LOOP, POLL_LOOP.replace("i < ntb->db_count", "i + 1 < ntb->db_count")),
    ), NO_FIT + "slot 7, vectors: none instead of 5"),
    Edit("the slot before rings", "ep", ((RAISED, RAISED.replace(" + 1;", ";")),),
         NO_FIT + r"peer_db_set\(0x1\), slots: 1 instead of 2"),
    Edit("only the lowest bit rings", "ep", (
        (EP_WORK, EP_WORK.replace("db_bits);", "db_bits);\n			db_bits &= -db_bits;")),
    ), NO_FIT + r"peer_db_set\(0x3fff\), slots: 2 instead of 2 3 4 5 6 7"),
    Edit("a ring overwrites those pending", "ep", (
        ("atomic64_or(db_bits, &ntb->peer_db_pending);",
         "atomic64_set(&ntb->peer_db_pending, db_bits);"),
    ), NO_FIT + r"peer_db_set\(0x2\), then \(0x1\), slots: 2 instead of 2 3"),
    Edit("the bit is set after the event", "ep", (
        (POLL_LOOP, POLL_LOOP.replace(f"			{EP_BIT};\n", "").replace(
            "			ntb->epf_db[i] = 0;\n", f"			{EP_BIT};\n			ntb->epf_db[i] = 0;\n")),
    ), NO_FIT + "slot 2, db_read in the events: 0x0 instead of 0x1"),
    Edit("the bit is never set", "ep", (
        (POLL_LOOP, POLL_LOOP.replace(f"			{EP_BIT};\n", "")),
    ), NO_FIT + "slot 2, db_read"),
    Edit("bits outside the mask ring too", "ep", (
        ("	db_bits &= vntb_epf_db_valid_mask(ndev);\n", ""),
    ), NO_FIT + r"peer_db_set\(0x40\), slots: 8 instead of none"),
    Edit("pending bits are not taken", "ep", (
        ("atomic64_xchg(&ntb->peer_db_pending, 0)", "atomic64_read(&ntb->peer_db_pending)"),
    ), NO_FIT + r"peer_db_set\(0x1\), slots: 2 2"),
    Edit("a slot stays set after its event", "ep", (
        (POLL_LOOP, POLL_LOOP.replace("			ntb->epf_db[i] = 0;\n", "")),
    ), NO_FIT + "slot 2, vectors: 0 0"),
    Edit("patch 4 is missing", "ep", (
        ("	if (val < MIN_DB_COUNT || val > MAX_DB_COUNT)\n		return -EINVAL;\n", ""),
    ), "takes db_count 2: yes instead of no"),
    Edit("db_count can change under the host", "ep", (
        ("	if (epf_ntb_epc_attached(ntb))\n		return -EOPNOTSUPP;\n\n	ret = kstrtou32(page, 0, &val);\n"
         "	if (ret)\n		return ret;\n\n	if (val < MIN_DB_COUNT",
         "	ret = kstrtou32(page, 0, &val);\n	if (ret)\n		return ret;\n\n	if (val < MIN_DB_COUNT"),
    ), NO_FIT + "takes db_count after the bind: yes instead of no"),
    Edit("the peer's scratchpads are its own", "ep", (
        ("	val = readl(base + off + ct + idx * sizeof(u32));\n", "	val = readl(base + off + idx * sizeof(u32));\n"),
        (", ct = ntb->reg->spad_count * sizeof(u32);\n	u32 val;", ";\n	u32 val;"),
    ), NO_FIT + "spad_read, right: 0 instead of 64"),
    Edit("two scratchpads are one", "ep", (
        ("	writel(val, base + off + ct + idx * sizeof(u32));\n",
         "	writel(val, base + off + ct + (idx & ~32) * sizeof(u32));\n"),
    ), NO_FIT + "spad_write, right: .* instead of 64"),
    Edit("a link that goes down stays up", "ep", (
        ("		ntb->reg->link_status &= ~LINK_STATUS_UP;\n", "		;\n"),
    ), NO_FIT + "command LINK_DOWN, link_is_up: 1 instead of 0"),
    Edit("a link event is lost", "ep", (
        ("	ntb_link_event(ntb->ntb);\n	return 0;\n", "	return 0;\n"),
    ), NO_FIT + "command LINK_UP, link events: 0 instead of 1"),
    Edit("both windows lead to the first", "ep", (
        ("		*base = ntb->vpci_mw_phy[idx];\n", "		*base = ntb->vpci_mw_phy[0];\n"),
    ), NO_FIT + "window 1 reaches the peer: no instead of yes"),
    Edit("a window tells half its size", "ep", (
        ("		*size = ntb->mws_size[idx];\n", "		*size = ntb->mws_size[idx] / 2;\n"),
    ), NO_FIT + r"peer_mw_get_addr\(0\): 0 0x80000 instead of 0 0x100000"),
    Edit("doorbells can be masked", "ep", (
        ("static int vntb_epf_db_set_mask(struct ntb_dev *ntb, u64 db_bits)\n{\n	return 0;",
         "static int vntb_epf_db_set_mask(struct ntb_dev *ntb, u64 db_bits)\n{\n	return -EINVAL;"),
    ), NO_FIT + "db_set_mask: -22 instead of 0"),
    Edit("an interrupt is the next slot's", "ep", (
        (HANDLER_LOOP, HANDLER_LOOP.replace("ntb_db_event(ndev, i - EPF_IRQ_DB_START)",
                                            "ntb_db_event(ndev, i - EPF_IRQ_DB_START + 1)")),
    ), NO_FIT + "slot 2, vectors: 1 instead of 0", SETTING, {"doorbell": "msi"}),
    Edit("a ring while others are raised is lost", "ep", (
        ("atomic64_xchg(&ntb->peer_db_pending, 0)", "atomic64_read(&ntb->peer_db_pending)"),
        ("					interrupt_num, ret);\n		}\n",
         "					interrupt_num, ret);\n		}\n		atomic64_set(&ntb->peer_db_pending, 0);\n"),
    ), NO_FIT + "peer_db_set from its own work, slots: 2 instead of"),
    Edit("db_clear_mask clears doorbells too", "ep", (
        ("static int vntb_epf_db_clear_mask(struct ntb_dev *ndev, u64 db_bits)\n{\n",
         "static int vntb_epf_db_clear_mask(struct ntb_dev *ndev, u64 db_bits)\n{\n"
         "	atomic64_and(~db_bits, &ntb_ndev(ndev)->db);\n"),
    ), NO_FIT + "slot 2 pending, db_read masked, unmasked: 0x1 0x0"),
    Edit("a slot more than the table has", "ep", (
        ("val > MAX_DB_COUNT)\n", "val > MAX_DB_COUNT + 1)\n"),
    ), NO_FIT + "takes db_count 33: yes instead of no"),
    Edit("num_mws can change under the host", "ep", (
        ("	if (epf_ntb_epc_attached(ntb))\n		return -EOPNOTSUPP;\n\n	ret = kstrtou32(page, 0, &val);\n"
         "	if (ret)\n		return ret;\n\n	if (val > MAX_MW)",
         "	ret = kstrtou32(page, 0, &val);\n	if (ret)\n		return ret;\n\n	if (val > MAX_MW)"),
    ), NO_FIT + "takes num_mws after the bind: yes instead of no"),
    Edit("a window's address has 32 bits", "ep", (
        ("	u64 addr, size;\n", "	u32 addr, size;\n"),
    ), NO_FIT + r"command CONFIGURE_MW\(0\): 1, maps 0 0x56789000"),
    Edit("a window stays mapped", "ep", (
        ("		epf_ntb_teardown_mw(ntb, argument);\n", ""),
    ), NO_FIT + r"command TEARDOWN_MW\(0\): 1, unmaps -1"),
    Edit("MSIs for its own slots only", "ep", (
        ("				      16);", "				      ntb->db_count);"),
    ), "db_vector_count: 6 instead of 14"),
    Edit("patch 5 is missing", "ep", (
        lambda text: ATTACHED.sub("", text),
    ), "behaves as the series without patch 5"),
    Edit("any vector below 0 has a mask", "ep", (
        (VECTOR_MASK, VECTOR_MASK.replace("db_vector < 0 || ", "")),
    ), NO_FIT + r"db_vector_mask\(-1\)"),
    Edit("the poll goes on after the unbind", "ep", (
        ("	disable_delayed_work_sync(&ntb->cmd_handler);\n", ""),
        ("	cancel_delayed_work_sync(&ndev->cmd_handler);\n", ""),
    ), "ODEBUG: init active|panicked", CHECK),
)  # fmt: skip
