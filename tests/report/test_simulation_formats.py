# SPDX-License-Identifier: BSD-3-Clause
"""Formats of a simulation: text of 80 columns, CSV, what `show` prints, the keys."""

import csv
import io
from pathlib import Path

import msgspec
import pytest
from simulate_runs import SHORT, saved

from ntbbench.cli.main import main
from ntbbench.core.result_file import write_json
from ntbbench.datapath.grid.grid_result import load_simulation
from ntbbench.datapath.records import CPU_KINDS, Estimate, OkSimulation
from ntbbench.datapath.scenario.load import all_keys
from ntbbench.report.simulation import FORMATS, ok_points, render_text


def test_text_is_ascii_of_80_columns(result_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(result_file)]) == 0
    text = capsys.readouterr().out
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80
    for word in ("Mbit/s", "p99.9", "hardirq", "spin", "repost", "Simulated, not measured"):
        assert word in text


@pytest.mark.parametrize("largest", [99.99, 99_999.0])
def test_the_widest_numbers_fold_no_name(result_file: Path, largest: float) -> None:
    """Six columns of CPU time beside the longest dispatch: tiny numbers beside large ones."""
    result = load_simulation(result_file)
    spent = dict.fromkeys(CPU_KINDS, Estimate(mean=0.595e-6, low=None, high=None))
    spent["idle"] = Estimate(mean=largest, low=None, high=None)
    points = [
        msgspec.structs.replace(point, cpu_seconds=spent) for point in ok_points(result.points)
    ]
    lines = render_text(msgspec.structs.replace(result, points=points)).splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.split() in (["per-"], ["vector"])]


def test_csv_has_a_row_a_point(result_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(result_file), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    points = saved(result_file)["points"]
    assert len(rows) == len(points)
    for row, point in zip(rows, points, strict=True):
        assert float(row["throughput_bps_mean"]) == point["throughput_bps"]["mean"]
        assert float(row["latency_p999_high"]) == point["latency"]["p999"]["high"]
        assert int(row["ring_full_stops"]) == point["ring_full_stops"]


@pytest.mark.parametrize("name", FORMATS)
def test_show_prints_what_simulate_printed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "result.json"
    words = ["--queues", "1", "--affinity", "single", *SHORT, "-o", str(path)]
    assert main(["simulate", *words, "--format", name]) == 0
    printed = capsys.readouterr().out
    assert main(["show", str(path), "--format", name]) == 0
    assert capsys.readouterr().out == printed


def test_the_keys_are_listed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["simulate", "--keys"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    listed = {word for line in text.splitlines() for word in line.split()[:1] if "." in word}
    assert listed == {f"{s}.{key}" for s, found in all_keys().items() for key in found}


def test_an_unfinished_grid_says_how_much_is_there(
    result_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = load_simulation(result_file)
    first, second = (p for p in result.points[:2] if isinstance(p, OkSimulation))
    asked = {"queues": [1, 2], "dispatch": ["fallback", "msi"], "affinity": ["spread"]}
    asked |= {"protocol": ["tcp"], "run": {"replications": 7, "duration": "5ms"}}
    few = msgspec.structs.replace(second, replications=second.replications[:1])
    part = msgspec.structs.replace(result, complete=False, points=[first, few], scenario=asked)
    path = tmp_path / "part.json"
    write_json(path, part)
    assert main(["show", str(path)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "not finished: 4 of 28 replications, 4 points; go on with" in text
    assert "up to 3 replications of 5ms" in text
    write_json(path, msgspec.structs.replace(part, scenario={}))
    assert main(["show", str(path)]) == 0
    assert "not finished: 4 replications; go on" in " ".join(capsys.readouterr().out.split())
