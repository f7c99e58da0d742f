# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench ingest`: sources, exit codes, one line per error."""

import json
from pathlib import Path

import pytest
from captures import FOUR, TOOLS, ZERO, capture, table
from recordings import LOOP_612

from ntbbench.cli.main import main

SLOTS = [[1, 0], [0, 0], [40, 0], [40, 0], [40, 0], [40, 0]]
UNUSABLE = {"iperf3-refused.json", "iperf3-server-reverse.json"}


def test_every_number_names_a_source_that_says_what_it_cannot_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.json"
    assert main(["ingest", str(FOUR), "--format", "json", "-o", str(path)]) == 0
    record = json.loads(capsys.readouterr().out)
    assert json.loads(path.read_text()) == record
    kinds = {source["name"]: source for source in record["sources"]}
    for key in ("interrupts", "softirqs", "qps", "traces", "devices"):
        assert record[key]
        for row in record[key]:
            assert kinds[row["source"]]["cannot_tell"]
    for row in record["amplification"]:
        assert all(name in kinds for name in row["sources"])


def test_text_fits_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = capture(tmp_path / ("a\x1b[31m" + "x" * 90), ZERO, SLOTS)
    tools = [
        str(p) for p in TOOLS.glob("*") if p.suffix in {".txt", ".json"} and p.name not in UNUSABLE
    ]
    assert main(["ingest", str(LOOP_612), str(folder), *tools]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80
    assert "doorbell bit 3" in " ".join(out.split())
    assert "no NTB here" not in out


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
    assert (out, len(err.splitlines()), output.exists()) == ("", 1, False)


def test_a_machine_without_ntb_is_named_first_and_what_was_not_captured_is_repeated(
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
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith(f"{folder}: no NTB here")
    assert out.count(f"not captured: /sys/kernel/debug/ntb_transport: {reason}") == 1
    assert json.loads(measured.read_text())["without_ntb"] == [str(folder)]
    assert main(["explain", str(measured)]) == 2
    assert "nothing to explain" in capsys.readouterr().err


def test_a_damaged_file_of_a_qp_gives_no_counts_of_any(tmp_path: Path) -> None:
    """The others alone would make a wrong sum."""
    folder, output = capture(tmp_path / "c", ZERO, SLOTS), tmp_path / "m.json"
    (path,) = folder.glob("after-stats/*/qp2")
    path.write_text(path.read_text()[:200])
    assert main(["ingest", str(folder), "-o", str(output)]) == 2
    record = json.loads(output.read_text())
    assert (record["qps"], record["amplification"], len(record["interrupts"])) == ([], [], 6)
