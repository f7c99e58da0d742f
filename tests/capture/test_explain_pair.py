# SPDX-License-Identifier: BSD-3-Clause
"""`explain` of what the lab of the pair recorded: correct drivers are inside, old ones too."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from captures import counter, edit, measured, set_counters, table
from captures import explained as explanations
from pair_recordings import DATA

from ntbbench.capture.records import DeviceFacts
from ntbbench.cli.main import main

RECORDED = sorted(path.parent for path in DATA.glob("*/*/trace") if path.parent.name != "setup")
EP, RC = "0000:10:00.0", "0010:00:00.0"
OLD_RC = DATA / "after-before" / "ep-to-rc-f4-n5-g2000"
OLD_EP = DATA / "before-after" / "rc-to-ep-f4-n5-g2000"
EMBEDDED = DATA / "after-after-embedded" / "rc-to-ep-f4-n5-g2000"
MSI = DATA / "after-after-msi" / "rc-to-ep-f4-n5-g2000"


def device_of(folder: Path) -> DeviceFacts:
    (device,) = measured(folder).devices
    return device


def explained(folder: Path, to: Path, *args: str) -> tuple[int, dict[str, Any]]:
    code, (one,) = explanations(folder, *args, to=to)
    return code, one


@pytest.mark.parametrize("folder", RECORDED, ids=lambda p: p.relative_to(DATA).as_posix())
def test_every_recording_is_inside_the_model_of_its_driver(folder: Path, tmp_path: Path) -> None:
    code, one = explained(folder, tmp_path)
    assert (code, one["verdict"], one["unexplained"]) == (0, "inside", 0)
    assert [qp["verdict"] for qp in one["qps"]] == ["inside"] * len(one["qps"])
    assert one["qps"]


@pytest.mark.parametrize(
    ("folder", "db_read", "valid", "vectors", "action"),
    [
        (OLD_RC, "legacy", "0x7fff", 0, "ntb_epf"),
        (OLD_EP, "legacy", "0xff", 0, "pci_epf_vntb_db"),
        (DATA / "after-after" / "ep-to-rc-f4-n5-g2000", "latched", "0x3fff", 14, "ntb_epf"),
        (MSI, "latched", "0x3f", 6, "pci_epf_vntb_db"),
    ],
)
def test_the_device_is_the_driver_that_received(folder, db_read, valid, vectors, action) -> None:
    device = device_of(folder)
    assert (device.db_read, device.db_valid_mask) == (db_read, valid)
    assert len(device.vector_masks) == vectors
    assert (device.action, device.client) == (action, "ntb_netdev")


@pytest.mark.parametrize(
    ("name", "patches", "valid"),
    [("rc", "8 9 10 11", "0x3fff"), ("rc", "8", "0x7fff"), ("ep", "1 2 3 4 5 6", "0x3f")],
)
def test_a_driver_with_a_part_of_the_series(name, patches, valid, tmp_path) -> None:
    """As stable kernels have it: patches 9 to 11 and no vector callbacks."""
    folder = shutil.copytree(OLD_RC if name == "rc" else OLD_EP, tmp_path / "c")
    edit(folder / "point", f"{name}_patches=\n", f"{name}_patches={patches}\n")
    edit(folder / "point", "db_read_latched=0", "db_read_latched=1")
    device = device_of(folder)
    assert (device.db_valid_mask, device.vector_masks) == (valid, [])
    assert device.db_read == "latched"


def test_a_loopback_recording_still_reads_nothing_of_a_ring(tmp_path: Path) -> None:
    """There db_read_latched=0 is what the device was told, not what an old driver shows."""
    folder = shutil.copytree(OLD_RC, tmp_path / "c")
    lines = (folder / "point").read_text().splitlines()
    (folder / "point").write_text("\n".join(lines[:5]) + "\n")
    device = device_of(folder)
    assert (device.db_read, device.client) == ("zero", "")


def test_the_bound_of_an_old_driver_is_one_race_check_an_interrupt(tmp_path: Path) -> None:
    """20 doorbells on 4 QPs: 80 calls, 20 race checks, 20 reposts; not 160."""
    _, one = explained(OLD_RC, tmp_path)
    assert (one["measured_runs_low"], one["predicted_runs_high"]) == (115, 120)
    assert {cause["code"] for cause in one["causes"]} == {
        "fallback-mask", "race-check", "buffer-repost",
    }  # fmt: skip


def test_more_runs_than_the_old_driver_makes_are_still_a_finding(tmp_path: Path) -> None:
    folder = shutil.copytree(OLD_RC, tmp_path / "c")
    for qp_num in range(4):
        path = folder / "after-stats" / RC / f"qp{qp_num}"
        set_counters(path, rx_ring_empty=counter(path, "rx_ring_empty") + 5)
    code, one = explained(folder, tmp_path)
    assert (code, one["verdict"], one["unexplained"]) == (1, "excess", 135 - 120)


def with_lines(folder: Path, source: Path, rows: list[tuple[int, str]]) -> Path:
    """Copy a recording with interrupt lines that counted so many during it."""
    shutil.copytree(source, folder)
    for when, factor in (("before", 0), ("after", 1)):
        lines = [(str(24 + i), [count * factor], what) for i, (count, what) in enumerate(rows)]
        (folder / f"{when}-interrupts").write_text(table(["CPU0"], lines))
    return folder


def epf(*counts: int) -> list[tuple[int, str]]:
    return [
        (count, f"EPC-LOOP-PCI-MSI-{RC}   {slot}  ntb_epf") for slot, count in enumerate(counts)
    ]


def vntb(*counts: int) -> list[tuple[int, str]]:
    return [
        (count, f"EPC-LOOP-DB-pMSI-epc_loop.0   {slot}  pci_epf_vntb_db")
        for slot, count in enumerate(counts)
    ]


def test_the_sender_s_lines_are_no_doorbells_of_the_receiver(tmp_path: Path) -> None:
    """A polled endpoint has no line: the root complex's stand still while its tasklets run."""
    folder = with_lines(tmp_path / "c", OLD_EP, epf(0, 0, 0, 0, 3, 0))
    code, one = explained(folder, tmp_path)
    assert (code, one["verdict"], one["interrupts"]) == (0, "inside", 20)
    found = measured(folder)
    assert not any(irq.is_doorbell for irq in found.interrupts)
    assert {row.interrupts for row in found.amplification} == {20}


def test_lines_of_both_sides_are_not_mixed(tmp_path: Path) -> None:
    rows = [*vntb(0, 0, 5, 5, 5, 5, 0, 0), *epf(0, 0, 1, 1, 1, 1)]
    code, one = explained(with_lines(tmp_path / "c", MSI, rows), tmp_path)
    assert (code, one["verdict"], one["interrupts"]) == (0, "inside", 20)
    assert [row["interrupts"] for row in one["vectors"]] == [5] * 4


@pytest.mark.parametrize("lines", [True, False])
def test_an_embedded_doorbell_wakes_every_qp_twice(lines: bool, tmp_path: Path) -> None:
    """Each of 20 interrupts reports six vectors and sets six bits: 8 runs of 4 QPs."""
    folder = with_lines(tmp_path / "c", EMBEDDED, vntb(20)) if lines else EMBEDDED
    code, one = explained(folder, tmp_path)
    assert (code, one["verdict"], one["interrupts"]) == (0, "inside", 20 if lines else 120)
    assert (one["measured_runs_low"], one["predicted_runs_high"]) == (160, 160)
    (race,) = [cause for cause in one["causes"] if cause["code"] == "race-check"]
    assert "every bit" in race["text"]


def test_a_board_with_an_embedded_doorbell_is_explained_too(tmp_path: Path) -> None:
    """Without a `point`: the one line of pci_epf_vntb_db says it."""
    folder = with_lines(tmp_path / "c", EMBEDDED, vntb(20))
    for name in ("point", "state", "trace"):
        (folder / name).unlink()
    code, one = explained(folder, tmp_path, "--hardware", "pci-epf-vntb-v4", "--doorbells", "8")
    assert (code, one["verdict"], one["interrupts"]) == (0, "inside", 20)
    assert one["predicted_amplification"] == 4


def test_packets_beyond_interrupts_may_each_have_met_a_repost(tmp_path: Path) -> None:
    """Under load few interrupts come: a run that finds a packet schedules itself by its repost."""
    folder = shutil.copytree(DATA / "after-after" / "ep-to-rc-f4-n5-g2000", tmp_path / "c")
    for qp_num in range(4):
        path = folder / "after-stats" / RC / f"qp{qp_num}"
        for name, more in (("rx_ring_empty", 50), ("rx_pkts", 60)):
            set_counters(path, **{name: counter(path, name) + more})
    code, one = explained(folder, tmp_path)
    assert (code, one["verdict"]) == (0, "inside")


def test_a_whole_boot_is_read_without_its_setup(tmp_path: Path) -> None:
    """`--record` keeps set-up, counts of the traffic and logs beside each point."""
    boot = shutil.copytree(DATA / "after-before", tmp_path / "boot")
    for point in boot.glob("*-to-*"):
        (point / "dmesg").write_text("")
    found = measured(boot)
    assert {Path(source.capture).parent.name for source in found.sources} == {"boot"}
    assert len({source.capture for source in found.sources}) == 4
    assert found.counts == []  # `received` is no count of ntb_pingpong


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("direction=ep-to-rc", "direction=up", "ep-to-rc or rc-to-ep"),
        ("ep_slots=8", "ep_slots=many", "a whole number from 0 to 32"),
        ("ep_slots=8\n", "", "ep_slots"),
        ("rc_patches=", "rc_patches=x", "rc_patches=x"),
        ("sending_qps=0 1 2 3", "sending_qps=64", "sending_qps=64"),
    ],
)
def test_a_damaged_point_is_one_line(old, new, told, tmp_path, capsys) -> None:
    folder = shutil.copytree(OLD_RC, tmp_path / "c")
    edit(folder / "point", old, new)
    assert main(["ingest", str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line and "point" in line


def test_a_link_that_stays_down_is_a_recording_too() -> None:
    """Nothing was sent: `sending_qps` is empty, and every QP is down."""
    folder = DATA / "after-after-slots-4" / "rc-to-ep-f2-n5-g2000"
    assert device_of(folder).vector_masks == ["0x1", "0x2"]
