# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair matrix` from the command line, on recordings instead of guests."""

import csv
import errno
import io
import json
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from pair_fake import HUNG, Lab, load_pair_result, points_of, tree

from ntbbench.cli import lab_pair_matrix
from ntbbench.cli.main import main
from ntbbench.lab.commands import LAB_FAILED, BuildError, GuestError, HostError
from ntbbench.lab.pair.plan import PairRecordings

MATRIX = ["lab", "pair", "matrix", "--ep-slots", "8,4", "--jobs", "1"]


def test_cells_of_a_matrix_that_cannot_be_had_agree_with_nothing(lab: Lab, capsys) -> None:
    """6.x polls only: with another doorbell the rows of its endpoint are not run."""
    cause = "linux-source-6.12 has no msi doorbells, only poll"

    def missing(recordings: PairRecordings) -> PairRecordings:
        if recordings.plan.setup.ep_driver != "before":
            return recordings
        none = {"ep_qp_count": None, "rc_qp_count": None, "points": ()}
        return replace(recordings, available=False, link="down", cause=cause, **none)

    lab.change = missing
    printed = {}
    for name in ("text", "md", "csv", "ktap"):
        assert main(["lab", "pair", "matrix", "--format", name, "-o", "m.json"]) == 0
        printed[name] = capsys.readouterr().out
    text = " ".join(printed["text"].split())
    assert text.startswith(f"The model agrees in 4 of 4 points; 4 unavailable: {cause}")
    assert "Model and kernel differ in no cell that was run." in text
    row = ["before", "after", "8", "-/-", "unavailable", "-", "-", "-"]
    for name in ("text", "md"):
        lines = printed[name].replace("|", " ").splitlines()
        cells = [line.split() for line in lines if "unavailable" in line]
        assert [found for found in cells if found[:2] == row[:2]] == [row, row]
    rows = list(csv.DictReader(io.StringIO(printed["csv"])))
    statuses = {(found["ep_driver"], found["status"]) for found in rows}
    assert statuses == {("before", "unavailable"), ("after", "ok")}
    assert printed["ktap"].count(f"# SKIP {cause}\n") == 4 and "not ok" not in printed["ktap"]


def test_a_matrix_of_nothing_that_runs_says_so(lab: Lab, capsys) -> None:
    lab.change = lambda old: replace(old, available=False, link="down", cause="why", points=())
    assert main(["lab", "pair", "matrix", "-o", "m.json"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("Nothing was run, 8 points unavailable: why")
    assert "differ in no cell" not in text


def test_a_matrix_covers_old_and_new_on_either_side(lab: Lab, tmp_path: Path, capsys) -> None:
    out = tmp_path / "m.json"
    assert main(["lab", "pair", "matrix", "-o", str(out)]) == 0
    setups = [(plan.setup.ep_driver, plan.setup.rc_driver) for plan in lab.plans]
    names = ("before", "after")
    assert sorted(setups) == sorted((ep, rc) for ep in names for rc in names)
    assert len(points_of(out)) == 8
    told = " ".join(capsys.readouterr().out.split())
    assert "Model and kernel differ in no cell; 2 points of 8 only within bounds." in told


def test_exhaustive_walks_every_slot_and_window(lab: Lab, tmp_path: Path) -> None:
    lab.interrupt_after = 1
    out = tmp_path / "m.json"
    assert main(["lab", "pair", "matrix", "--exhaustive", "--jobs", "1", "-o", str(out)]) == 130
    scenario = load_pair_result(out).scenario
    assert scenario["ep_slots"] == list(range(3, 33))
    assert scenario["mw_counts"] == [1, 2]


def test_a_matrix_ends_by_sigterm_as_by_ctrl_c(lab: Lab, tmp_path: Path, capsys) -> None:
    lab.interrupt_after, lab.signal = 3, signal.SIGTERM
    out = tmp_path / "m.json"
    assert main([*MATRIX, "-o", str(out)]) == 143
    assert f"go on with: ntbbench lab pair matrix --resume {out}" in capsys.readouterr().err
    assert not load_pair_result(out).complete


def test_an_interrupted_matrix_goes_on_where_it_was(lab: Lab, tmp_path: Path, capsys) -> None:
    whole, part = tmp_path / "whole.json", tmp_path / "part.json"
    assert main([*MATRIX, "-o", str(whole)]) == 0
    lab.interrupt_after = len(lab.plans) + 3
    assert main([*MATRIX, "-o", str(part)]) == 130
    told = capsys.readouterr().err
    assert f"go on with: ntbbench lab pair matrix --resume {part}" in told
    left = load_pair_result(part)
    assert not left.complete and 0 < len(left.points) < 16
    booted = len(lab.plans)
    assert main(["lab", "pair", "matrix", "--resume", str(part)]) == 0
    assert len(lab.plans) - booted == (16 - len(left.points)) / 2
    assert part.read_bytes() == whole.read_bytes()


def test_a_matrix_that_is_interrupted_says_what_it_waits_for(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    out = tmp_path / "m.json"
    assert main([*MATRIX, "-o", str(out)]) == 130
    assert said[0] == "interrupted: waiting for 1 boot to end; what is finished is kept"
    assert len(said) == 2 and len(load_pair_result(out).points) == 6


def test_resume_refuses_another_matrix_and_other_files(lab: Lab, tmp_path: Path, capsys) -> None:
    out, single = tmp_path / "m.json", tmp_path / "r.json"
    assert main([*MATRIX, "-o", str(out)]) == 0
    assert main(["lab", "pair", "run", "-o", str(single)]) == 0
    capsys.readouterr()
    for options in (["--resume", str(out), "--ep-slots", "5"], ["--resume", str(single)]):
        assert main(["lab", "pair", "matrix", *options]) == 2
        assert "--resume" in capsys.readouterr().err


def test_resume_refuses_sources_that_changed(lab: Lab, tmp_path: Path, capsys) -> None:
    own, out = tmp_path / "pci-epf-vntb.c", tmp_path / "m.json"
    own.write_text("int one;")
    lab.interrupt_after = 1
    drivers = ["--ep-driver", str(own), "--rc-driver", "after"]
    lab.error = GuestError("killed with the interrupt")
    assert main(["lab", "pair", "matrix", *drivers, "--jobs", "1", "-o", str(out)]) == 130
    own.write_text("int two;")
    capsys.readouterr()
    booted = len(lab.plans)
    assert main(["lab", "pair", "matrix", "--resume", str(out)]) == 2
    told = capsys.readouterr().err
    assert f"the same sources; changed since then: EP driver {own}\n" in told
    own.write_text("int one;")
    data = json.loads(out.read_text())
    for sources, words in (
        ({}, "a matrix that tells which sources it ran"),
        ({**data["sources"], "kernel": "7.3.5-1"}, "changed since then: kernel\n"),
    ):
        out.write_text(json.dumps({**data, "sources": sources}))
        assert main(["lab", "pair", "matrix", "--resume", str(out)]) == 2
        assert words in capsys.readouterr().err
    assert len(lab.plans) == booted
    out.write_text(json.dumps(data))
    lab.error = BuildError("it went on to boot")
    assert main(["lab", "pair", "matrix", "--resume", str(out), "--jobs", "1"]) != 2
    assert len(lab.plans) == booted + 1


def test_a_matrix_of_a_source_is_resumed_unless_the_tree_changed(
    lab: Lab, tmp_path: Path, capsys
) -> None:
    linux, out = tree(tmp_path), tmp_path / "m.json"
    lab.error, lab.interrupt_after = GuestError("killed with the interrupt"), 1
    arguments = ["--source", str(linux), "--jobs", "1", "-o", str(out)]
    assert main(["lab", "pair", "matrix", *arguments]) == 130
    scenario = load_pair_result(out).scenario
    assert scenario["ep_drivers"] == ["before", str(linux)]
    lab.interrupt_after = len(lab.plans) + 1
    assert main(["lab", "pair", "matrix", "--resume", str(out)]) == 130
    assert load_pair_result(out).scenario == scenario
    (linux / "drivers/ntb/ntb_transport.c").write_text("int two;")
    capsys.readouterr()
    assert main(["lab", "pair", "matrix", "--resume", str(out)]) == 2
    assert f"changed since then: NTB files of {linux}\n" in capsys.readouterr().err


def test_a_matrix_names_the_boot_that_died_and_goes_on_with_it(
    lab: Lab, tmp_path: Path, capsys
) -> None:
    matrix = ["lab", "pair", "matrix", "--jobs", "1"]
    whole, part = tmp_path / "whole.json", tmp_path / "part.json"
    assert main([*matrix, "-o", str(whole)]) == 0

    def dies(recordings: PairRecordings) -> PairRecordings:
        if lab.plans[-1].setup.ep_driver == "before":
            raise GuestError(HUNG)
        return recordings

    lab.change = dies
    capsys.readouterr()
    assert main([*matrix, "-o", str(part)]) == LAB_FAILED
    told = capsys.readouterr().err.splitlines()
    cells = [f"EP before, RC {rc}, 8 slots, 2 windows, poll: {HUNG}" for rc in ("before", "after")]
    assert all(any(line.endswith(cell) for line in told[:-1]) for cell in cells)
    assert "2 of 4 boots failed; " in told[-1]
    assert told[-1].endswith(f"to try them again: ntbbench lab pair matrix --resume {part}")
    left = load_pair_result(part)
    assert left.complete and len(left.points) == 8
    failed = [point for point in left.points if point.status == "failed"]
    assert [(point.ep_driver, point.cause) for point in failed] == [("before", HUNG)] * 4
    lab.change = lambda recordings: recordings
    booted = len(lab.plans)
    assert main(["lab", "pair", "matrix", "--resume", str(part), "--jobs", "1"]) == 0
    assert len(lab.plans) - booted == 2
    assert part.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("finished", [0, 2])
@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (HostError("QEMU failed: Killed"), LAB_FAILED, "QEMU failed: Killed"),
        (OSError(errno.ENOSPC, "No space left", "/tmp/x"), 2, "'/tmp/x': No space left"),
    ],
)
def test_a_machine_that_fails_is_no_fault_of_a_driver(
    lab: Lab, error: Exception, code: int, words: str, finished: int, tmp_path: Path, capsys
) -> None:
    """QEMU or the disk failed: no point says so, and the matrix can be gone on with."""
    whole, part = tmp_path / "whole.json", tmp_path / "part.json"
    assert main([*MATRIX, "-o", str(whole)]) == 0
    before = len(lab.plans)

    def fails(recordings: PairRecordings) -> PairRecordings:
        if len(lab.plans) - before > finished:
            raise error
        return recordings

    lab.change = fails
    capsys.readouterr()
    assert main([*MATRIX, "-o", str(part)]) == code
    how, told = capsys.readouterr().err.splitlines()
    assert how.endswith(f"are saved; go on with: ntbbench lab pair matrix --resume {part}")
    assert told == f"ntbbench: {words}"
    left = load_pair_result(part)
    assert not left.complete and len(left.points) == 2 * finished
    lab.change = lambda recordings: recordings
    assert main(["lab", "pair", "matrix", "--resume", str(part), "--jobs", "1"]) == 0
    assert part.read_bytes() == whole.read_bytes()


def test_an_interrupt_that_stops_qemu_is_an_interrupt(lab: Lab, tmp_path: Path) -> None:
    lab.interrupt_after, lab.error = 1, HostError("QEMU failed: Terminated")
    assert main([*MATRIX, "-o", str(tmp_path / "m.json")]) == 130


def test_a_matrix_with_nothing_left_to_boot_stays_as_it_is(lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "m.json"
    assert main(["lab", "pair", "matrix", "-o", str(out)]) == 0
    before, booted = out.read_bytes(), len(lab.plans)
    assert main(["lab", "pair", "matrix", "--resume", str(out)]) == 0
    assert len(lab.plans) == booted
    assert out.read_bytes() == before


@pytest.mark.parametrize("raised", [False, True])
def test_a_cell_whose_guest_dies_is_shown_with_its_cause(
    lab: Lab, raised: bool, tmp_path: Path, capsys
) -> None:
    """Whether it recorded its first direction, or left nothing that can be read."""

    def dies(recordings: PairRecordings) -> PairRecordings:
        setup = lab.plans[-1].setup
        if (setup.ep_driver, setup.rc_driver) != ("before", "after"):
            return recordings
        if raised:
            raise GuestError(HUNG)
        return replace(recordings, points=recordings.points[:1], died=HUNG)

    lab.change = dies
    out = tmp_path / "m.json"
    printed = {}
    for name in ("text", "md", "csv", "json", "html"):
        command = ["lab", "pair", "matrix", "--jobs", "1", "--format", name, "-o", str(out)]
        assert main(command) == LAB_FAILED
        printed[name] = " ".join(capsys.readouterr().out.split())
        assert HUNG in printed[name]
    lost = 2 if raised else 1
    said = f"The model agrees in {8 - lost} of 8 points"
    for name in ("text", "md", "html"):
        assert f"{said}, in " in printed[name]
        assert " the guest failed" in printed[name].partition(said)[2]
    assert f"rc-to-ep, EP before, RC after, 8 slots, 2 windows: {HUNG}" in printed["text"]
    row = "before after 8 {} failed fallback - DIFFERS"
    assert row.format("-/-" if raised else "4/4") in printed["text"]
    saved = load_pair_result(out)
    assert saved.complete and sum(point.status == "failed" for point in saved.points) == lost
    capsys.readouterr()
    assert main(["gate", str(out), str(out)]) == 0  # the same; but that it says little is told
    assert "not complete" in " ".join(capsys.readouterr().out.split())
    whole = tmp_path / "whole.json"
    lab.change = lambda recordings: recordings
    assert main(["lab", "pair", "matrix", "--jobs", "1", "-o", str(whole)]) == 0
    if not raised:  # else the plan's traffic names the points, and the recordings have their own
        assert main(["gate", str(whole), str(out)]) == 1
        assert main(["gate", str(out), str(whole)]) == 0
