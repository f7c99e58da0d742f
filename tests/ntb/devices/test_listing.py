# SPDX-License-Identifier: BSD-3-Clause
"""What the bits of a device are for, and which QPs wake together."""

from ntbbench.ntb.audit import device_row, wakeup_groups
from ntbbench.ntb.catalogue import resolve
from ntbbench.ntb.custom import build_device, parse_devices
from ntbbench.ntb.device import Hardware
from ntbbench.ntb.records import BitRow, Role


def bits_of(hardware: Hardware, clients: int = 0) -> list[BitRow]:
    row = device_row(hardware, clients, drawn=True)
    assert row.bits is not None
    return row.bits


def roles(text: str) -> list[str]:
    ((name, device),) = parse_devices([text]).items()
    return [bit.role.value for bit in bits_of(build_device(name, device))]


def test_roles_of_bits() -> None:
    assert roles("a:masks=0x2d,link_mask=0x40") == [
        *("qp", "other", "qp", "qp", "other", "top", "link")
    ]
    assert roles("a:doorbells=4,mw_count=1") == ["qp", "spare", "spare", "top"]
    assert roles("a:doorbells=40").count("qp") == 32


def test_roles_of_devices() -> None:
    bits = bits_of(resolve("ntb_hw_intel-gen1-erratum"))
    assert [bit.role for bit in bits[12:]] == [Role.SPARE, Role.TOP, Role.RESERVED, Role.LINK]
    assert [bit.interrupt for bit in bits[12:]] == [2, 2, 2, 3]
    bits = bits_of(resolve("pci-epf-vntb-legacy", doorbells=4))
    assert [(bit.role, bit.lost) for bit in bits] == [
        *((Role.QP, False), (Role.QP, False), (Role.QP, True), (Role.TOP, True))
    ]


def test_which_qps_wake_together() -> None:
    gen1 = resolve("ntb_hw_intel-gen1", mw_count=64)
    assert wakeup_groups(bits_of(gen1, 12)) == [(0, 1, 2, 3, 4), (5, 6, 7, 8, 9), (10, 11)]
