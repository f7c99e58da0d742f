# SPDX-License-Identifier: BSD-3-Clause
"""/proc/interrupts as other controllers, kernels and numbers of CPUs print it."""

import shutil
from pathlib import Path

import pytest
from captures import CASES, FOUR, PCI, measured, table

from ntbbench.capture.readers.proc import read_snapshot
from ntbbench.capture.records import Measured


def lines(found: Measured) -> list[tuple[str, str, int | None]]:
    """Return label, role and count of the NTB lines."""
    return [(irq.label, irq.role, irq.total) for irq in found.interrupts if irq.slot is not None]


def snapshots(folder: Path, rows: list[tuple[str, list[int], str]], cpus: int = 2) -> Path:
    """Write a capture during which these lines counted so."""
    folder.mkdir()
    names = [f"CPU{cpu}" for cpu in range(cpus)]
    for when, factor in (("before", 0), ("after", 1)):
        counted = [(label, [n * factor for n in counts], what) for label, counts, what in rows]
        (folder / f"{when}-interrupts").write_text(table(names, counted))
    return folder


EPF = ("link", "reserved", "doorbell bit 0")


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("irq-rcar", [("150", EPF[0], 1000), ("151", EPF[1], 0), ("152", EPF[2], 1000)]),
        ("irq-plic", [("40", "all doorbells, and link events", 1000)]),
        ("irq-fiq", [("27", EPF[0], 1000), ("28", EPF[1], 1000), ("29", EPF[2], 1000)]),
    ],
)
def test_cases(case: str, told: list[tuple[str, str, int]]) -> None:
    found = measured(CASES / case)
    assert (lines(found), found.without_ntb) == (told, [])
    assert any("FIQ" in caution for caution in found.cautions) == (case == "irq-fiq")


@pytest.mark.parametrize(
    ("what", "chip", "hwirq"),
    [
        ("PCIe MSI   {} Edge      ntb_epf", "PCIe MSI", True),
        ("BRCM STB PCIe MSI {} Edge      ntb_epf", "BRCM STB PCIe MSI", True),
        ("RISC-V IMSIC-PCI-MSIX-0000:01:00.0  {} Edge  ntb_epf", None, True),
        ("Hyper-V PCIe MSI {}-edge      ntb_epf", "Hyper-V PCIe MSI", True),
        ("SiFive PLIC  {} Level     ntb_epf", "SiFive PLIC", True),
        ("SiFive PLIC  {}  ntb_epf", "SiFive PLIC", True),  # a kernel without SHOW_LEVEL
        ("xen-pirq    -msi-x     ntb_epf", "xen-pirq", False),
        ("xen-pirq    -pirq-msi-x     ntb_epf", "xen-pirq", False),
        ("XICS   Level     ntb_epf", "XICS", False),
        ("PCI-MSI-edge      ntb_epf", "PCI-MSI-edge", False),
        ("GIC  ntb_epf", "GIC", False),
        ("GICv3  {} Edge   oob   ntb_epf", "GICv3", True),
        ("IO-APIC  {}-edge-oob   ntb_epf", "IO-APIC", True),
        ("PCI-MSI {}-edge   -oob  ntb_epf", "PCI-MSI", True),
        ("2100000.msi-controller {} Edge ntb_epf", "2100000.msi-controller", True),
        ("-  {} Edge      ntb_epf", "-", True),
    ],
)
def test_chips(what: str, chip: str | None, hwirq: bool, tmp_path: Path) -> None:
    """Also where only single blanks are left of a text that was pasted."""
    for name, printed in (("c", what), ("d", " ".join(what.split()))):
        rows = [(str(40 + slot), [n, 0], printed.format(slot)) for slot, n in enumerate((7, 0, 90))]
        folder = snapshots(tmp_path / name, rows)
        told = list(zip(("40", "41", "42"), EPF, (7, 0, 90), strict=True))
        assert lines(measured(folder)) == told, printed
        row = read_snapshot(folder / "after-interrupts").rows["42"]
        assert row.action == "ntb_epf"
        if name == "c":
            assert row.hwirq == (2 if hwirq else None)
            assert chip is None or row.chip == chip


@pytest.mark.parametrize(
    ("what", "action"),
    [
        ("IR-IO-APIC  16-fasteoi   i801_smbus, ndev_irq_isr, ehci_hcd:usb1", None),
        ("PCI-MSI 512-edge      PCIe PME, pciehp, aerdrv", "PCIe PME, pciehp, aerdrv"),
        ("IO-APIC   9-fasteoi", ""),
        ("PCIe MSI   5 Edge", ""),
    ],
)
def test_actions_hold_blanks_or_are_none(what: str, action: str | None, tmp_path: Path) -> None:
    folder = snapshots(tmp_path / "c", [("16", [1, 2], what)])
    wanted = what.rsplit("   ", maxsplit=1)[-1] if action is None else action
    assert read_snapshot(folder / "after-interrupts").rows["16"].action == wanted


@pytest.mark.parametrize("cpus", [1, 2, 3, 64, 255, 256, 768, 1024])
def test_columns_come_from_the_header(cpus: int, tmp_path: Path) -> None:
    """The name of the chip begins with a number."""
    counts = [cpu % 7 for cpu in range(cpus)]
    rows = [(str(60 + slot), counts, f"4000.msi {slot} Edge      ntb_epf") for slot in range(3)]
    rows.append(("IPI0", counts, "Rescheduling interrupts"))
    found = measured(snapshots(tmp_path / "c", rows, cpus))
    assert [total for _, _, total in lines(found)] == [sum(counts)] * 3
    doorbell = next(irq for irq in found.interrupts if irq.role == "doorbell bit 0")
    assert doorbell.per_cpu == counts


@pytest.mark.parametrize(
    ("action", "labels", "slots"),
    [
        ("ndev_vec_isr", [*range(64, 72)], [0, 1, 2, 3] * 2),  # two of gen1's four lines
        ("ndev_vec_isr", [*range(64, 68), *range(80, 84)], [0, 1, 2, 3] * 2),
        ("ntb_epf", [*range(40, 44), *range(50, 54)], [0, 1, 2, 3] * 2),
        ("ntb_epf", [*range(40, 48)], [*range(8)]),  # nothing tells: one bridge
        ("ntb_epf", [40, 42, 44], [0, 1, 2]),  # gaps everywhere are no bridges
        ("ndev_vec_isr", [*range(64, 68)], [0, 1, 2, 3]),
    ],
)
def test_several_bridges_of_a_kernel_that_prints_no_hwirq(action, labels, slots, tmp_path) -> None:
    rows = [(str(label), [1, 0], f"PCI-MSI-edge      {action}") for label in labels]
    found = measured(snapshots(tmp_path / "c", rows))
    assert [irq.slot for irq in found.interrupts] == slots


def test_the_counters_tell_how_many_bridges_there_are(tmp_path: Path) -> None:
    rows = [(str(40 + i), [1, 0], f"PCIe MSI {i} Edge      ntb_epf") for i in range(8)]
    folder = snapshots(tmp_path / "c", rows)
    for when in ("before", "after"):
        for name in (PCI, "0000:81:00.1"):
            shutil.copytree(FOUR / f"{when}-stats" / PCI, folder / f"{when}-stats" / name)
    assert [irq.slot for irq in measured(folder).interrupts] == [0, 1, 2, 3] * 2


def test_two_controllers_of_one_name_number_their_own_interrupts(tmp_path: Path) -> None:
    rows = [(str(40 + i), [1, 0], f"PCIe MSI {i % 4} Edge      ntb_epf") for i in range(8)]
    found = measured(snapshots(tmp_path / "c", rows))
    assert [irq.slot for irq in found.interrupts] == [0, 1, 2, 3] * 2


def test_a_pasted_text_has_the_command_first_and_no_last_newline(tmp_path: Path) -> None:
    rows = [(str(40 + i), [9, 0], f"PCIe MSI {i} Edge      ntb_epf") for i in range(3)]
    folder = snapshots(tmp_path / "c", [*rows, ("ERR", [0], "")])
    for when in ("before", "after"):
        path = folder / f"{when}-interrupts"
        path.write_text("root@board:~# cat /proc/interrupts\n" + path.read_text().rstrip("\n"))
    found = measured(folder)
    assert [total for _, _, total in lines(found)] == [9, 9, 9]
    (caution,) = found.cautions
    assert "cat /proc/interrupts" in caution and "not read" in caution


def test_many_odd_rows_are_named_up_to_a_limit(tmp_path: Path) -> None:
    rows = [(str(40 + i), [9, 0], f"PCIe MSI {i} Edge      ntb_epf") for i in range(3)]
    folder = snapshots(tmp_path / "c", rows)
    for when in ("before", "after"):
        path = folder / f"{when}-interrupts"
        path.write_text(path.read_text() + "".join(f"X{i}: odd\n" for i in range(500)))
    found = measured(folder)
    assert len(found.interrupts) == 3
    assert len(found.cautions) == 21 and "480 more rows" in found.cautions[-1]
