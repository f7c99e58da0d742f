# SPDX-License-Identifier: BSD-3-Clause
# the kernel's own text, with its tabs and blanks
"""Edits of pci-epf-ntb.c, which joins two hosts."""

from kit_edit import HOSTS, NO_FIT, Edit, in_another_style, renamed, uncommented

TABLE = """	for (i = 0; i < db_count; i++) {
		peer_ctrl->db_data[i] = db_data | i;
		peer_ctrl->db_offset[i] = db_offset;
	}
"""
MAPPED = "phys_addr, db_count,\n				  db_entry_size, &db_data, &db_offset);"
OFFSET = """	if (mw + NTB_MW_OFFSET == BAR_DB_MW1)
		phys_addr += ctrl->mw1_offset;

	if (size > ntb->mws_size[mw]) {"""
UP = "			ctrl->link_status |= LINK_STATUS_UP;\n"
PEER_SPADS = "	epf_bar->phys_addr = peer_epf_bar->phys_addr + peer_spad_offset;\n"
BOTH_UP = "		if (ntb->epc[PRIMARY_INTERFACE]->linkup &&\n"
LINK_LOOP = """	for (type = PRIMARY_INTERFACE; type <= SECONDARY_INTERFACE; type++) {
		ntb_epc = ntb->epc[type];
		epc = ntb_epc->epc;
		func_no = ntb_epc->func_no;
		vfunc_no = ntb_epc->vfunc_no;
		is_msix = ntb_epc->is_msix;
"""
BACKWARDS = "(type = SECONDARY_INTERFACE; (int)type >= PRIMARY_INTERFACE; type--)"


def _bug(name: str, old: str, new: str, told: str) -> Edit:
    return Edit(name, "ntb", ((old, new),), NO_FIT + told, HOSTS)


BUGS = (
    _bug("every slot has the first one's message", "db_data | i;", "db_data;",
         "host 1 rings slot 1, MSIs: 1 at host 2 instead of 2 at host 2"),
    _bug("a message misses its place in the page", "[i] = db_offset;", "[i] = 0;",
         "host 1 rings slot 0, MSIs: none instead of 1 at host 2"),
    _bug("one slot fewer is mapped", MAPPED, MAPPED.replace("db_count,", "db_count - 1,"),
         "host 1 rings slot 7, MSIs: none instead of 8 at host 2"),
    _bug("window 1 is mapped over the doorbells", OFFSET, OFFSET.partition("\n\n")[2],
         r"host 1 CONFIGURE_MW\(0\), status: 2 instead of 1"),
    _bug("where window 1 begins is not told", "			ctrl->mw1_offset = size;\n", "",
         "host 1 mw1_offset: 0 instead of 1048576"),
    _bug("the peer's scratchpads are its own", PEER_SPADS, PEER_SPADS.replace(
        "peer_epf_bar->", "ntb_epc->epf_bar[ntb_epc->epf_ntb_bar[BAR_CONFIG]]."),
         "host 1 reaches scratchpads of host 2: 0 instead of 64"),
    _bug("the link's status is never set", UP, "			;\n",
         "host 2 LINK_UP, link status of both: 0 0 instead of 1 1"),
    _bug("one host alone brings the link up", BOTH_UP, BOTH_UP.replace("&&", "||"),
         "host 1 LINK_UP, link status of both: 1 1 instead of 0 0"),
    _bug("a window's size is not looked at", "if (size > ntb->mws_size[mw])", "if (size > U32_MAX)",
         r"host 1 CONFIGURE_MW\(0\) of a byte more, status: 1 instead of 2"),
)  # fmt: skip

HARMLESS = (
    Edit("names of its own", "ntb", (renamed(
        LINK_STATUS_UP="IS_UP", DB_COUNT_MASK="COUNT_BITS", epf_ntb_configure_msi="map_messages",
        epf_ntb_cmd_handler="serve", epf_ntb_link_up="tell_both",
    ),)),
    Edit("another style, without comments", "ntb", (uncommented, in_another_style)),
    Edit("both loops turned round", "ntb", (
        (TABLE, TABLE.replace("i = 0; i < db_count; i++", "i = db_count - 1; i >= 0; i--")),
        (LINK_LOOP, LINK_LOOP.replace(
            "(type = PRIMARY_INTERFACE; type <= SECONDARY_INTERFACE; type++)", BACKWARDS)),
    )),
)  # fmt: skip
