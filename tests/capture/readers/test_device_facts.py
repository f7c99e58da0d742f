# SPDX-License-Identifier: BSD-3-Clause
"""What drivers say of their device: debugfs info, the kernel's log, ntb_perf."""

import re
from pathlib import Path

import pytest
from captures import CASES, PCI, capture, measured

from ntbbench.capture.ingest import ingest

AMD = (
    "NTB Device Information:\nConnection Topology -\tNTB_TOPO_PRI\nLink Status -\t\tUp\n"
    "Memory Window Count -\t3\nDoorbell Count -\t{count}\nMSIX Vector Count -\t{vectors}\n"
    "Doorbell Valid Mask -\t{valid}\nDoorbell Mask -\t\t\t0x0000\n"
)


def saved(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_case_of_amd() -> None:
    (device,) = measured(CASES / "info-amd").devices
    assert (device.driver, device.db_valid_mask) == ("ntb_hw_amd", "0x7fff")
    assert device.vector_masks == [hex(1 << bit) for bit in range(15)]
    assert (device.link_mask, device.link_vectors) == ("0x8000", [*range(15, 24)])


@pytest.mark.parametrize(
    ("count", "vectors", "valid", "link", "events"),
    [
        (15, 24, "0x7fff", "0x8000", [*range(15, 24)]),
        (16, 24, "0xffff", "0x0", [*range(16, 24)]),  # before Linux 5.7
        (0, 1, "0", "0x1", [0]),  # MSI or INTx: `%#llx` prints no 0x before a zero
    ],
)
def test_amd_of_any_kernel(count, vectors, valid, link, events, tmp_path: Path) -> None:
    path = saved(tmp_path / "info", AMD.format(count=count, vectors=vectors, valid=valid))
    found = measured(path)
    (device,) = found.devices
    assert len(device.vector_masks) == count
    assert (device.link_mask, device.link_vectors, device.mw_count) == (link, events, 3)
    assert any("no QP can be made" in caution for caution in found.cautions) == (not count)


@pytest.mark.parametrize("valid", ["0x7ffe", "0xffff", "0x10000000000000000", "x"])
def test_a_mask_that_amd_cannot_have_is_refused(valid: str, tmp_path: Path) -> None:
    (error,) = ingest([saved(tmp_path / "i", AMD.format(count=15, vectors=24, valid=valid))]).errors
    assert "\n" not in error


def test_amd_s_info_tells_its_lines(tmp_path: Path) -> None:
    folder = capture(
        tmp_path / "c", [[0, 0]] * 24, [[5, 0]] * 14 + [[40, 0]] + [[9, 0]] * 9,
        action="ndev_vec_isr",
    )  # fmt: skip
    (folder / "info").mkdir()
    saved(folder / "info" / PCI, AMD.format(count=15, vectors=24, valid="0x7fff"))
    found = measured(folder).interrupts
    assert [irq.slot for irq in found if irq.is_doorbell] == [*range(15)]


def test_case_of_gen3_before_its_masks_were_mended() -> None:
    found = measured(CASES / "info-intel-gen3-before-6.15")
    (device,) = found.devices
    assert device.db_valid_mask == "0x7fffffff"
    assert (device.link_mask, device.link_vectors) == ("0x180000000", [31, 32])
    (caution,) = found.cautions
    assert "the overlap of gen3's own driver (mended in Linux 6.15)" in caution


IDT = (
    "\n\t\tIDT NTB device Information:\n\nLocal Port 0, Partition 0\nPeers:\n"
    "\t0. Port 8, Partition 1\nNTB link status\t- 0x00000001, PCIe Gen 2 x4 lanes\n"
    "Outbound Memory Windows:\n{windows}"
    "Inbound Memory Windows for peer 0 (Port 8):\n\t0.\tdirect BAR4, Address align 0x1\n\n"
    "Global Doorbell state\t- 0x00000000\nLocal  Doorbell state\t- 0x00000000\n"
    "Local  Doorbell mask\t- 0xffffffff\n"
)


@pytest.mark.parametrize(
    ("windows", "count"),
    [
        ("\t0.\tdirect BAR2, Address align 0x1\n", 1),
        ("\t0-11.\tLUT12 BAR2, Address align 0x1\n\t12.\tdirect BAR4, Address align 0x1\n", 13),
        ("", 0),
    ],
)
def test_idt(windows: str, count: int, tmp_path: Path) -> None:
    (device,) = measured(saved(tmp_path / "info", IDT.format(windows=windows))).devices
    assert (device.driver, device.db_valid_mask) == ("ntb_hw_idt", "0xffffffff")
    assert (device.vector_masks, device.mw_count) == ([], count)


def test_idt_that_is_cut_off(tmp_path: Path) -> None:
    (error,) = ingest([saved(tmp_path / "info", IDT[:200])]).errors
    assert "Doorbell mask" in error


PERF_INFO = (
    "    Performance measuring tool info:\n\nLocal port 0, Global index 0\nTest status: idle\n"
    "Port 1 (0), Global index 1:\n\tLink status: {link}\n\tOut buffer addr 0x00000000fd3649f3\n"
    "\tOut buffer size 0x0000000000100000\n\tOut buffer xlat 0x0000000000000000[p]\n{rest}"
)


@pytest.mark.parametrize(
    ("link", "rest", "told"),
    [
        ("up", "\tIn buffer size 0x0000000000200000\n", [1, 1 << 20, 2 << 20]),
        ("down", "\tIn buffer addr: unallocated\n", [0, 1 << 20]),
        ("up", "\tIn buffer size 00200\n", [1, 1 << 20, 200]),
        ("up", "Port 2 (1), Global index 2:\n\tLink status: down\n", [1, 1 << 20, 0]),
    ],
)
def test_ntb_perf_s_info(link: str, rest: str, told: list[int], tmp_path: Path) -> None:
    counts = measured(saved(tmp_path / "info", PERF_INFO.format(link=link, rest=rest))).counts
    assert [count.value for count in counts] == told
    assert {count.key for count in counts} <= {"port 1", "port 2"}


def test_case_of_ntb_perf_with_errors_only(ntbbench) -> None:
    path = CASES / "ntb_perf-errors-only.txt"
    found = measured(path)
    assert [failure.split(": ", 1)[1] for failure in found.failures] == [
        f"ntb_perf thread {thread}: error status -19 (ENODEV: No such device)" for thread in (0, 1)
    ]
    first = ntbbench("ingest", path).out.split("\n")[0]
    assert first.startswith("Ntb_perf thread 0: error status -19 (ENODEV")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0: error status -110", "ETIMEDOUT"),
        ("3: error -12", "ENOMEM"),  # before Linux 4.16
        ("1: error status -512", "ERESTARTSYS"),
        ("1: error status -4095", "error status -4095"),
    ],
)
def test_ntb_perf_s_errors(line: str, words: str, tmp_path: Path) -> None:
    text = f"    Peer 0 test statistics:\n2: copied 100 bytes in 10 usecs, 10 MBytes/s\n{line}\n"
    found = measured(saved(tmp_path / "run", text))
    assert words in found.failures[0]
    assert (len(found.throughput), found.cautions) == (1, [])


@pytest.mark.parametrize(
    "prefix",
    [
        "[  123.456789] ntb_perf 0: ", "[Mon Nov 30 04:46:29 2026] ntb_perf 0: ",
        "Nov 30 04:46:29 board kernel: ntb_perf 0000:03:00.0: 0: ", "ntb_perf 0: ",
        "<6>[  123.456789] ntb_perf 0: ", "kern  :info  : [  123.456789] ntb_perf 0: ",
        "[  123.456789][  T812] ntb_perf 0: ", "2026-11-30T04:46:29,123456+00:00 ntb_perf 0: ",
        "2026-11-30T04:46:29+0000 board kernel: ntb_perf 0: ",
    ],
)  # fmt: skip
def test_ntb_perf_in_the_kernel_s_log(prefix: str, tmp_path: Path) -> None:
    lines = ("copied 4294967296 bytes", "lasted 2000000 usecs", "MBytes/s: 2147")
    path = saved(tmp_path / "log.txt", "".join(f"{prefix}{line}\n" for line in lines))
    (row,) = measured(path).throughput
    assert (row.what, row.bits_per_second) == ("thread 0", 4294967296 * 8 / 2)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Linux version 6.1.192 (x@y) (gcc)", {"kernel": "6.1.192"}),
        (
            "switchtec switchtec0: dbs: shift 0/32, mask 000000000fffffff",
            {"driver": "ntb_hw_switchtec", "db_valid_mask": "0xfffffff"},
        ),
        ("switchtec 0000:3b:00.1: Using crosslink configuration", {"is_crosslink": True}),
        ("ntb_hw_intel 0000:00:03.0: Reduce doorbell count by 1", {"is_erratum": True}),
        ("ntb_hw_intel 0000:00:03.0: Using 33 msix interrupts", {"vectors": 33}),
        ("ntb_hw_amd 0000:03:00.1: Using intx interrupts", {"driver": "ntb_hw_amd", "vectors": 1}),
        ("ntb_hw_amd 0000:03:00.1: NTB device registered.", {"driver": "ntb_hw_amd"}),
        ("ntb_hw_epf 0000:01:00.0: Remote max number of qps = 4", {"qp_count": 4}),
        ("ntb_hw_epf 0000:01:00.0: Remote number of mws = 2", {"mw_count": 2}),
        (
            "switchtec 0000:3b:00.1: dbs mask 0fffffffffffffff, 2 qps, 2 mws",
            {"db_valid_mask": hex((1 << 60) - 1), "qp_count": 2, "mw_count": 2},
        ),
    ],
)
def test_clues_of_the_kernel_s_log(line: str, told: dict[str, object], tmp_path: Path) -> None:
    text = f"[    0.000000] Command line: quiet\n[    9.100000] {line}\n"
    (clue,) = measured(saved(tmp_path / "dmesg", text)).clues
    assert {name: getattr(clue, name) for name in told} == told


@pytest.mark.parametrize(
    ("case", "row"),
    [
        ("info-amd", "ntb_hw_amd 0x7fff (15 doorbells) 15: bit n of vector n latched"),
        ("info-idt", "ntb_hw_idt 0xffffffff (32 doorbells) no callbacks latched"),
        ("irq-linkvec/info", "ntb_hw_intel 0x7fff (15 doorbells) 0x1f/0x3e0/0x7c00/0x0 latched"),
    ],
)
def test_a_report_counts_doorbells_and_vectors(case: str, row: str, ntbbench) -> None:
    printed = " ".join(ntbbench("ingest", "-v", CASES / case).out.split())
    assert f"driver valid mask vector masks db_read source {'-'} {row}" in re.sub(
        "-{2,}", "-", printed
    )
