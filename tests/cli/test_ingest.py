# SPDX-License-Identifier: BSD-3-Clause
"""`ingest` and `replay`: sources, exit codes, and files of which some cannot be used."""

import json
from pathlib import Path

import pytest
from captures import FOUR, TOOLS, ZERO, capture, table
from recordings import DATA, LOOP_612, copy, without

SLOTS = [[1, 0], [0, 0], [40, 0], [40, 0], [40, 0], [40, 0]]
PAIR = DATA / "pair"
PAIR_POINTS = sorted(path.parent for path in PAIR.glob("*/*-to-*/trace"))


def test_every_number_names_a_source_that_says_what_it_cannot_tell(ntbbench, tmp_path) -> None:
    record = ntbbench("ingest", FOUR, "--format", "json", "-o", tmp_path / "m.json").report
    assert json.loads((tmp_path / "m.json").read_text()) == record
    kinds = {source["name"]: source for source in record["sources"]}
    for key in ("interrupts", "softirqs", "qps", "traces", "devices"):
        assert record[key] and all(kinds[row["source"]]["cannot_tell"] for row in record[key])
    for row in record["amplification"]:
        assert all(name in kinds for name in row["sources"])


def test_each_bad_file_is_one_line_and_the_rest_is_reported(ntbbench, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_text("hello\n")
    paths = (foreign, tmp_path / "gone", TOOLS / "ftrace.txt")
    ran = ntbbench("ingest", *paths, "--format", "json")
    assert (ran.code, ran.err.count("\n")) == (2, 2)
    assert (len(ran.report["traces"]), len(ran.report["errors"])) == (1, 2)


def test_a_machine_without_ntb_is_named_and_nothing_to_explain(ntbbench, tmp_path: Path) -> None:
    folder, reason = tmp_path / "c", "debugfs is not mounted: as root, mount -t debugfs none /x"
    folder.mkdir()
    for when, count in (("before", 10), ("after", 90)):
        rows = [("1", [count, 0], "IO-APIC   1-edge      i8042")]
        (folder / f"{when}-interrupts").write_text(table(["CPU0", "CPU1"], rows))
    (folder / "unread").write_text(f"/sys/kernel/debug/ntb_transport: {reason}\n" * 2)
    measured = tmp_path / "m.json"
    out = " ".join(ntbbench("ingest", folder, "-o", measured).out.split())
    assert out.startswith(f"{folder}: no NTB here")
    assert out.count(f"not captured: /sys/kernel/debug/ntb_transport: {reason}") == 1
    assert json.loads(measured.read_text())["without_ntb"] == [str(folder)]
    assert ntbbench("explain", measured).code == 2


def test_a_damaged_file_of_a_qp_gives_no_counts_of_any(ntbbench, tmp_path: Path) -> None:
    """The others alone would make a wrong sum."""
    folder, output = capture(tmp_path / "c", ZERO, SLOTS), tmp_path / "m.json"
    (path,) = folder.glob("after-stats/*/qp2")
    path.write_text(path.read_text()[:200])
    assert ntbbench("ingest", folder, "-o", output).code == 2
    record = json.loads(output.read_text())
    assert (record["qps"], record["amplification"], len(record["interrupts"])) == ([], [], 6)


def test_a_recording_that_the_model_does_not_explain_is_a_finding(ntbbench, tmp_path) -> None:
    one = LOOP_612 / "two-vectors-four-qps"
    folder = copy(one, tmp_path / "r\x1b[31m", trace=without("tasklet_schedule"))
    ran = ntbbench("replay", folder)
    out = " ".join(ran.out.split())
    assert ran.code == 1 and out.startswith("r\\x1b[31m: DISAGREES")
    assert "wakeups -320 (QP 0,1,2,3)" in out and "the trace has no tasklet" in out


def test_a_folder_that_the_pair_lab_recorded(ntbbench) -> None:
    found = ntbbench("replay", PAIR / "after-after", "--format", "json").report["points"]
    points = [path.name for path in PAIR_POINTS if path.parent.name == "after-after"]
    assert [point["name"] for point in found] == points


@pytest.mark.parametrize("point", PAIR_POINTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_point_of_the_pair(point: Path, ntbbench) -> None:
    """The loop's db_read() shows the bit that was rung; that of an old driver another one."""
    boot = point.parent.name.split("-")
    receiver = boot[1] if point.name.startswith("ep-to-rc") else boot[0]
    agrees = receiver == "after" and "embedded" not in boot
    ran = ntbbench("replay", point, "--format", "json")
    assert ran.code == int(not agrees)
    assert ran.report["verdict"] == ("agrees" if agrees else "disagrees")
    recorded = ran.report["recorded"]
    assert recorded["interrupts"] and len(recorded["runs_per_qp"]) in (2, 4)
