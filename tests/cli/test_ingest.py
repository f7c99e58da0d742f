# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench ingest`: formats, exit codes, one line an error."""

import csv
import io
import json
from pathlib import Path

import pytest
from captures import FOUR, TOOLS, capture, table
from recordings import LOOP_612

from ntbbench.cli.main import main

SLOTS = [[1, 0], [0, 0], [40, 0], [40, 0], [40, 0], [40, 0]]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ingest", str(FOUR), "--format", "json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["schema"] == "ntbbench.measured/1"
    kinds = {source["name"]: source for source in record["sources"]}
    for key in ("interrupts", "softirqs", "qps", "traces", "devices"):
        assert record[key]
        for row in record[key]:
            assert kinds[row["source"]]["cannot_tell"]
    for row in record["amplification"]:
        assert all(name in kinds for name in row["sources"])
    runs = [qp["runs_low"] for qp in record["qps"] if qp["device"] == "0000:00:04.0"]
    assert runs == [200, 200, 200, 200]


def test_the_written_file_is_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.json"
    assert main(["ingest", str(FOUR), "--format", "json", "-o", str(path)]) == 0
    assert json.loads(path.read_text()) == json.loads(capsys.readouterr().out)


UNUSABLE = {"iperf3-refused.json", "iperf3-server-reverse.json"}


def test_text_fits_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = capture(tmp_path / ("a\x1b[31m" + "x" * 90), [[0, 0]] * 6, SLOTS)
    tools = [
        str(p) for p in TOOLS.glob("*") if p.suffix in {".txt", ".json"} and p.name not in UNUSABLE
    ]
    assert main(["ingest", str(LOOP_612), str(folder), *tools]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80
    assert "doorbell bit 3" in " ".join(out.split())


def test_text_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ingest", str(FOUR)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["runs", "160", "800..808", "5..5.05", "[5][3]"] in rows
    assert ["doorbell", "wakeups", "160", "640", "4", "[5]"] in rows
    assert ["0000:00:04.0", "qp3", "up", "40", "0", "200..202", "[3]"] in rows


def test_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ingest", str(FOUR), "--format", "md"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("### Amplification: per doorbell interrupt\n")
    assert "### Sources" in out


def test_csv(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ingest", str(FOUR), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    found = {(r["quantity"], r["name"], r["key"]): (r["value"], r["at_most"]) for r in rows}
    assert found["runs", "0000:00:04.0", "2"] == ("200", "202")
    assert found["amplification", "doorbell wakeups", ""] == ("4.0", "4.0")


def test_each_bad_file_is_one_line_and_the_rest_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_text("hello\n")
    paths = [str(foreign), str(tmp_path / "gone"), str(TOOLS / "ftrace.txt")]
    assert main(["ingest", *paths, "--format", "json"]) == 2
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 2
    record = json.loads(out)
    assert len(record["traces"]) == 1
    assert len(record["errors"]) == 2


@pytest.mark.parametrize("make", ["gone", "empty"])
def test_nothing_to_read(tmp_path: Path, make: str, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / make
    if make == "empty":
        target.mkdir()
    output = tmp_path / "m.json"
    assert main(["ingest", str(target), "-o", str(output)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert not output.exists()


def test_a_machine_without_ntb_is_told_first_and_what_was_not_captured_is_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, reason = tmp_path / "c", "debugfs is not mounted: as root, mount -t debugfs none /x"
    folder.mkdir()
    for when, count in (("before", 10), ("after", 90)):
        rows = [("1", [count, 0], "IO-APIC   1-edge      i8042")]
        (folder / f"{when}-interrupts").write_text(table(["CPU0", "CPU1"], rows))
    (folder / "unread").write_text(f"/sys/kernel/debug/ntb_transport: {reason}\n" * 2)
    measured = tmp_path / "m.json"
    assert main(["ingest", str(folder), "-o", str(measured)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{folder}: no NTB here")
    assert (
        " ".join(out.split()).count(f"not captured: /sys/kernel/debug/ntb_transport: {reason}") == 1
    )
    record = json.loads(measured.read_text())
    assert record["without_ntb"] == [str(folder)]
    assert main(["ingest", str(folder), "--format", "md"]) == 0
    assert "no NTB here" in capsys.readouterr().out
    assert main(["explain", str(measured)]) == 2
    assert "nothing to explain" in capsys.readouterr().err


def test_a_machine_with_ntb_is_not_said_to_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = capture(tmp_path / "c", [[0, 0]] * 6, SLOTS)
    assert main(["ingest", str(FOUR), str(folder)]) == 0
    assert "no NTB here" not in capsys.readouterr().out
