# SPDX-License-Identifier: BSD-3-Clause
"""A count is called exact only where nothing was lost and every QP's runs are there."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from captures import FOUR, explained
from recordings import DATA, LOOP_612, PER_VECTOR

from ntbbench.capture.ingest import ingest
from ntbbench.capture.records import Amplification, Measured

Bounds = tuple[int, int | None, bool] | None
CALLBACK = "ntb_transport_doorbell_callback"
RECORDED = [path.parent for path in DATA.glob("**/*-to-*/trace")]
RECORDED += [path.parent for path in LOOP_612.glob("*/trace")]
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


def rates(found: Measured) -> dict[str, Amplification]:
    return {row.quantity: row for row in found.amplification}


def bounds(found: Measured, quantity: str) -> tuple[int, int | None, bool] | None:
    """Return count_low, count_high, and whether it is called exact; None: no such row."""
    row = rates(found).get(quantity)
    if row is None:
        return None
    assert row.low == row.count_low / row.interrupts
    assert (row.high is None) == (row.count_high is None)
    return row.count_low, row.count_high, row.note.startswith("exact")


WAKEUPS, RUNS = "doorbell wakeups", "runs"


def repeated(times: int, add: Callable[[Lines, int], object]) -> Lines:
    lines = Lines()
    for number in range(times):
        add(lines, number)
    return lines


# What the trace has -> its lines, wakeups, runs, and what a note says.
TRACES: dict[str, tuple[Lines, Bounds, Bounds, str]] = {
    "all of it": (Lines().rings(5, 0, 1, 2), (15, 15, True), (15, 15, True), ""),
    "its end within a callback, which had woken one of three": (
        Lines().rings(5, 0, 1, 2).event().schedule(0),
        (16, None, False),
        (15, None, False),
        "ends within a callback",
    ),
    "an event of another CPU, which ends no callback": (
        Lines().rings(2, 0, 1).event(cpu=1).schedule(0, cpu=1).event().schedule(0, 1).run(0, 1),
        (7, None, False),
        (6, None, False),
        "",
    ),
    "its beginning within a callback: two schedules may be of a doorbell before it": (
        Lines().schedule(1, 2).run(0, 1, 2).rings(4, 0, 1, 2),
        (12, 15, False),
        (14, 15, False),
        "begins within a callback: 2 of its schedules",
    ),
    "a race check at the beginning, which is no callback": (
        Lines().schedule(0, flags="..s1.").run(0).rings(3, 0),
        (3, 3, True),
        (4, 4, True),
        "",
    ),
    "a foreign tasklet at the beginning: never a doorbell's, and no run of ours": (
        Lines().schedule(500).rings(3, 0),
        (3, 3, True),
        (3, 3, True),
        "",
    ),
    "a filter that leaves out a QP's runs": (
        repeated(5, lambda lines, _: lines.event().schedule(0, 1, 2, 3).run(0, 1, 2)),
        (20, 20, True),
        (15, 20, False),
        "5 schedules have no run",
    ),
    "a filter that leaves out a QP's schedules": (
        repeated(5, lambda lines, _: lines.event().schedule(0, 1).run(0, 1, 2)),
        (10, 15, False),
        (10, 15, False),
        "5 runs have no schedule",
    ),
    "no end of a callback: another driver's tasklet looks like the doorbell's": (
        repeated(4, lambda lines, _: lines.event().schedule(0, 1)),
        (0, None, False),
        None,
        "where a callback ends",
    ),
    "a tasklet that its entry names as another driver's": (
        repeated(
            4,
            lambda lines, _: (
                lines.event().schedule(0, 7).entry(0).entry(7, function="usb_giveback_urb")
            ),
        ),
        (4, 4, True),
        (4, 4, True),
        "",
    ),
    "a probe within the callback, which does not end it": (
        repeated(
            3,
            lambda lines, _: (
                lines.event()
                .add("d.h1.", "my_read: (ntb_epf_db_read+0x0/0x20 [ntb_hw_epf])")
                .schedule(0, 1)
                .run(0, 1)
            ),
        ),
        (6, 6, True),
        (6, 6, True),
        "",
    ),
    "a return probe, which ends the callback": (
        repeated(
            3,
            lambda lines, _: (
                lines.event()
                .schedule(0)
                .add("d.h1.", f"db_ret: (ntb_db_event+0x4a/0x70 [ntb] <- {CALLBACK})")
                .schedule(9)
            ),
        ),
        (3, 3, True),
        None,
        "",
    ),
    "a probe without its argument, which counts no tasklet": (
        repeated(
            3,
            lambda lines, _: (
                lines.event().add("d.h1.", "tasklet_schedule: (__tasklet_schedule+0x0/0x20)").run(0)
            ),
        ),
        None,
        (3, 3, True),
        "",
    ),
    "two probes of a run that differ": (
        repeated(
            5, lambda lines, number: lines.event().schedule(0).entry(0).run(*[0] * bool(number))
        ),
        (5, 5, True),
        (5, None, False),
        "tasklet_entry shows 5 runs, rxc_db 4",
    ),
}


@pytest.mark.parametrize("case", TRACES.values(), ids=TRACES)
def test_a_count_is_exact_or_its_bounds_have_a_reason(case, tmp_path) -> None:
    lines, wakeups, runs, note = case
    found = lines.read(tmp_path)
    assert (bounds(found, WAKEUPS), bounds(found, RUNS)) == (wakeups, runs)
    assert note in " ".join(row.note for row in found.amplification)


def test_runs_and_schedules_of_different_qps_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """Schedules of QP 0 and runs of QP 5, too far apart for one to hold the other."""
    found = repeated(3, lambda lines, _: lines.event().schedule(0).run(5)).read(tmp_path)
    rows = [(woken.doorbell, woken.runs) for woken in found.traces[0].woken]
    assert rows == [(3, None), (None, 3)]
    assert bounds(found, WAKEUPS) == (3, 3, True)


@pytest.mark.parametrize("folder", RECORDED, ids=str)
def test_every_recording_is_exact(folder: Path) -> None:
    rows = [row for row in ingest([folder]).amplification if len(row.sources) == 1]
    assert [row.quantity for row in rows] == [WAKEUPS, RUNS]
    assert [(row.note.startswith("exact"), row.low == row.high) for row in rows] == [
        (True, True)
    ] * 2


def test_a_cpu_whose_buffer_starts_later_leaves_lower_bounds(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    lines = Lines().rings(3, 0, 1)
    path.write_text(HEAD + "##### CPU 1 buffer started ####\n" + "\n".join(lines.lines) + "\n")
    found = ingest([path])
    assert bounds(found, WAKEUPS) == (6, None, False)
    assert bounds(found, RUNS) == (6, None, False)
    assert found.traces[0].has_lost


def test_explain_predicts_nothing_from_a_trace_that_lost_doorbells(tmp_path: Path) -> None:
    folder = shutil.copytree(
        PER_VECTOR, tmp_path / "c", ignore=shutil.ignore_patterns("*stats", "point")
    )
    text = (folder / "trace").read_text()
    events = iter(range(10_000))
    lost = re.compile(r".*: db_event: .*\n")
    text = lost.sub(lambda match: "" if next(events) < 120 else match[0], text)
    count = sum(not line.startswith("#") for line in text.splitlines())
    text = re.sub(r"written: \d+/\d+", f"written: {count}/{count}", text)
    (folder / "trace").write_text("##### CPU 0 buffer started ####\n" + text)
    code, (one,) = explained(folder, "--hardware", "ntb_hw_epf-v4")
    assert code == 0
    assert (one["verdict"], one["interrupts"]) == ("unknown", None)


def test_explain_holds_a_trace_s_runs_against_its_own_schedules(tmp_path: Path) -> None:
    """Four runs at its beginning were scheduled before it: no doorbell of the trace made them."""
    Lines().run(0, 1, 2, 3).event().schedule(0).run(0).read(tmp_path)
    _, (one,) = explained(tmp_path / "trace.txt", "--hardware", "generic")
    assert (one["verdict"], one["measured_runs_low"], one["measured_runs_high"]) == ("inside", 1, 5)


def test_runs_of_the_snapshots_are_not_held_against_a_trace_that_was_cut(tmp_path: Path) -> None:
    """The buffer was full after a third of the doorbells; the counters went on."""
    folder = shutil.copytree(FOUR, tmp_path / "c")
    lines = (folder / "trace").read_text().splitlines()
    head = [line for line in lines if line.startswith("#")]
    events = [line for line in lines if not line.startswith("#")][:1100]
    text = "\n".join([*head, *events]).replace("3520/3520", "1100/1100")
    (folder / "trace").write_text(f"{text}\n")
    (folder / "trace-full").write_text("CPU0 dropped 2420\n")
    _, (one,) = explained(folder)
    assert (one["verdict"], one["interrupts"], one["measured_runs_low"]) == ("inside", 50, 250)
    rows = ingest([folder]).amplification
    assert {(row.quantity, row.low) for row in rows} == {(WAKEUPS, 4.0), (RUNS, 5.0)}


@pytest.mark.parametrize("has_state", [True, False])
def test_a_qp_that_ran_by_its_counters_and_is_not_in_the_trace(has_state, tmp_path) -> None:
    folder = shutil.copytree(FOUR, tmp_path / "c")
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


# What the program printed -> its wakeups and runs, and what the one caution says.
MAPS: dict[str, tuple[list[str], Bounds, Bounds, str]] = {
    "a map that filled up, which is said once": (
        [error()] * 50 + maps(events=40, wake={"7": 40}, runs={"7": 80}),
        (40, None, False),
        (80, None, False),
        "failed 50 times",
    ),
    "maps as the program goes, and all of them again when it ends": (
        maps(events=10, wake={"7": 10}) + maps(events=40, wake={"7": 40, "8": 20}),
        (60, 60, True),
        None,
        "",
    ),
    "a map that was cleared": (
        maps(events=50, wake={"7": 50}) + maps(events=60, wake={"7": 10}),
        (10, None, False),
        None,
        "@wake was cleared",
    ),
    # of unknown events no ratio has a bound
    "a lookup that failed": (
        [error("map_lookup_elem", -2), *maps(events=40, wake={"7": 40})], None, None,
        "map_lookup_elem failed 1 time ",
    ),
    "a read that failed": (
        [error("probe_read_kernel", -14), *maps(events=40, wake={"7": 40})], None, None,
        "probe_read_kernel failed 1 time ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MAPS.values(), ids=MAPS)
def test_maps_are_exact_or_lower_bounds_with_a_reason(case, tmp_path) -> None:
    lines, wakeups, runs, told = case
    measured = bpftrace(tmp_path, *lines)
    assert (bounds(measured, WAKEUPS), bounds(measured, RUNS)) == (wakeups, runs)
    assert sum(told in caution for caution in measured.cautions) == bool(told)
    if wakeups is None:
        assert all(count.is_lower_bound for count in measured.counts)


@pytest.mark.parametrize("data", ['{"helper": 5}', '"text"', "[1]", '{"retcode": "x"}'])
def test_a_damaged_error_is_one_line(data: str, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(f'{{"type": "helper_error", "data": {data}}}\n' + "\n".join(maps(events=1)))
    assert len(ingest([path]).errors) == 1
