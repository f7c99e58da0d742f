# SPDX-License-Identifier: BSD-3-Clause
"""What a boot told of its schedules, what is wrong with a run, and its story."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ntbbench.lab.commands import GuestError
from ntbbench.lab.explore.code_points import CodePoint
from ntbbench.lab.explore.explore_guest import ExploreBoot, GuestRun, read_boot, read_run
from ntbbench.lab.explore.mapping import mapped, renamed
from ntbbench.lab.explore.oracles import judged
from ntbbench.lab.explore.records import (
    BOUNDS,
    HELD,
    HUNG,
    LOST,
    PANICKED,
    STUCK,
    WARNED,
    Action,
    Delay,
    PlaceInCode,
    Schedule,
)
from ntbbench.lab.explore.story import told
from ntbbench.lab.pair.plan import PairSetup
from ntbbench.lab.qemu import Boot

SCHEDULE = Schedule(seed=1, workload="traffic", strategy="random", senders=())
LINKED = Schedule(
    seed=1, workload="link", strategy="random", senders=(), actions=(Action(0, "d", 50),)
)
# The run of a ring that lands between a slot's event and its clearing, cut to what matters.
STUCK_RUN = """\
outcome {outcome}
refused 0
stuck.ep 0
stuck.rc {mask}
ns 121000000
waited 29800000
sent.ep
sent.rc 1:2
received.ep
received.rc 1:2
rings.ep
rings.rc 1:2
msis
vectors.ep 1:1
vectors.rc
runs.ep 1:{runs}
runs.rc
hits 0:1 1:2
delayed 1
steps 3
met 0>1 1>0
event 100000 1 0 -1 100010001
event 101000 1 0 -7 100000002
event 102000 1 0 1 1800100c
event 110000 0 0 -5 1
event 111000 0 1 -6 1
event 112000 0 1 -2 100010001
event 113000 0 0 0 1800100c
event 114000 0 0 -3 190
event 150000 1 0 -1 100010002
event 151000 1 0 -7 100000002
event 152000 1 0 1 1800100c
event 153000 1 0 -1 20001
event 513000 0 0 -4 0
event 30000000 0 1 -2 100010002
"""
POINTS = (
    CodePoint("v", "poll", 8, "w", line=("v.c", 293), text="ntb->epf_db[i] = 0;"),
    CodePoint("h", "ring", 4, "w", line=("h.c", 569), text="writel(db_data, reg);"),
)


def lab() -> Any:
    driver = SimpleNamespace(patches=(1, 2, 3, 4, 5, 6, 7))
    host = SimpleNamespace(patches=(8, 9, 10, 11, 12))
    return SimpleNamespace(ep=driver, rc=host, setup=PairSetup(queues=4))


def run(outcome: str = "ok", mask: str = "0", runs: int = 2) -> GuestRun:
    return read_run(STUCK_RUN.format(outcome=outcome, mask=mask, runs=runs))


def boot(**known: Any) -> ExploreBoot:
    facts = {"runs": {}, "warnings": {}, "died": "", "died_in": ""} | known
    return ExploreBoot(**facts)


def test_what_a_run_told() -> None:
    stuck = run("stuck", "2")
    assert stuck.stuck == {"ep": [], "rc": [1]}
    assert stuck.met == [(0, 1), (1, 0)]
    assert stuck.counts("runs.ep") == {1: 2}
    assert stuck.delayed == [1]
    assert (stuck.log[0].what, stuck.log[0].cpu, stuck.log[2].value) == (-1, 1, 0x1800100C)


@pytest.mark.parametrize(
    ("outcome", "schedule", "oracle"),
    [("ok", SCHEDULE, HELD), ("stuck", SCHEDULE, STUCK), ("lost", SCHEDULE, LOST),
     ("stuck", LINKED, HELD)],
)  # fmt: skip
def test_packets_that_wait(outcome: str, schedule: Schedule, oracle: str) -> None:
    """A link that goes down may lose what is on its way."""
    found = judged(lab(), schedule, "1", boot(runs={"1": run(outcome, "2")}))
    assert found is not None and found.oracle == oracle
    if oracle == STUCK:
        assert found.words == (
            "packets wait 29.8 ms, until the next doorbell: QP 1 RC to EP; seen at 121.0 ms"
        )


def test_more_tasklet_runs_than_the_model_allows() -> None:
    found = judged(lab(), SCHEDULE, "1", boot(runs={"1": run(runs=9)}))
    assert found is not None and found.oracle == BOUNDS
    assert found.words == "QP 1 RC to EP: 9 tasklet runs, the model allows 1 to 4"


def test_a_complaint_is_that_of_its_schedule() -> None:
    known = boot(runs={"1": run(), "2": run()}, warnings={"2": ["BUG: KASAN: f"]})
    assert [judged(lab(), SCHEDULE, name, known).oracle for name in "12"] == [HELD, WARNED]


@pytest.mark.parametrize(
    ("died", "oracle"),
    [("the guest panicked: Oops", PANICKED), ("the guest hung: no end", HUNG)],
)
def test_a_dead_guest(died: str, oracle: str) -> None:
    known = boot(runs={"1": run()}, died=died, died_in="2")
    found = [judged(lab(), SCHEDULE, name, known) for name in "123"]
    assert [one and one.oracle for one in found] == [HELD, oracle, None]


def test_a_pair_that_loses_packets_by_itself() -> None:
    known = boot(runs={"1": run("dead"), "2": run("dead")})
    found = [judged(lab(), SCHEDULE, name, known) for name in "12"]
    assert [one and one.oracle for one in found] == [LOST, None]


def test_the_story_of_a_wiped_ring() -> None:
    lines = told(run("stuck", "2"), POINTS)
    assert [(line.cpu, line.text) for line in lines][6:] == [
        (0, "poll writes 0x1800100c"),
        (0, "HELD before that, for 400 us"),
        (1, "RC sends packet 2 of QP 1"),
        (1, "RC rings 0x2"),
        (1, "ring writes 0x1800100c"),
        (0, "goes on: ntb->epf_db[i] = 0;"),
    ]
    assert lines[6].source == "ntb->epf_db[i] = 0;"


def folder(tmp_path: Path, cause: str = "") -> Path:
    (tmp_path / "setup").mkdir()
    (tmp_path / "setup" / "result").write_text(f"cause={cause}\n")
    return tmp_path


def test_a_boot_tells_its_runs_and_where_it_died(tmp_path: Path) -> None:
    text = STUCK_RUN.format(outcome="ok", mask="0", runs=2)
    console = (
        "[ 1.0] ntb_explore: schedule 4\r\nWARNING: one\r\n[ 2.0] ntb_explore: schedule 5\r\n"
        "BUG: kernel NULL pointer dereference\r\nKernel panic - not syncing: Fatal\r\n"
    )
    told_of = read_boot(Boot(console, f"schedule 4\n{text}told\n"), folder(tmp_path))
    assert list(told_of.runs) == ["4"]
    assert told_of.warnings["4"] == ["WARNING: one"]
    assert told_of.died_in == "5"


def test_a_boot_without_a_setup(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="no set-up"):
        read_boot(Boot("", ""), tmp_path)


def place(point: CodePoint) -> PlaceInCode:
    line = f"{point.line[0]}:{point.line[1]}"
    return PlaceInCode(
        name=point.name, access=point.access, operand=point.operand, line=line, source=point.text
    )


def test_a_place_is_found_by_its_source_in_another_build() -> None:
    moved = CodePoint("v", "poll", 0x20, "w", line=("v.c", 300), text="ntb->epf_db[i] = 0;")
    places = mapped([place(point) for point in POINTS], [moved, POINTS[1]])
    schedule = Schedule(
        seed=1,
        workload="traffic",
        strategy="random",
        senders=(),
        delays=(Delay(POINTS[0].name, 1, 20), Delay("v:gone+0x1", 1, 20)),
    )
    again = renamed(schedule, places)
    assert [delay.point for delay in again.delays] == ["v:poll+0x20", "v:gone+0x1"]


def test_a_place_whose_line_is_gone_is_not_found() -> None:
    other = CodePoint("v", "poll", 8, "w", line=("v.c", 293), text="ntb->other = 0;")
    assert POINTS[0].name not in mapped([place(POINTS[0])], [other])
