# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair matrix` from the command line, on recordings instead of guests."""

import errno
import json
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from compare_runs import Ran
from pair_fake import HUNG, Lab, load_pair_result, points_of, tree

from ntbbench.cli import lab_pair_matrix
from ntbbench.lab.commands import LAB_FAILED, BuildError, GuestError, HostError
from ntbbench.lab.pair.boot.left import PairRecordings

OUT = Path("m.json")
SIXTEEN = ("--ep-slots", "8,4")
Matrix = Callable[..., Ran]


@pytest.fixture
def matrix(lab: Lab, ntbbench) -> Matrix:
    """Run a matrix, one boot after the other; its result is OUT unless it is resumed."""

    def run(*words: object, to: Path | None = OUT) -> Ran:
        output = ("-o", to) if to else ()
        return ntbbench("lab", "pair", "matrix", "--jobs", 1, *words, *output)

    return run


def resume(matrix: Matrix, *words: object) -> Ran:
    return matrix("--resume", OUT, *words, to=None)


def test_cells_of_a_matrix_that_cannot_be_had_agree_with_nothing(lab: Lab, matrix: Matrix) -> None:
    """6.x polls only: with another doorbell the rows of its endpoint are not run."""
    cause = "linux-source-6.12 has no msi doorbells, only poll"

    def missing(recordings: PairRecordings) -> PairRecordings:
        if recordings.plan.setup.ep_driver != "before":
            return recordings
        none = {"ep_qp_count": None, "rc_qp_count": None, "points": ()}
        return replace(recordings, available=False, link="down", cause=cause, **none)

    lab.change = missing
    text = " ".join(matrix("-v").out.split())
    assert text.startswith(f"The model agrees in 4 of 4 points; 4 unavailable: {cause}")
    assert "Model and kernel differ in no cell that was run." in text
    assert {(p.ep_driver, p.status) for p in points_of(OUT)} == {
        ("before", "unavailable"), ("after", "ok")
    }  # fmt: skip
    ktap = matrix("--format", "ktap").out
    assert ktap.count(f"# SKIP {cause}\n") == 4 and "not ok" not in ktap


def test_a_matrix_of_nothing_that_runs_says_so(lab: Lab, matrix: Matrix) -> None:
    lab.change = lambda old: replace(old, available=False, link="down", cause="why", points=())
    ran = matrix()
    text = " ".join(ran.out.split())
    assert ran.code == 0 and text.startswith("Nothing was run, 8 points unavailable: why")
    assert "differ in no cell" not in text


def test_a_matrix_covers_old_and_new_on_either_side(lab: Lab, matrix: Matrix, ntbbench) -> None:
    assert ntbbench("lab", "pair", "matrix", "-o", OUT).code == 0
    setups = [(plan.setup.ep_driver, plan.setup.rc_driver) for plan in lab.plans]
    names = ("before", "after")
    assert sorted(setups) == sorted((ep, rc) for ep in names for rc in names)
    assert len(points_of(OUT)) == 8
    before = OUT.read_bytes()
    assert resume(matrix).code == 0  # and boots nothing that is finished
    assert (len(lab.plans), OUT.read_bytes()) == (4, before)


def test_exhaustive_walks_every_slot_and_window(lab: Lab, matrix: Matrix) -> None:
    lab.interrupt_after = 1
    assert matrix("--exhaustive").code == 130
    scenario = load_pair_result(OUT).scenario
    assert scenario["ep_slots"] == list(range(3, 33)) and scenario["mw_counts"] == [1, 2]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_matrix_goes_on_where_it_was(lab: Lab, matrix: Matrix, number, code) -> None:
    whole = Path("whole.json")
    assert matrix(*SIXTEEN, to=whole).code == 0
    lab.interrupt_after, lab.signal = len(lab.plans) + 3, number
    ran = matrix(*SIXTEEN)
    assert ran.code == code and f"go on with: ntbbench lab pair matrix --resume {OUT}" in ran.err
    left, booted = load_pair_result(OUT), len(lab.plans)
    assert not left.complete and 0 < len(left.points) < 16
    assert resume(matrix).code == 0
    assert len(lab.plans) - booted == (16 - len(left.points)) / 2
    assert OUT.read_bytes() == whole.read_bytes()


def test_a_matrix_that_is_interrupted_says_what_it_waits_for(
    lab: Lab, matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, waits = [], threading.Event()

    def say(line: str) -> None:
        said.append(line)
        waits.set()

    def boots_on(recordings: PairRecordings) -> PairRecordings:
        assert len(lab.plans) < 3 or waits.wait(60)
        return recordings

    monkeypatch.setattr(lab_pair_matrix, "say", say)
    lab.interrupt_after, lab.change = 3, boots_on
    assert matrix(*SIXTEEN).code == 130
    assert said[0] == "interrupted: waiting for 1 boot to end; what is finished is kept"
    assert len(said) == 2 and len(points_of(OUT)) == 6


def test_resume_refuses_another_matrix_and_other_files(matrix: Matrix, ntbbench) -> None:
    assert matrix(*SIXTEEN).code == 0
    ran = resume(matrix, "--ep-slots", "5")
    assert ran.code == 2 and "--resume" in ran.err
    assert ntbbench("lab", "pair", "run", "-o", OUT).code == 0
    ran = resume(matrix)
    assert ran.code == 2 and "--resume" in ran.err


def test_resume_refuses_sources_that_changed(lab: Lab, matrix: Matrix, tmp_path: Path) -> None:
    own = tmp_path / "pci-epf-vntb.c"
    own.write_text("int one;")
    lab.interrupt_after, lab.error = 1, GuestError("killed with the interrupt")
    assert matrix("--ep-driver", own, "--rc-driver", "after").code == 130
    own.write_text("int two;")
    booted = len(lab.plans)
    ran = resume(matrix)
    assert ran.code == 2
    assert f"the same sources; changed since then: EP driver {own}\n" in ran.err
    own.write_text("int one;")
    data = json.loads(OUT.read_text())
    for sources, words in (
        ({}, "a matrix that tells which sources it ran"),
        ({**data["sources"], "kernel": "7.3.5-1"}, "changed since then: kernel\n"),
    ):
        OUT.write_text(json.dumps({**data, "sources": sources}))
        ran = resume(matrix)
        assert ran.code == 2 and words in ran.err
    assert len(lab.plans) == booted
    OUT.write_text(json.dumps(data))
    lab.error = BuildError("it went on to boot")
    assert resume(matrix).code != 2
    assert len(lab.plans) == booted + 1


def test_a_matrix_of_a_source_is_resumed_unless_the_tree_changed(
    lab: Lab, matrix: Matrix, tmp_path: Path
) -> None:
    linux = tree(tmp_path)
    lab.error, lab.interrupt_after = GuestError("killed with the interrupt"), 1
    assert matrix("--source", linux).code == 130
    scenario = load_pair_result(OUT).scenario
    assert scenario["ep_drivers"] == ["before", str(linux)]
    lab.interrupt_after = len(lab.plans) + 1
    assert resume(matrix).code == 130
    assert load_pair_result(OUT).scenario == scenario
    (linux / "drivers/ntb/ntb_transport.c").write_text("int two;")
    ran = resume(matrix)
    assert ran.code == 2 and f"changed since then: NTB files of {linux}\n" in ran.err


def test_a_matrix_names_the_boot_that_died_and_goes_on_with_it(lab: Lab, matrix: Matrix) -> None:
    whole = Path("whole.json")
    assert matrix(to=whole).code == 0

    def dies(recordings: PairRecordings) -> PairRecordings:
        if lab.plans[-1].setup.ep_driver == "before":
            raise GuestError(HUNG)
        return recordings

    lab.change = dies
    ran = matrix()
    *told, last = ran.err.splitlines()
    cells = [f"EP before, RC {rc}, 8 slots, 2 windows, poll: {HUNG}" for rc in ("before", "after")]
    assert all(any(line.endswith(cell) for line in told) for cell in cells)
    assert ran.code == LAB_FAILED and "2 of 4 boots failed; " in last
    assert last.endswith(f"to try them again: ntbbench lab pair matrix --resume {OUT}")
    left = load_pair_result(OUT)
    assert left.complete and len(left.points) == 8
    failed = [point for point in left.points if point.status == "failed"]
    assert [(point.ep_driver, point.cause) for point in failed] == [("before", HUNG)] * 4
    lab.change = lambda recordings: recordings
    booted = len(lab.plans)
    assert resume(matrix).code == 0
    assert len(lab.plans) - booted == 2
    assert OUT.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("finished", [0, 2])
@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (HostError("QEMU failed: Killed"), LAB_FAILED, "QEMU failed: Killed"),
        (OSError(errno.ENOSPC, "No space left", "/tmp/x"), 2, "'/tmp/x': No space left"),
    ],
)
def test_a_machine_that_fails_is_no_fault_of_a_driver(
    lab: Lab, matrix: Matrix, error: Exception, code: int, words: str, finished: int
) -> None:
    """QEMU or the disk failed: no point says so, and the matrix can be gone on with."""
    whole = Path("whole.json")
    assert matrix(*SIXTEEN, to=whole).code == 0
    before = len(lab.plans)

    def fails(recordings: PairRecordings) -> PairRecordings:
        if len(lab.plans) - before > finished:
            raise error
        return recordings

    lab.change = fails
    ran = matrix(*SIXTEEN)
    how, told = ran.err.splitlines()
    assert how.endswith(f"are saved; go on with: ntbbench lab pair matrix --resume {OUT}")
    assert (ran.code, told) == (code, f"ntbbench: {words}")
    left = load_pair_result(OUT)
    assert not left.complete and len(left.points) == 2 * finished
    lab.change = lambda recordings: recordings
    assert resume(matrix).code == 0
    assert OUT.read_bytes() == whole.read_bytes()


def test_an_interrupt_that_stops_qemu_is_an_interrupt(lab: Lab, matrix: Matrix) -> None:
    lab.interrupt_after, lab.error = 1, HostError("QEMU failed: Terminated")
    assert matrix(*SIXTEEN).code == 130


@pytest.mark.parametrize("lost", [1, 2])
def test_a_cell_whose_guest_dies_is_shown_with_its_cause(
    lab: Lab, matrix: Matrix, lost: int, ntbbench
) -> None:
    """Whether it recorded its first direction, or left nothing that can be read."""

    def dies(recordings: PairRecordings) -> PairRecordings:
        setup = lab.plans[-1].setup
        if (setup.ep_driver, setup.rc_driver) != ("before", "after"):
            return recordings
        if lost == 2:
            raise GuestError(HUNG)
        return replace(recordings, points=recordings.points[:1], died=HUNG)

    lab.change = dies
    for form in ("text", "md", "csv", "json", "html"):
        ran = matrix("--format", form)
        printed = " ".join(ran.out.split())
        assert ran.code == LAB_FAILED and HUNG in printed
        if form in ("text", "md", "html"):
            assert f"The model agrees in {8 - lost} of 8 points, in " in printed
            assert " the guest failed" in printed
    saved = load_pair_result(OUT)
    assert saved.complete and sum(point.status == "failed" for point in saved.points) == lost
    ran = ntbbench("gate", OUT, OUT)  # the same; but that it says little is told
    assert ran.code == 0 and "not complete" in " ".join(ran.out.split())
    lab.change = lambda recordings: recordings
    whole = Path("whole.json")
    assert matrix(to=whole).code == 0
    if lost == 1:  # else the plan's traffic names the points, and the recordings have their own
        assert ntbbench("gate", whole, OUT).code == 1
        assert ntbbench("gate", OUT, whole).code == 0
