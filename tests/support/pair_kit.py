# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: E101, E501  # the kernel's own text, with its tabs and blanks
"""Small edits of the two drivers of Linux 7.3: rewrites that change nothing, and bugs.

Each is patterns and their replacements. A pattern that the source no longer has is refused, so no
edit can come to nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
Step = tuple[str, str] | Callable[[str], str]  # a text and what replaces it, or a function


@dataclass(frozen=True)
class Edit:
    """One edit."""

    name: str
    side: str  # `ep` (pci-epf-vntb) or `rc` (ntb_hw_epf)
    steps: tuple[Step, ...]
    told: str = ""  # of a bug, what the finding must say (a regular expression)

    def apply(self, source: str) -> str:
        """Return the edited source; ValueError where a pattern is not there or changes nothing."""
        for step in self.steps:
            edited = step(source) if callable(step) else replaced(source, *step)
            if edited == source:
                raise ValueError(f"{self.name}: a step changes nothing")
            source = edited
        return source


def replaced(source: str, old: str, new: str) -> str:
    if old not in source:
        raise ValueError(f"not in the source: {old!r}")
    return source.replace(old, new)


def renamed(**names: str) -> Callable[[str], str]:
    """Return what gives each of these words another name, wherever it stands."""

    def rename(source: str) -> str:
        for old, new in names.items():
            found = re.subn(rf"\b{old}\b", new, source)
            if not found[1]:
                raise ValueError(f"not in the source: {old}")
            source = found[0]
        return source

    return rename


def uncommented(source: str) -> str:
    return COMMENT.sub(" ", source)


def in_another_style(source: str) -> str:
    """Return the source with blanks for tabs and every brace on a line of its own."""
    lines = []
    for line in source.expandtabs(4).splitlines():
        opens = re.fullmatch(r"( *)(.*\S) \{", line)
        macro = line.endswith("\\") or line.lstrip().startswith("#") or "{" not in line
        lines += [line] if macro or not opens else [opens[1] + opens[2], opens[1] + "{"]
    return "\n".join(lines) + "\n"


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
VECTOR_MASK = """	if (db_vector < 0 || db_vector >= nr_vec)
		return 0;

	return BIT_ULL(db_vector);
"""
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
ENUM = """enum epf_irq_slot {
	EPF_IRQ_LINK = 0,
	EPF_IRQ_RESERVED_DB, /* Historically skipped slot */
	EPF_IRQ_DB_START,
};
"""

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
)  # fmt: skip

LOOPS_FROM_1 = (
    ("for (i = EPF_IRQ_DB_START; i < ntb->db_count", "for (i = 1; i < ntb->db_count"),
    (EP_BIT, "atomic64_or(1 << (i - 1), &ntb->db)"),
    ("ntb_db_event(ntb->ntb, i - EPF_IRQ_DB_START)", "ntb_db_event(ntb->ntb, i)"),
    ("ntb_db_event(ndev, i - EPF_IRQ_DB_START)", "ntb_db_event(ndev, i)"),
)
NO_FIT = "no known behaviour fits: "
BUGS = (
    Edit("patch 3 is missing", "ep", LOOPS_FROM_1, "behaves as the series without patch 3: no rel"),
    Edit("vectors off by one", "ep", (
        ("ntb_db_event(ntb->ntb, i - EPF_IRQ_DB_START)", "ntb_db_event(ntb->ntb, i - 1)"),
    ), NO_FIT + r".*slot 2, vectors: 1 instead of 0"),
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
    ), NO_FIT + r".*slot 1, vectors: 0 instead of none"),
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
    Edit("the handler is off by one", "rc", ((RC_VECTOR, RC_VECTOR.replace("DB_START", "LINK")),),
         NO_FIT + r".*slot 2, vectors: 2 instead of 0"),
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
         NO_FIT + r"slots 2 and 3, db_read after db_clear\(0x1\): 0x0 instead of 0x2"),
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
)  # fmt: skip
EDITS = {f"{edit.side}: {edit.name}": edit for edit in (*HARMLESS, *BUGS)}
