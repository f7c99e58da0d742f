# SPDX-License-Identifier: BSD-3-Clause
"""What the datapath benches judge and print of given times; they measure when they are run."""

from pathlib import Path

import pytest

from benches import datapath, datapath_scaling, ns3
from benches.datapath_scaling import Gain, verdict

LONG, SHORT = 0.6e-3, 0.4e-3  # seconds a replication
FAST = Gain([1.90, 1.94], [1.0, 1.0])
SLOW = Gain([1.84, 1.88], [1.0, 1.0])
# Its ratios are 2.2 and 1.7, 1.95 in the mean; all time together gives 1.75.
UNEVEN = Gain([2.2, 17.0], [1.0, 10.0])
NARROW = Gain([1.80, 1.80], [1.0, 1.0])  # an interval of no width
WIDE = Gain([1.80, 1.85], [1.0, 1.0])  # its interval goes beyond 2


@pytest.mark.parametrize(
    ("least", "jobs", "ceiling", "expected"),
    [
        (LONG, FAST, FAST, "met"),
        (LONG, FAST, NARROW, "met"),
        (LONG, SLOW, FAST, "missed"),
        (LONG, SLOW, WIDE, "missed"),
        (LONG, SLOW, NARROW, "machine: 1.80 (1.80 to 1.80)"),
        (LONG, UNEVEN, FAST, "missed"),
        (SHORT, SLOW, FAST, "too short"),
    ],
)
def test_scaling_is_missed_only_where_the_machine_could_reach_it(
    least: float, jobs: Gain, ceiling: Gain, expected: str
) -> None:
    assert verdict(least, jobs, ceiling) == expected


def test_one_round_has_no_interval() -> None:
    assert verdict(LONG, Gain([1.8], [1.0]), Gain([1.9], [1.0])) == "missed"
    assert verdict(LONG, Gain([1.8], [1.0]), Gain([1.8], [1.0])) == "machine: 1.80"


@pytest.mark.parametrize(("jobs", "code"), [(FAST, 0), (SLOW, 1)])
def test_scaling_exits_with_1_where_it_is_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], jobs: Gain, code: int
) -> None:
    monkeypatch.setattr("sys.argv", ["datapath_scaling", "--seconds", "1e-9"])
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(datapath_scaling, "DURATIONS", (1,))
    points = len(datapath_scaling.points(1))
    long = Gain([x * points for x in jobs.single], [x * points for x in jobs.double])
    monkeypatch.setattr(datapath_scaling, "measure", lambda *_: (long, FAST))
    with pytest.raises(SystemExit) as ended:
        datapath_scaling.main()
    assert bool(ended.value.code) == code
    assert ("missed" in capsys.readouterr().out) == code


def test_without_ns3_the_other_engines_are_timed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ns3, "HEADER", tmp_path / "simulator.h")
    assert datapath.installed(tmp_path) == datapath.ENGINES
    assert not list(tmp_path.iterdir())


def test_ratios_are_of_the_specialised_engine() -> None:
    rates = {"specialised": 60e6, "general": 30e6, "heapq": 0.25e6, "ns-3": 8e6}
    *_, row = datapath.table({"a system": rates}).splitlines()
    assert row.split() == ["a", "system", "60.00", "30.00", "0.25", "8.00", "240", "7.5"]
