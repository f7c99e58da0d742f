# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench replay`: exit codes, one line per error, names that hold anything."""

import json
import shutil
from pathlib import Path

import pytest
from recordings import DATA, LOOP_612, copy, without

from ntbbench.cli.main import main

ONE = LOOP_612 / "two-vectors-four-qps"
PAIR = DATA / "pair"
PAIR_POINTS = sorted(path.parent for path in PAIR.glob("*/*-to-*/trace"))


def test_text_of_many_fits_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kernel in DATA.glob("linux-*"):
        shutil.copytree(kernel, tmp_path / kernel.name)
    assert main(["replay", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert max(map(len, out.splitlines())) <= 80
    assert out.startswith("11 recordings: 10 agree, 1 differ and are explained, 0 disagree\n")


def test_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy(ONE, tmp_path / "r\x1b[31m", trace=without("tasklet_schedule"))
    assert main(["replay", str(folder)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("r\\x1b[31m: DISAGREES")
    assert (
        "wakeups -320 (QP 0,1,2,3): more doorbell calls of an idle tasklet that are not in the"
        in out
    )
    assert "the trace has no tasklet" in out


@pytest.mark.parametrize("one", [True, False])
def test_a_printed_replay_can_be_shown(
    one: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, saved = str(ONE if one else LOOP_612), tmp_path / "r.json"
    assert main(["replay", log, "--format", "json"]) == 0
    saved.write_text(capsys.readouterr().out)
    for form in ("json", "text"):
        assert main(["replay", log, "--format", form]) == 0
        told = capsys.readouterr().out
        assert main(["show", str(saved), "--format", form]) == 0
        assert capsys.readouterr().out == told


@pytest.mark.parametrize(
    ("make", "told"),
    [
        ("nothing", "no such folder"),
        ("file", "ntbbench sweep --workload log:rings.csv"),
        ("empty", "holds no recording"),
        ("half", "'trace': no such file"),
    ],
)
def test_what_is_no_recording_is_one_line(
    tmp_path: Path, make: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "log"
    if make == "file":
        target = tmp_path / "rings.csv"
        target.write_text("0.0,1\n")
    elif make != "nothing":
        target.mkdir()
    if make == "half":
        (target / "point").write_text("vectors=0\n")
    assert main(["replay", str(target)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_a_folder_that_the_pair_lab_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(PAIR / "after-after"), "--format", "json"]) == 0
    names = [point["name"] for point in json.loads(capsys.readouterr().out)["points"]]
    assert names == [path.name for path in PAIR_POINTS if path.parent.name == "after-after"]


@pytest.mark.parametrize("point", PAIR_POINTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_point_of_the_pair(point: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The loop's db_read() shows the bit that was rung; that of an old driver another one."""
    boot = point.parent.name.split("-")
    receiver = boot[1] if point.name.startswith("ep-to-rc") else boot[0]
    agrees = receiver == "after" and "embedded" not in boot
    assert main(["replay", str(point), "--format", "json"]) == int(not agrees)
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == ("agrees" if agrees else "disagrees")
    assert told["recorded"]["interrupts"] and len(told["recorded"]["runs_per_qp"]) in (2, 4)
