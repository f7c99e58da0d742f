# SPDX-License-Identifier: BSD-3-Clause
"""Snapshots of /proc and debugfs: differences, and what must never become a wrong number."""

from pathlib import Path

import pytest
from captures import PCI, TOOLS, ZERO, capture, edit, measured, set_counters, table
from recordings import LOOP_612

from ntbbench.capture.ingest import ingest
from ntbbench.capture.readers.irq_lines import find_slots
from ntbbench.capture.readers.proc import difference, read_snapshot
from ntbbench.capture.replay import replay_log
from ntbbench.capture.replay_records import points_of
from ntbbench.core.errors import InputError

SLOTS = [[1, 0], [0, 0], [40, 0], [40, 0], [40, 0], [30, 10]]


@pytest.mark.parametrize("folder", [p.parent for p in LOOP_612.glob("*/before-stats")], ids=str)
def test_bounds_hold_the_traced_truth(folder: Path) -> None:
    """debugfs counters alone bound, per QP, the runs that the trace shows one by one."""
    (point,) = points_of(replay_log(folder))
    found = measured(folder)
    bounds = {qp.qp_num: qp for qp in found.qps if qp.device == PCI}
    for qp_num, runs in enumerate(point.recorded.runs_per_qp):
        assert bounds[qp_num].runs_low <= runs <= bounds[qp_num].runs_high
        assert bounds[qp_num].runs_low == runs  # no run of a recording consumed a full ring
    (traced,) = found.traces
    assert traced.db_events == point.recorded.interrupts
    assert [w.runs for w in traced.woken] == [r for r in point.recorded.runs_per_qp if r]
    wakeups = [(w.doorbell or 0) + (w.other or 0) for w in traced.woken]
    assert wakeups == [n for n in point.recorded.wakeups_per_qp if n]
    by_kind = {(a.quantity, len(a.sources)): a for a in found.amplification}
    exact, bounded = by_kind["runs", 1], by_kind["runs", 2]
    assert bounded.low <= exact.low == exact.high <= bounded.high
    assert by_kind["doorbell wakeups", 1].high <= bounded.high


def test_slots_and_amplification_without_a_trace(tmp_path: Path) -> None:
    found = measured(capture(tmp_path / "c", ZERO, SLOTS))
    roles = [(irq.slot, irq.role, irq.is_doorbell, irq.total) for irq in found.interrupts]
    assert roles == [
        (0, "link", False, 1),
        (1, "reserved", False, 0),
        (2, "doorbell bit 0", True, 40),
        (3, "doorbell bit 1", True, 40),
        (4, "doorbell bit 2", True, 40),
        (5, "doorbell bit 3", True, 40),
    ]
    assert found.interrupts[-1].per_cpu == [30, 10]
    (ratio,) = found.amplification
    assert (ratio.quantity, ratio.interrupts, ratio.low, ratio.high) == ("runs", 160, 5.0, 5.05)
    assert [Path(name).name for name in ratio.sources] == ["after-interrupts", "after-stats"]


def test_a_wrap_is_one_wrap(tmp_path: Path) -> None:
    before = [[0, 0], [0, 0], [2**32 - 10, 0], *ZERO[:3]]
    after = [[0, 0], [0, 0], [30, 0], [40, 0], [40, 0], [40, 0]]
    found = measured(capture(tmp_path / "c", before, after))
    assert found.interrupts[2].total == 40
    assert sum("wrapped" in caution for caution in found.cautions) == 1
    assert found.amplification[0].interrupts == 160


def test_a_counter_that_went_back_gives_no_number(tmp_path: Path) -> None:
    before = [[0, 0], [0, 0], [100, 0], *ZERO[:3]]
    found = measured(capture(tmp_path / "c", before, SLOTS))
    row = next(irq for irq in found.interrupts if irq.slot == 2)
    assert row.total is None
    assert row.per_cpu == [None, 0]
    assert found.amplification == []
    assert sum("went back" in caution for caution in found.cautions) == 1


def test_cpus_that_came_and_went(tmp_path: Path) -> None:
    cpus = (["CPU0", "CPU1"], ["CPU0", "CPU2"])
    found = measured(capture(tmp_path / "c", ZERO, SLOTS, cpus))
    row = found.interrupts[-1]
    assert (row.cpus, row.per_cpu) == (["CPU0", "CPU1", "CPU2"], [30, None, None])
    assert (row.total, row.at_least) == (None, 30)
    assert found.amplification == []
    told = " ".join(found.cautions)
    assert "CPU2 came" in told
    assert "CPU1 went" in told


def test_a_line_that_belongs_to_another_driver_now(tmp_path: Path) -> None:
    folder = capture(tmp_path / "c", ZERO, SLOTS)
    edit(folder / "before-interrupts", "5-edge      ntb_epf", "5-edge      eth0")
    found = measured(folder)
    assert found.interrupts[-1].total is None
    assert any("45 was eth0 and is ntb_epf" in caution for caution in found.cautions)


def test_a_link_bounce_gives_no_runs(tmp_path: Path) -> None:
    folder = capture(tmp_path / "c", ZERO, SLOTS)
    path = folder / "after-stats" / PCI / "qp2"
    edit(path, "rx_ring_empty - ", "rx_ring_empty - 0")  # the same number: nothing happens
    assert measured(folder).amplification
    path.write_text((folder / "after-stats" / PCI / "qp1").read_text())  # fewer packets
    found = measured(folder)
    qp = found.qps[2]
    assert (qp.runs_low, qp.runs_high, qp.rx_pkts) == (None, None, None)
    assert any("qp2: rx_bytes, rx_pkts" in caution for caution in found.cautions)
    assert found.amplification == []


@pytest.mark.parametrize(
    ("down", "link", "low"),
    [
        (("before",), "came up", None),
        (("after",), "went down", None),
        (("before", "after"), "down", 600),
    ],
)
def test_a_link_that_was_down(down, link, low, tmp_path) -> None:
    """One that stays down has no runs to count; of one that changed they are not known."""
    folder = capture(tmp_path / "c", ZERO, SLOTS)
    for when in down:
        (folder / f"{when}-stats" / PCI / "qp3").write_text("")
    found = measured(folder)
    assert (found.qps[3].link, found.qps[3].runs_low) == (link, None)
    assert [row.count_low for row in found.amplification] == [low] * (low is not None)


def test_a_full_budget_widens_the_bounds(tmp_path: Path) -> None:
    folder = capture(tmp_path / "c", ZERO, SLOTS)
    for path in folder.glob("*-stats/*/qp*"):
        set_counters(path, rx_max_entry=4)
    qp = measured(folder).qps[0]
    assert (qp.runs_low, qp.runs_high) == (200, 210)


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("after-interrupts", "CPU0", "bogus", "a header of CPUs"),
        (f"after-stats/{PCI}/qp0", "QP Link - \tUp\n", "", "cut off"),
        (f"after-stats/{PCI}/qp0", "rx_err_ver", "rx_err_vex", "rx_err_ver"),
        (f"after-stats/{PCI}/qp0", "rx_pkts - \t", "rx_pkts - \t-", "u64"),
        (f"after-stats/{PCI}/qp0", "NTB QP stats:", "", "as ntb_transport's stats"),
    ],
)
def test_damage_is_one_line_and_no_number(tmp_path, name, old, new, told) -> None:
    folder = capture(tmp_path / "c", ZERO, SLOTS)
    edit(folder / name, old, new)
    found = ingest([folder])
    (error,) = found.errors
    assert told in error
    assert "\n" not in error
    assert found.amplification == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("40: ", "41: ", "is there twice"),
        ("\n 45: ", "\n 45: 4294967296 ", "u32"),
        ("\n 45: ", "\n 45: x", "2 counts"),
        ("\n 45: ", "\n 45 ", "label"),
        ("\n 45: ", "\n 45: 1" + "0" * 5000, "u32"),
        ("5-edge      ntb_epf", f"5-edge      {'x' * 600}", "512 characters"),
    ],
)
def test_an_odd_row_costs_its_row_and_what_needs_it(tmp_path, when, old, new, told) -> None:
    """Of a doorbell line that is not read no sum is made; every other row stands."""
    folder = capture(tmp_path / "c", ZERO, SLOTS)
    edit(folder / f"{when}-interrupts", old, new)
    found = measured(folder)
    assert sum(told in caution for caution in found.cautions) == 1
    rows = {irq.label: irq.total for irq in found.interrupts}
    assert (rows["42"], rows["43"]) == (40, 40)
    odd = "41" if "41" in new else "45"
    assert rows[odd] is None
    assert bool(found.amplification) == (odd == "41")  # 41 is the reserved slot, no doorbell
    roles = [irq.role for irq in found.interrupts if irq.label in ("42", "43", "44")]
    assert roles == ["doorbell bit 0", "doorbell bit 1", "doorbell bit 2"]


def test_a_row_of_another_device_that_is_odd_costs_nothing(tmp_path: Path) -> None:
    folder = capture(tmp_path / "c", ZERO, SLOTS)
    for when in ("before", "after"):
        path = folder / f"{when}-interrupts"
        path.write_text(path.read_text() + "FIQ:              usb_fiq\n")
    found = measured(folder)
    assert (found.amplification[0].interrupts, found.amplification[0].low) == (160, 5.0)
    (caution,) = found.cautions
    assert "FIQ" in caution and "after-interrupts:8" in caution


@pytest.mark.parametrize("keep", [1, 20, 300, 500])
def test_interrupts_cut_off(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "interrupts"
    path.write_text((TOOLS / "snapshots" / "after-interrupts").read_text()[:keep])
    with pytest.raises(InputError):
        read_snapshot(path)


def test_real_snapshots_of_two_cpus() -> None:
    folder = TOOLS / "snapshots"
    before, after = (read_snapshot(folder / f"{w}-interrupts") for w in ("before", "after"))
    assert before.cpus == ("CPU0", "CPU1")
    row = after.rows["36"]
    assert (row.chip, row.hwirq, row.action) == ("PCI-MSIX-0000:00:02.0", 1, "virtio1-req.0")
    assert after.rows["ERR"].counts == {"CPU0": 0}
    cautions: list[str] = []
    deltas = difference(before, after, cautions)
    assert cautions == []
    assert all(delta.total is not None and delta.total >= 0 for delta in deltas.values())
    assert deltas["LOC"].at_least > 0


def test_arm64_lines_and_two_devices(tmp_path: Path) -> None:
    path = tmp_path / "interrupts"
    rows = [
        (str(100 + n), [n], f"  ITS-MSI {(device << 11) + n:>9} Edge      ntb_epf")
        for device in (256, 512)
        for n in range(3)
    ]
    rows = [(str(100 + i), counts, what) for i, (_, counts, what) in enumerate(rows)]
    rows.append(("110", [0], "     GICv3  27 Level     arch_timer"))
    path.write_text(table(["CPU0"], rows))
    snapshot = read_snapshot(path)
    assert snapshot.rows["110"].action == "arch_timer"
    slots = find_slots(snapshot.rows.values())
    assert [slot.slot for slot in slots.values()] == [0, 1, 2, 0, 1, 2]


def test_the_rows_that_arm64_ends_with(tmp_path: Path) -> None:
    """A count a CPU for each kind of IPI, then one count for all CPUs: `Err`."""
    path = tmp_path / "interrupts"
    rows = [
        ("100", [7, 9], "  ITS-MSI 134742016 Edge      ntb_epf"),
        ("IPI0", [1500, 2500], "      Rescheduling interrupts"),
        ("Err", [3], ""),
    ]
    path.write_text(table(["CPU0", "CPU1"], rows))
    snapshot = read_snapshot(path)
    assert snapshot.rows["100"].counts == {"CPU0": 7, "CPU1": 9}
    assert snapshot.rows["IPI0"].counts == {"CPU0": 1500, "CPU1": 2500}
    assert snapshot.rows["Err"].counts == {"CPU0": 3}


def test_half_a_pair_is_a_caution(tmp_path: Path) -> None:
    folder = capture(tmp_path / "c", ZERO, SLOTS)
    (folder / "before-interrupts").unlink()
    found = measured(folder)
    assert found.interrupts == []
    assert any("no before-interrupts" in caution for caution in found.cautions)
