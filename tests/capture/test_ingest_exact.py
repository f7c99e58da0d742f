# SPDX-License-Identifier: BSD-3-Clause
"""A count is called exact only where nothing was lost and every QP's runs are there."""

import json
import re
import shutil
from pathlib import Path

import pytest
from captures import FOUR
from recordings import DATA, LOOP_612, PER_VECTOR

from ntbbench.capture.ingest import ingest
from ntbbench.capture.measured_records import Amplification, Measured
from ntbbench.cli.main import main

CASES = DATA / "cases"
HEAD = "# tracer: nop\n"
QP, TASKLET = 0xFFFF000008A00000, 0x100  # of the traces made here: start, and the tasklet behind it
STEP = 0x1000


class Lines:
    """Writes ftrace text line by line: `cpu`, the flags column, and what happened."""

    def __init__(self, pid: int = 0) -> None:
        self.pid, self.lines, self.now = pid, [], 100.0

    def add(self, flags: str, event: str, cpu: int = 0) -> "Lines":
        self.now += 1e-6
        self.lines.append(f"  idle-{self.pid}  [{cpu:03}] {flags} {self.now:.6f}: {event}")
        return self

    def event(self, vector: int = 0, cpu: int = 0, flags: str = "d.h1.") -> "Lines":
        function = "ntb_transport_doorbell_callback+0x0/0x80 [ntb_transport]"
        return self.add(flags, f"db_event: ({function}) ctx=0xff00 vector={vector}", cpu)

    def schedule(self, *qps: int, cpu: int = 0, flags: str = "d.h1.") -> "Lines":
        for qp in qps:
            at = QP + qp * STEP + TASKLET
            text = f"tasklet_schedule: (__tasklet_schedule+0x0/0x20) tasklet={at:#x}"
            self.add(flags, text, cpu)
        return self

    def run(self, *qps: int, cpu: int = 0) -> "Lines":
        for qp in qps:
            function = "ntb_transport_rxc_db+0x0/0x200 [ntb_transport]"
            self.add("..s1.", f"rxc_db: ({function}) qp={QP + qp * STEP:#x}", cpu)
        return self

    def entry(self, *qps: int, function: str = "ntb_transport_rxc_db") -> "Lines":
        for qp in qps:
            at = QP + qp * STEP + TASKLET
            self.add("..s1.", f"tasklet_entry: tasklet={at:#x} function={function} [ntb_transport]")
        return self

    def rings(self, count: int, *qps: int) -> "Lines":
        for _ in range(count):
            self.event().schedule(*qps).run(*qps)
        return self

    def read(self, folder: Path) -> Measured:
        path = folder / "trace.txt"
        path.write_text(HEAD + "\n".join(self.lines) + "\n")
        measured = ingest([path])
        assert measured.errors == []
        return measured


def rates(measured: Measured) -> dict[str, Amplification]:
    return {row.quantity: row for row in measured.amplification}


def bounds(measured: Measured, quantity: str) -> tuple[int, int | None, bool]:
    """Return count_low, count_high, and whether it is called exact."""
    row = rates(measured)[quantity]
    assert row.low == row.count_low / row.interrupts
    assert (row.high is None) == (row.count_high is None)
    return row.count_low, row.count_high, row.note.startswith("exact")


WAKEUPS, RUNS = "doorbell wakeups", "runs"


def test_four_tasklets_of_which_one_runs_in_the_trace() -> None:
    measured = ingest([CASES / "trace-partial-runs.txt"])
    assert bounds(measured, WAKEUPS) == (4, 4, True)
    assert bounds(measured, RUNS) == (1, 4, False)
    assert [(w.doorbell, w.runs) for w in measured.traces[0].woken] == [(1, 1)] + [(1, 0)] * 3
    assert "3 schedules have no run" in rates(measured)[RUNS].note


def test_a_whole_trace_is_exact(tmp_path: Path) -> None:
    measured = Lines().rings(5, 0, 1, 2).read(tmp_path)
    assert bounds(measured, WAKEUPS) == (15, 15, True)
    assert bounds(measured, RUNS) == (15, 15, True)


@pytest.mark.parametrize("folder", sorted(p.parent for p in DATA.glob("**/*-to-*/trace")), ids=str)
def test_recordings_of_the_pair_are_exact(folder: Path) -> None:
    measured = ingest([folder])
    for quantity in (WAKEUPS, RUNS):
        (row,) = [
            r for r in measured.amplification if r.quantity == quantity and len(r.sources) == 1
        ]
        assert row.note.startswith("exact")
        assert row.low == row.high


def test_the_end_within_a_callback_leaves_no_upper_bound(tmp_path: Path) -> None:
    """The last doorbell had woken one of three when the buffer was read."""
    measured = Lines().rings(5, 0, 1, 2).event().schedule(0).read(tmp_path)
    assert bounds(measured, WAKEUPS) == (16, None, False)
    assert bounds(measured, RUNS) == (15, None, False)
    assert "ends within a callback" in rates(measured)[WAKEUPS].note


def test_an_event_of_another_cpu_does_not_end_a_callback(tmp_path: Path) -> None:
    lines = Lines().rings(2, 0, 1).event(cpu=1).schedule(0, cpu=1).event().schedule(0, 1).run(0, 1)
    assert bounds(lines.read(tmp_path), WAKEUPS) == (7, None, False)


def test_the_beginning_within_a_callback_is_a_bound(tmp_path: Path) -> None:
    """The doorbell itself came before the trace: two schedules may be its."""
    measured = Lines().schedule(1, 2).run(0, 1, 2).rings(4, 0, 1, 2).read(tmp_path)
    assert bounds(measured, WAKEUPS) == (12, 15, False)
    assert bounds(measured, RUNS) == (14, 15, False)
    note = rates(measured)[WAKEUPS].note
    assert "begins within a callback: 2 of its schedules" in note


def test_a_race_check_at_the_beginning_is_no_callback(tmp_path: Path) -> None:
    lines = Lines().schedule(0, flags="..s1.").run(0).rings(3, 0)
    assert bounds(lines.read(tmp_path), WAKEUPS) == (3, 3, True)


def test_a_foreign_tasklet_at_the_beginning_decides_nothing(tmp_path: Path) -> None:
    lines = Lines().schedule(500).rings(3, 0)  # never a doorbell's, and no run of ours
    assert bounds(lines.read(tmp_path), WAKEUPS) == (3, 3, True)


def test_a_filter_that_leaves_out_a_qp_s_runs(tmp_path: Path) -> None:
    lines = Lines()
    for _ in range(5):
        lines.event().schedule(0, 1, 2, 3).run(0, 1, 2)
    measured = lines.read(tmp_path)
    assert bounds(measured, WAKEUPS) == (20, 20, True)
    assert bounds(measured, RUNS) == (15, 20, False)


def test_a_filter_that_leaves_out_a_qp_s_schedules(tmp_path: Path) -> None:
    lines = Lines()
    for _ in range(5):
        lines.event().schedule(0, 1).run(0, 1, 2)
    measured = lines.read(tmp_path)
    assert bounds(measured, WAKEUPS) == (10, 15, False)
    assert bounds(measured, RUNS) == (10, 15, False)
    assert "5 runs have no schedule" in rates(measured)[WAKEUPS].note


def test_runs_and_schedules_of_different_qps_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """Schedules of QP 0 and runs of QP 5, too far apart for one to hold the other."""
    lines = Lines()
    for _ in range(3):
        lines.event().schedule(0).run(5)
    measured = lines.read(tmp_path)
    rows = [(woken.doorbell, woken.runs) for woken in measured.traces[0].woken]
    assert rows == [(3, None), (None, 3)]
    assert bounds(measured, WAKEUPS) == (3, 3, True)


def test_without_an_end_of_the_callback_later_schedules_may_be_counted(tmp_path: Path) -> None:
    """Two probes alone: another driver's tasklet on the same CPU looks like the doorbell's."""
    lines = Lines()
    for _ in range(4):
        lines.event().schedule(0, 1)
    measured = lines.read(tmp_path)
    low, high, exact = bounds(measured, WAKEUPS)
    assert (low, exact) == (0, False)
    assert high is None
    assert "where a callback ends" in rates(measured)[WAKEUPS].note


def test_a_tasklet_of_another_driver_is_no_wakeup(tmp_path: Path) -> None:
    """An interrupt of the same CPU schedules it right behind the callback; its entry names it."""
    lines = Lines()
    for _ in range(4):
        lines.event().schedule(0, 7).entry(0).entry(7, function="usb_giveback_urb")
    measured = lines.read(tmp_path)
    assert bounds(measured, WAKEUPS) == (4, 4, True)
    assert bounds(measured, RUNS) == (4, 4, True)
    assert len(measured.traces[0].woken) == 1


def test_a_probe_within_the_callback_does_not_end_it(tmp_path: Path) -> None:
    lines = Lines()
    for _ in range(3):
        lines.event().add("d.h1.", "my_read: (ntb_epf_db_read+0x0/0x20 [ntb_hw_epf])")
        lines.schedule(0, 1).run(0, 1)
    assert bounds(lines.read(tmp_path), WAKEUPS) == (6, 6, True)


def test_a_return_probe_ends_the_callback(tmp_path: Path) -> None:
    caller = "ntb_db_event+0x4a/0x70 [ntb] <- ntb_transport_doorbell_callback"
    lines = Lines()
    for _ in range(3):
        lines.event().schedule(0).add("d.h1.", f"db_ret: ({caller})").schedule(9)
    assert bounds(lines.read(tmp_path), WAKEUPS) == (3, 3, True)


def test_a_probe_without_its_argument_counts_no_tasklet(tmp_path: Path) -> None:
    lines = Lines()
    for _ in range(3):
        lines.event().add("d.h1.", "tasklet_schedule: (__tasklet_schedule+0x0/0x20)").run(0)
    measured = lines.read(tmp_path)
    assert WAKEUPS not in rates(measured)
    assert [woken.doorbell for woken in measured.traces[0].woken] == [None]
    assert bounds(measured, RUNS) == (3, 3, True)


def test_two_probes_of_a_run_that_differ_are_not_exact(tmp_path: Path) -> None:
    lines = Lines()
    for number in range(5):
        lines.event().schedule(0).entry(0)
        if number:
            lines.run(0)
    measured = lines.read(tmp_path)
    assert bounds(measured, RUNS) == (5, None, False)
    assert "tasklet_entry shows 5 runs, rxc_db 4" in rates(measured)[RUNS].note


def test_a_cpu_whose_buffer_starts_later_leaves_lower_bounds(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    lines = Lines().rings(3, 0, 1)
    path.write_text(HEAD + "##### CPU 1 buffer started ####\n" + "\n".join(lines.lines) + "\n")
    measured = ingest([path])
    assert bounds(measured, WAKEUPS) == (6, None, False)
    assert bounds(measured, RUNS) == (6, None, False)
    assert measured.traces[0].has_lost


def test_explain_predicts_nothing_from_a_trace_that_lost_doorbells(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    shutil.copytree(PER_VECTOR, folder, ignore=shutil.ignore_patterns("*stats", "point"))
    text = (folder / "trace").read_text()
    events = iter(range(10_000))
    lost = re.compile(r".*: db_event: .*\n")
    text = lost.sub(lambda match: "" if next(events) < 120 else match[0], text)
    count = sum(not line.startswith("#") for line in text.splitlines())
    text = re.sub(r"written: \d+/\d+", f"written: {count}/{count}", text)
    (folder / "trace").write_text("##### CPU 0 buffer started ####\n" + text)
    target = tmp_path / "m.json"
    assert main(["ingest", str(folder), "-o", str(target)]) == 0
    found = tmp_path / "e.json"
    assert main(["explain", str(target), "--hardware", "ntb_hw_epf-v4", "-o", str(found)]) == 0
    (one,) = json.loads(found.read_text())["explanations"]
    assert (one["verdict"], one["interrupts"]) == ("unknown", None)


def test_explain_holds_a_trace_s_runs_against_its_own_schedules(tmp_path: Path) -> None:
    """Four runs at its beginning were scheduled before it: no doorbell of the trace made them."""
    path, found = tmp_path / "m.json", tmp_path / "e.json"
    lines = Lines().run(0, 1, 2, 3).event().schedule(0).run(0)
    lines.read(tmp_path)
    assert main(["ingest", str(tmp_path / "trace.txt"), "-o", str(path)]) == 0
    assert main(["explain", str(path), "--hardware", "generic", "-o", str(found)]) == 0
    (one,) = json.loads(found.read_text())["explanations"]
    assert (one["verdict"], one["measured_runs_low"], one["measured_runs_high"]) == ("inside", 1, 5)


def test_runs_of_the_snapshots_are_not_held_against_a_trace_that_was_cut(tmp_path: Path) -> None:
    """The buffer was full after a third of the doorbells; the counters went on."""
    folder = tmp_path / "c"
    shutil.copytree(FOUR, folder)
    lines = (folder / "trace").read_text().splitlines()
    head = [line for line in lines if line.startswith("#")]
    events = [line for line in lines if not line.startswith("#")][:1100]
    text = "\n".join([*head, *events]).replace("3520/3520", "1100/1100")
    (folder / "trace").write_text(f"{text}\n")
    (folder / "trace-full").write_text("CPU0 dropped 2420\n")
    target, found = tmp_path / "m.json", tmp_path / "e.json"
    assert main(["ingest", str(folder), "-o", str(target)]) == 0
    assert main(["explain", str(target), "-o", str(found)]) == 0
    (one,) = json.loads(found.read_text())["explanations"]
    assert (one["verdict"], one["interrupts"], one["measured_runs_low"]) == ("inside", 50, 250)
    rows = json.loads(target.read_text())["amplification"]
    assert {(row["quantity"], row["low"]) for row in rows} == {(WAKEUPS, 4.0), (RUNS, 5.0)}


@pytest.mark.parametrize("has_state", [True, False])
def test_a_qp_that_ran_by_its_counters_and_is_not_in_the_trace(
    has_state: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "c"
    shutil.copytree(FOUR, folder)
    if not has_state:
        (folder / "state").unlink()
    text = (folder / "trace").read_text()
    (ptr,) = re.findall(r"port 1 qp 3 .*ptr (\S+)", (FOUR / "state").read_text())
    start = int(ptr, 16)
    addresses = {f"{at:#x}" for at in range(start, start + 0x238)}
    kept = [x for x in text.splitlines() if not addresses & set(re.findall(r"0x[0-9a-f]+", x))]
    count = sum(not line.startswith("#") for line in kept)
    (folder / "trace").write_text("\n".join(kept).replace("3520/3520", f"{count}/{count}") + "\n")
    measured = ingest([folder])
    assert measured.errors == []
    (row,) = [r for r in measured.amplification if r.quantity == WAKEUPS]
    assert (row.count_low, row.high) == (480, None)
    assert ("QP 3" if has_state else "4 QPs ran") in row.note


def test_all_loopback_recordings_stay_exact() -> None:
    for folder in sorted(path.parent for path in LOOP_612.glob("*/trace")):
        rows = [r for r in ingest([folder]).amplification if len(r.sources) == 1]
        assert [r.note.startswith("exact") for r in rows] == [True, True]


def bpftrace(folder: Path, *lines: str) -> Measured:
    path = folder / "b.json"
    path.write_text("\n".join(lines) + "\n")
    measured = ingest([path])
    assert measured.errors == []
    return measured


def error(helper: str = "map_update_elem", retcode: int = -7, msg: str = "E2BIG") -> str:
    data = {"msg": msg, "helper": helper, "retcode": retcode, "line": 1, "col": 40}
    return json.dumps({"type": "helper_error", "data": data})


def maps(**entries: object) -> list[str]:
    return [
        json.dumps({"type": "map", "data": {f"@{name}": value}}) for name, value in entries.items()
    ]


def test_a_full_map_of_bpftrace_gives_lower_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    path = CASES / "bpftrace-map-full.json"
    measured = ingest([path])
    assert bounds(measured, WAKEUPS) == (160, None, False)
    assert "a map was full" in rates(measured)[WAKEUPS].note
    assert {c.name: c.is_lower_bound for c in measured.counts} == {"@events": False, "@wake": True}
    assert main(["ingest", str(path)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "a map was full, so its counts are not exact but lower bounds" in text
    assert ">=160" in text and "Argument list too long" in text


def test_a_map_that_filled_up_is_said_once(tmp_path: Path) -> None:
    lines = [error()] * 50 + maps(events=40, wake={"7": 40}, runs={"7": 80})
    measured = bpftrace(tmp_path, *lines)
    assert bounds(measured, RUNS) == (80, None, False)
    (caution,) = measured.cautions
    assert "failed 50 times" in caution


@pytest.mark.parametrize(
    ("helper", "retcode"), [("map_lookup_elem", -2), ("probe_read_kernel", -14)]
)
def test_another_helper_that_fails_leaves_no_count_exact(
    helper: str, retcode: int, tmp_path: Path
) -> None:
    measured = bpftrace(tmp_path, error(helper, retcode), *maps(events=40, wake={"7": 40}))
    assert all(count.is_lower_bound for count in measured.counts)
    assert measured.amplification == []  # of unknown events no ratio has a bound
    assert any(helper in caution for caution in measured.cautions)


def test_a_map_that_is_printed_each_second_counts_once(tmp_path: Path) -> None:
    """A program that prints its maps as it goes prints all of them again when it ends."""
    lines = maps(events=10, wake={"7": 10})
    lines += maps(events=40, wake={"7": 40, "8": 20})
    measured = bpftrace(tmp_path, *lines)
    assert bounds(measured, WAKEUPS) == (60, 60, True)
    assert [(c.name, c.key, c.value) for c in measured.counts] == [
        ("@events", "", 40), ("@wake", "7", 40), ("@wake", "8", 20),
    ]  # fmt: skip


def test_a_map_that_was_cleared_is_a_lower_bound(tmp_path: Path) -> None:
    lines = maps(events=50, wake={"7": 50}) + maps(events=60, wake={"7": 10})
    measured = bpftrace(tmp_path, *lines)
    assert bounds(measured, WAKEUPS) == (10, None, False)
    assert any("@wake was cleared" in caution for caution in measured.cautions)


@pytest.mark.parametrize("data", ['{"helper": 5}', '"text"', "[1]", '{"retcode": "x"}'])
def test_a_damaged_error_is_one_line(data: str, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(f'{{"type": "helper_error", "data": {data}}}\n' + "\n".join(maps(events=1)))
    assert len(ingest([path]).errors) == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("CPU:7 [LOST EVENTS]", "CPU 7 lost events"),
        ("CPU:2 [LOST 41 EVENTS]", "CPU 2 lost 41 events"),
        ("CPU:1 [9 EVENTS DROPPED]", "CPU 1 lost 9 events"),
        ("CPU:1 [EVENTS DROPPED]", "CPU 1 lost events"),
    ],
)
@pytest.mark.parametrize("at", [0, 5])
def test_lost_events_are_named_by_cpu_and_place(
    line: str, told: str, at: int, tmp_path: Path
) -> None:
    lines = Lines().rings(3, 0).lines
    lines.insert(at, line)
    path = tmp_path / "t.txt"
    path.write_text(HEAD + "\n".join(lines) + "\n")
    (found,) = ingest([path]).errors
    assert told in found
    assert f":{at + 2}:" in found
