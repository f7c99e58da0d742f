# SPDX-License-Identifier: BSD-3-Clause
"""Complaints of a debug kernel: what they are, where, and which the model knows."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_recordings import DATA, load, observations

from ntbbench.lab.pair.findings import (
    KINDS,
    expected_hazards,
    find_complaints,
    known_to_model,
    read_findings,
)
from ntbbench.lab.pair.observed_drivers import observed_driver
from ntbbench.lab.pair.predict import pair_model

SLEEP = """\
[    1.1] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:591
[    1.1] in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 127, name: ntb_flow
[    1.1] CPU: 0 UID: 0 PID: 127 Comm: ntb_flow Not tainted 7.3.4-ntbpair #1
[    1.1] Call Trace:
[    1.1]  <TASK>
[    1.1]  dump_stack_lvl+0x4b/0x70
[    1.1]  __might_resched.cold+0xc0/0xd1
[    1.1]  pci_epc_raise_irq+0x60/0xd0
[    1.1]  vntb_epf_peer_db_set+0x2d/0x60 [pci_epf_vntb]
[    1.1]  ntb_process_tx+0x118/0x280 [ntb_transport]
[    1.1]  </TASK>
"""
CIRCLE = """\
[    2.0][  T31] WARNING: possible circular locking dependency detected
[    2.0][  T31] 7.3.4-ntbpair #1 Not tainted
[    2.0][  T31] kworker/0:1/31 is trying to acquire lock:
[    2.0][  T31]  epf_ntb_unbind+0x5e/0xa0 [pci_epf_vntb]
"""
KASAN = "[    3.0] BUG: KASAN: slab-use-after-free in ntb_epf_vec_isr+0x1/0x2 [ntb_hw_epf]\n"
OTHER = """\
[    4.0] ------------[ cut here ]------------
[    4.0] WARNING: kernel/dma/mapping.c:620 at dma_alloc_attrs+0x1/0x2, CPU#0: insmod/40
[    4.0] RIP: 0010:dma_alloc_attrs+0x1/0x2
[    4.0] ---[ end trace 0000000000000000 ]---
"""


def test_a_finding_is_one_complaint_at_one_function_however_often() -> None:
    found = find_complaints(SLEEP + CIRCLE + SLEEP + OTHER + SLEEP)
    told = [(f.kind, f.function, f.side, f.count) for f in found]
    assert told == [
        ("sleep", "vntb_epf_peer_db_set", "ep", 3),
        ("locking", "epf_ntb_unbind", "ep", 1),
        ("other", "", "", 1),
    ]
    assert found[0].line == (
        "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:591"
    )


def test_a_line_that_names_its_function_needs_no_stack() -> None:
    (found,) = find_complaints(KASAN)
    assert (found.kind, found.line) == ("memory", KASAN.partition("] ")[2].strip())


@given(st.lists(st.sampled_from([SLEEP, CIRCLE, OTHER]), max_size=12), st.text(max_size=60))
def test_every_report_is_counted_once(reports: list[str], noise: str) -> None:
    quiet = not any(pattern.search(noise) for _, pattern in KINDS)
    log = "".join(f"{text}[    9.0] {noise}\n" if quiet else text for text in reports)
    found = find_complaints(log)
    assert sum(f.count for f in found) == len(reports)
    assert len(found) == len(set(reports))


@given(st.text())
def test_no_text_breaks_the_reader(log: str) -> None:
    for found in find_complaints(log):
        assert found.count > 0 and "\n" not in found.line


def test_the_remark_of_every_boot_is_no_finding(tmp_path: Path) -> None:
    remark = "WARNING: drivers/pci/endpoint/pci-epc-core.c:1050 at __pci_epc_create+0x1/0x2, CPU#0"
    (tmp_path / "console").write_text(f"[    0.1] {remark}\n{SLEEP}")
    assert [found.kind for found in read_findings(tmp_path)] == ["sleep"]


def test_a_round_that_fails_without_a_complaint_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "console").write_text("")
    (tmp_path / "rounds").mkdir()
    result = tmp_path / "rounds" / "result"
    result.write_text(
        "round=1 cause=\nround=2 cause=no link = down\nround=3 cause=no link = down\n"
    )
    (found,) = read_findings(tmp_path)
    assert (found.kind, found.line, found.count) == ("other", "round=2: no link = down", 1)
    result.write_text("round=1 cause=\nunload cause=\n")
    assert read_findings(tmp_path) == []


@pytest.mark.parametrize(
    ("boot", "expected"), [("before-after", True), ("after-before", False), ("after-after", False)]
)
def test_the_model_knows_that_an_old_endpoint_sleeps(boot: str, expected: bool) -> None:
    recordings = load(DATA / boot)
    (found,) = known_to_model(find_complaints(SLEEP), recordings)
    assert found.expected is expected
    ep, rc = boot.split("-")
    assert found.boot.startswith(f"EP {ep}, RC {rc}, 8 slots")
    assert expected_hazards(pair_model(recordings)) == ({("sleep", "ep")} if expected else set())


def test_what_a_debug_kernel_said_of_an_old_endpoint() -> None:
    """6.12.95's pci-epf-vntb: sends from atomic context, and does not survive a second bind."""
    found = read_findings(DATA.parent / "pair-check")
    told = [(f.kind, f.side, f.function, f.count) for f in found]
    assert told == [
        ("other", "ep", "epf_ntb_init", 1),
        ("locking", "ep", "vntb_epf_peer_db_set", 1),
        ("sleep", "ep", "vntb_epf_peer_db_set", 3),
        ("memory", "ep", "pci_vntb_probe", 1),
        ("memory", "ep", "epf_ntb_unbind", 2),
        ("other", "ep", "epf_ntb_unbind", 5),
    ]
    lines = [f.line for f in found]
    assert lines[3].startswith("list_add corruption. prev->next should be next")
    assert lines[4] == "BUG: KASAN: slab-use-after-free in sysfs_remove_file_ns+0x1b/0x40"


def test_the_model_knows_that_an_old_root_complex_sleeps_in_its_isr() -> None:
    """That its handler looks the interrupt up is observed; what was not observed sleeps nowhere."""
    recordings = load(DATA / "after-before")
    assert expected_hazards(pair_model(recordings)) == set()
    seen = observations("before-before")
    old = replace(recordings, rc=observed_driver(recordings.rc, recordings.plan.setup, seen))
    assert expected_hazards(pair_model(old)) == {("sleep", "rc")}
