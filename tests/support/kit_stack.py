# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: E101, E501  # the kernel's own text, with its tabs and blanks
"""Edits of the NTB core (core.c) and of ntb_transport.c."""

import re

from kit_edit import EXPLORE, SETTING, Edit, in_another_style, renamed, uncommented

LINK_EVENT = "			ntb->ctx_ops->link_event(ntb->ctx);\n"
DB_EVENT = "			ntb->ctx_ops->db_event(ntb->ctx, vector);\n"
DB_EVENT_LOCKED = """	spin_lock_irqsave(&ntb->ctx_lock, irqflags);
	{
		if (ntb->ctx_ops && ntb->ctx_ops->db_event)
			ntb->ctx_ops->db_event(ntb->ctx, vector);
	}
	spin_unlock_irqrestore(&ntb->ctx_lock, irqflags);
"""
CLEARED = """		ntb->ctx_ops = NULL;
		ntb->ctx = NULL;
"""
SCANNED = """	db_bits = (nt->qp_bitmap & ~nt->qp_bitmap_free &
		   ntb_db_vector_mask(nt->ndev, vector));
"""
SCAN = """	while (db_bits) {
		qp_num = __ffs(db_bits);
		qp = &nt->qp_vec[qp_num];

		if (qp->active)
			tasklet_schedule(&qp->rxc_db_work);

		db_bits &= ~BIT_ULL(qp_num);
	}
"""
RING = "		ntb_peer_db_set(qp->ndev, BIT_ULL(qp->qp_num));\n"
RACE = """		ntb_db_clear(qp->ndev, BIT_ULL(qp->qp_num));
		/* ntb_db_read ensures ntb_db_clear write is committed */
		ntb_db_read(qp->ndev);
"""
RX_INFO = "		iowrite32(entry->rx_index, &qp->rx_info->entry);\n"
DONE = "		entry->rx_hdr->flags = 0;\n"
SET_DONE = "	iowrite32(entry->flags | DESC_DONE_FLAG, &hdr->flags);\n"
VERSION = "	iowrite32((u32)qp->tx_pkts, &hdr->ver);\n"
LENGTH = "		entry->len = hdr->len;\n"
LIMIT = """	else if (nt->mw_count < qp_count)
		qp_count = nt->mw_count;
"""
NUM_QPS = """	if (val != nt->qp_count)
		goto out;
"""
LINKS = "QP_LINKS, val | BIT(qp->qp_num));"

HARMLESS = (
    Edit("comments stripped", "core", (uncommented,)),
    Edit("another style", "core", (in_another_style,)),
    Edit("a helper tells the client", "core", (
        ("void ntb_db_event(struct ntb_dev *ntb, int vector)\n{", """static void tell(struct ntb_dev *ntb, int vector)
{
	if (!ntb->ctx_ops || !ntb->ctx_ops->db_event)
		return;
	ntb->ctx_ops->db_event(ntb->ctx, vector);
}

void ntb_db_event(struct ntb_dev *ntb, int vector)
{"""),
        (DB_EVENT_LOCKED, """	spin_lock_irqsave(&ntb->ctx_lock, irqflags);
	tell(ntb, vector);
	spin_unlock_irqrestore(&ntb->ctx_lock, irqflags);
"""),
    )),
    Edit("comments stripped", "transport", (uncommented,)),
    Edit("another style", "transport", (in_another_style,)),
    Edit("the scan by a for loop", "transport", (
        (SCAN, """	for (qp_num = 0; db_bits >> qp_num; qp_num++) {
		qp = &nt->qp_vec[qp_num];
		if (db_bits & BIT_ULL(qp_num) && qp->active)
			tasklet_schedule(&qp->rxc_db_work);
	}
"""),
    )),
    Edit("functions renamed", "transport", (renamed(
        ntb_process_rxc="take_packet", ntb_complete_rxc="hand_up", ntb_process_tx="give_packet",
        rx_max_entry="entries", qp_bitmap_free="unowned",
    ),)),
    Edit("a macro inlined", "transport", (
        ("#define QP_TO_MW(nt, qp)	((qp) % nt->mw_count)\n", ""),
        lambda text: re.sub(r"QP_TO_MW\(nt, qp_num\)", "qp_num % nt->mw_count", text),
    )),
)  # fmt: skip

BUGS = (
    Edit("every event is vector 0", "core", (
        (DB_EVENT, DB_EVENT.replace("vector)", "0)")),
    ), "slot 3, vectors: 0 instead of 1"),
    Edit("odd vectors are dropped", "core", (
        (DB_EVENT, DB_EVENT.replace("			ntb", "			if (!(vector & 1))\n				ntb", 1)),
    ), "slot 3, vectors: none instead of 1"),
    Edit("an event comes twice", "core", ((DB_EVENT, DB_EVENT.replace(
        "			ntb", "			for (int n = 0; n < 2; n++)\n				ntb", 1)),), "slot 2, vectors: 0 0 instead of 0"),
    Edit("a link event is lost", "core", (
        ("		if (ntb->ctx_ops && ntb->ctx_ops->link_event)\n" + LINK_EVENT, ""),
    ), "command LINK_UP, link events: 0 instead of 1"),
    Edit("a client's ops stay", "core", ((CLEARED, ""),), "panicked|gave up|down"),
    Edit("a doorbell comes without the lock", "core", (
        (DB_EVENT_LOCKED, """	local_irq_save(irqflags);
	if (ntb->ctx_ops && ntb->ctx_ops->db_event)
		ntb->ctx_ops->db_event(ntb->ctx, vector);
	local_irq_restore(irqflags);
"""),
    ), by=EXPLORE),
    Edit("a doorbell wakes every queue", "transport", (
        (SCANNED, "	db_bits = nt->qp_bitmap & ~nt->qp_bitmap_free;\n"),
    ), "runs of QP"),
    Edit("a doorbell wakes the next vector's queue", "transport", (
        (SCANNED, SCANNED.replace("vector)", "vector + 1)")),
    ), "missed|misrouted|runs of QP|which queue"),
    Edit("only the lowest queue is woken", "transport", (
        (SCAN, SCAN.replace("		db_bits &= ~BIT_ULL(qp_num);\n", "		db_bits = 0;\n")),
    ), "runs of QP|missed|which queue", SETTING, {"rc_driver": "before"}),
    Edit("a packet rings the next queue's bit", "transport", (
        (RING, RING.replace("qp->qp_num)", "qp->qp_num ^ 1)")),
    ), "misrouted|missed|runs of QP|received"),
    Edit("every fourth packet rings nothing", "transport", (
        (RING, "		if (qp->tx_pkts % 4 != 3)\n	" + RING),
    ), "doorbells of [0-9]+ packets"),
    Edit("a packet rings twice", "transport", ((RING, "	{\n" + RING + RING + "	}\n"),), "doorbells more than packets|MSI|runs"),
    Edit("there is no race check", "transport", (
        ("	} else if (ntb_db_read(qp->ndev) & BIT_ULL(qp->qp_num)) {", "	} else if (0) {"),
    ), "db_read shows 0x[123] at rest"),
    Edit("the race check clears nothing", "transport", ((RACE, ""),), "hung"),
    Edit("the race check clears another bit", "transport", (
        (RACE, RACE.replace("BIT_ULL(qp->qp_num)", "BIT_ULL(qp->qp_num + 1)")),
    ), "hung"),
    Edit("the sender never learns what was taken", "transport", ((RX_INFO, ""),), "packets sent|which queue"),
    Edit("an entry stays done", "transport", ((DONE, ""),), "rx_err_ver: [0-9]+: the receiver took"),
    Edit("no entry is ever done", "transport", (
        (SET_DONE, SET_DONE.replace(" | DESC_DONE_FLAG", "")),
    ), "received|which queue"),
    Edit("the packets' numbers are off by one", "transport", (
        (VERSION, VERSION.replace("qp->tx_pkts", "(qp->tx_pkts + 1)")),
    ), "received|which queue|rx_err_ver"),
    Edit("a packet loses a byte", "transport", ((LENGTH, LENGTH.replace(";", " - 1;")),), "received|which queue|rx_err_ver"),
    Edit("nothing is copied", "transport", (("	memcpy(buf, offset, len);\n", ""),), "received|which queue|rx_err_ver"),
    Edit("the sender's ring is one short", "transport", (
        ("	qp->tx_max_entry = tx_size / qp->tx_max_frame;\n",
         "	qp->tx_max_entry = tx_size / qp->tx_max_frame - 1;\n"),
    ), "received|runs"),
    Edit("the receiver skips an entry", "transport", (
        ("	qp->rx_index++;\n", "	qp->rx_index += 2;\n"),
    ), "received|which queue|rx_err_ver"),
    Edit("windows do not limit the queues", "transport", ((LIMIT, ""),), "qp_count|down"),
    Edit("a bit more is a queue", "transport", (
        ("	qp_count = ilog2(qp_bitmap);\n", "	qp_count = ilog2(qp_bitmap) + 1;\n"),
    ), "link is up|qp_count", SETTING, {"ep_slots": 4}),
    Edit("unequal numbers of queues link", "transport", ((NUM_QPS, ""),),
         "link is up", SETTING, {"ep_slots": 4}),
    Edit("all queues claim one link bit", "transport", (
        (LINKS, LINKS.replace("BIT(qp->qp_num)", "BIT(0)")),
    ), "QP|down|link"),
    Edit("all queues share the first window", "transport", (
        ("#define QP_TO_MW(nt, qp)	((qp) % nt->mw_count)\n", "#define QP_TO_MW(nt, qp)	((qp) * 0 % nt->mw_count)\n"),
    ), "received|which queue"),
    Edit("the receiver forgets what it may take", "transport", (
        ("	qp->remote_rx_info->entry = qp->rx_max_entry - 1;\n", "	qp->remote_rx_info->entry = 0;\n"),
    ), "received|which queue"),
    Edit("the doorbell comes before the flag", "transport", (
        (SET_DONE, "	if (!qp->use_msi)\n" + RING + SET_DONE),
        ("	else\n" + RING, ""),
    ), by=EXPLORE),
)  # fmt: skip
