# SPDX-License-Identifier: BSD-3-Clause
"""Which instructions of a disassembly are accesses that another CPU can meet."""

import pytest

from ntbbench.lab.explore.code_points import BOTH, NONE, READ, WRITE, CodePoint, access_of

RAX, RBX, RDX, R13 = 0, 3, 2, 13


@pytest.mark.parametrize(
    ("text", "access"),
    [
        ("movl $0x0,(%rax,%r13,4)", (WRITE, (RAX, R13, 4, 0))),
        ("mov (%rax,%r13,4),%edi", (READ, (RAX, R13, 4, 0))),
        ("or %rax,-0xa8(%rbx)", (BOTH, (RBX, NONE, 1, -0xA8))),
        ("xchg %r9,(%rax)", (BOTH, (RAX, NONE, 1, 0))),
        ("xchg (%rax),%r9", (BOTH, (RAX, NONE, 1, 0))),
        ("cmpxchg %rdx,0x10(%rbx)", (BOTH, (RBX, NONE, 1, 0x10))),
        ("cmpl $0x2,-0xd4(%rbx)", (READ, (RBX, NONE, 1, -0xD4))),
        ("testb $0x1,0x8(%rbx)", (READ, (RBX, NONE, 1, 8))),
        ("bts %rdx,0x8(%rbx)", (BOTH, (RBX, NONE, 1, 8))),
        ("add 0x280(%rax),%rdx", (READ, (RAX, NONE, 1, 0x280))),
        ("mov %esi,(%rdx)", (WRITE, (RDX, NONE, 1, 0))),
        ("mov -0x38(%rbp),%rax", None),  # of this CPU's own stack
        ("mov 0x8(%rsp),%rax", None),
        ("mov %gs:0x8(%rax),%rax", None),  # per CPU
        ("mov 0x0(%rip),%rsi", None),
        ("lea 0x8(%rbx),%rax", None),
        ("call *0x38(%rax)", None),
        ("nopw 0x0(%rax,%rax,1)", None),
        ("rep movsb %ds:(%rsi),%es:(%rdi)", None),
        ("mov %rax,%rbx", None),
    ],
)
def test_accesses(text: str, access: object) -> None:
    mnemonic, _, operands = text.partition(" ")
    assert access_of(mnemonic, operands) == access


def test_a_point_names_itself_to_the_guest() -> None:
    point = CodePoint("pci_epf_vntb", "epf_ntb_cmd_handler", 0x75, WRITE, (RAX, R13, 4, 0))
    assert point.name == "pci_epf_vntb:epf_ntb_cmd_handler+0x75"
    assert point.guest_line(7) == "point 7 pci_epf_vntb:epf_ntb_cmd_handler 117 w 0 13 4 0"
