# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench replay` as a user types it: formats, exit codes, one line an error."""

import argparse
import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from recordings import DATA, LOOP_612, copy, without

from ntbbench.cli import replay
from ntbbench.core.errors import NtbbenchError

ONE = LOOP_612 / "two-vectors-four-qps"


def run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    replay.add_parser(parser.add_subparsers())
    args = parser.parse_args(["replay", *argv])
    return int(args.run(args))


def test_json_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(ONE), "--format", "json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["schema"] == "ntbbench.replay/1"
    for side in ("recorded", "predicted"):
        counts = {
            key: record[side][key] for key in ("interrupts", "wakeups", "runs", "runs_per_qp")
        }
        assert counts == {
            "interrupts": 160,
            "wakeups": 480,
            "runs": 480,
            "runs_per_qp": [120, 120, 120, 120],
        }


def test_json_of_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(LOOP_612), "--format", "json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["schema"] == "ntbbench.replay/1"
    names = [point["name"] for point in record["points"]]
    assert names == sorted(path.name for path in LOOP_612.iterdir() if path.is_dir())
    for point in record["points"]:
        assert point["recorded"] == point["predicted"]
        assert point["kernel"] == "6.12.95+deb12-amd64"


def test_text_fits_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kernel in DATA.glob("linux-*"):
        shutil.copytree(kernel, tmp_path / kernel.name)
    assert run(str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert max(map(len, out.splitlines())) <= 80
    assert out.startswith("11 recordings: 10 agree, 1 differ and are explained, 0 disagree\n")
    row = next(line for line in out.splitlines() if "loop/two-vectors-four-qps" in line)
    assert row.split()[1:] == ["160", "480", "480", "480", "480", "agrees"]


def test_one_recording_has_no_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(ONE)) == 0
    out = capsys.readouterr().out
    assert out.startswith("two-vectors-four-qps: agrees\n")
    assert "2 vectors, db_read latched; 160 rings by QP 0,1,2,3, 700 us apart" in " ".join(
        out.split()
    )


def test_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(ONE), "--format", "md") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "### two-vectors-four-qps: agrees"
    row = next(line for line in lines if line.startswith("| wakeups "))
    assert [cell.strip() for cell in row.split("|")[1:-1]] == ["wakeups", "480", "480", ""]


def test_csv(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(ONE), "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    found = {(row["quantity"], row["qp_num"]): (row["recorded"], row["predicted"]) for row in rows}
    assert found["wakeups", ""] == ("480", "480")
    assert found["wakeups_race_check", ""] == ("160", "160")
    assert found["runs", "3"] == ("120", "120")
    assert {row["name"] for row in rows} == {"two-vectors-four-qps"}


def test_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy(ONE, tmp_path / "r\x1b[31m", trace=without("tasklet_schedule"))
    assert run(str(tmp_path)) == 1
    out = capsys.readouterr().out
    assert "r\\x1b[31m: DISAGREES" in out
    assert (
        "wakeups -320 (QP 0,1,2,3): more doorbell calls of an idle tasklet that are not in the"
        in (" ".join(out.split()))
    )
    assert run(str(folder), "--format", "md") == 1
    assert "caution: the trace has no tasklet" in capsys.readouterr().out


@pytest.mark.parametrize("make", ["nothing", "file", "empty", "half"])
def test_what_is_no_recording(tmp_path: Path, make: str) -> None:
    target = tmp_path / "log"
    if make == "file":
        target = tmp_path / "rings.csv"
        target.write_text("0.0,1\n")
    elif make != "nothing":
        target.mkdir()
    if make == "half":
        (target / "point").write_text("vectors=0\n")
    with pytest.raises(NtbbenchError) as caught:
        run(str(target))
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert "\n" not in message
    assert {
        "nothing": "no such folder",
        "file": "ntbbench sweep --workload log:rings.csv",
        "empty": "holds no recording",
        "half": "'trace': no such file",
    }[make] in message


PAIR = DATA / "pair"
PAIR_POINTS = sorted(path.parent for path in PAIR.glob("*/*-to-*/trace"))


def test_a_folder_that_the_pair_lab_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(PAIR / "after-after"), "--format", "json") == 0
    names = [point["name"] for point in json.loads(capsys.readouterr().out)["points"]]
    assert names == [path.name for path in PAIR_POINTS if path.parent.name == "after-after"]


@pytest.mark.parametrize("point", PAIR_POINTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_point_of_the_pair(point: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The loop's db_read() shows the bit that was rung; that of an old driver another one."""
    boot = point.parent.name.split("-")
    receiver = boot[1] if point.name.startswith("ep-to-rc") else boot[0]
    agrees = receiver == "after" and "embedded" not in boot
    assert run(str(point), "--format", "json") == int(not agrees)
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == ("agrees" if agrees else "disagrees")
    assert told["recorded"]["interrupts"] and len(told["recorded"]["runs_per_qp"]) in (2, 4)
