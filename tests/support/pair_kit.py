# SPDX-License-Identifier: BSD-3-Clause
"""The mutation kit: small edits of the drivers, of the NTB core and of ntb_transport."""

import kit_ep
import kit_joint
import kit_rc
import kit_stack
from kit_edit import Edit

KITS = (kit_ep, kit_rc, kit_stack, kit_joint)
HARMLESS = tuple(edit for kit in KITS for edit in kit.HARMLESS)
BUGS = tuple(edit for kit in KITS for edit in kit.BUGS)


def key(edit: Edit) -> str:
    """Return the name that no other edit has."""
    return f"{edit.side}: {edit.name}"


EDITS = {key(edit): edit for edit in (*HARMLESS, *BUGS)}
