# SPDX-License-Identifier: BSD-3-Clause
"""Summaries of ping as sides: every run is a sample, and runs of several kinds are refused."""

from pathlib import Path

import pytest
from compare_data import BENCHMARKS

from ntbbench.compare.readers.detect import load_variant
from ntbbench.core.errors import InputError

FILE = BENCHMARKS / "ping.txt"
EXPECTED = {
    "average": (433e-6, "s"),
    "least": (412e-6, "s"),
    "most": (456e-6, "s"),
    "deviation": (18e-6, "s"),
    "lost_percent": (25, "%"),
}


@pytest.mark.parametrize("runs", [1, 5])
def test_a_summary_is_a_sample(tmp_path: Path, runs: int) -> None:
    (tmp_path / "p.txt").write_text(FILE.read_text() * runs)
    variant = load_variant(str(tmp_path / "p.txt"))
    assert (variant.source, variant.environment) == ("ping", {"latency": "round trip"})
    assert variant.series.keys() == EXPECTED.keys()
    for name, (value, unit) in EXPECTED.items():
        series = variant.series[name]
        assert series.samples is not None
        assert series.samples.tolist() == pytest.approx([value] * runs)
        assert (series.unit, series.better) == (unit, "lower")
        assert series.cautions == (("one-process",) if runs == 1 else ())


def test_a_folder_of_summaries_is_a_side(ntbbench, tmp_path: Path) -> None:
    for side, microseconds in (("before", 433), ("after", 866)):
        (tmp_path / side).mkdir()
        for run in range(6):
            text = FILE.read_text().replace("0.433/0.456", f"0.{microseconds + run}/0.9")
            (tmp_path / side / f"{run}.txt").write_text(text)
    ran = ntbbench("gate", tmp_path / "before", tmp_path / "after", "--format", "json")
    assert ran.code == 1
    assert ran.comparisons["average"]["verdict"] == "regressed"
    assert ran.comparisons["average"]["ratio"] == pytest.approx(868.5 / 435.5)


def test_runs_of_several_tools_are_refused(tmp_path: Path) -> None:
    other = (
        "sockperf: Summary: Latency is 23.237 usec\nsockperf: ====> avg-latency=23.2 (std-dev=5)"
    )
    (tmp_path / "p.txt").write_text(f"{FILE.read_text()}{other}\n")
    with pytest.raises(InputError, match="runs of one tool"):
        load_variant(str(tmp_path / "p.txt"))
