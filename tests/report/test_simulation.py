# SPDX-License-Identifier: BSD-3-Clause
"""The report of a simulation: its answer, columns that fit, numbers that are readable."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rendered import rendered
from simulate_runs import ONE, SHORT, Command, loaded

from ntbbench.datapath.grid.estimate import gains
from ntbbench.datapath.records import CPU_KINDS, Estimate, OkSimulation, SimulationResult
from ntbbench.report.quantities import NO_UNIT, RATES, TIMES, Unit, plain, quantity, unit_of
from ntbbench.report.views.simulation_points import Measure, mean, mean_and_interval, spread


def ok_points(result: SimulationResult) -> list[OkSimulation]:
    return [point for point in result.points if isinstance(point, OkSimulation)]


def unfolded(text: str) -> str:
    return " ".join(text.split())


def test_the_first_line_is_the_fastest_point_of_each_protocol(result_file: Path) -> None:
    result = loaded(result_file)
    (first,) = rendered(result, "md").splitlines()[2:3]
    ratios = {point.axes: ratio.mean for point, ratio in gains(ok_points(result))}
    for protocol in ("tcp", "udp"):
        best = max(
            (point for point in ok_points(result) if point.protocol == protocol),
            key=lambda point: point.throughput_bps.mean,
        )
        assert (best.dispatch, best.affinity, best.queues) == ("per-vector", "spread", 2)
        rate = quantity(best.throughput_bps.mean, RATES)
        gain = f"{ratios[best.axes]:.2f} times that of fallback, single"
        assert f"{protocol} is fastest with per-vector, spread, 2 queues: {rate}, {gain}" in first


def test_a_point_that_may_be_as_fast_is_counted(result_file: Path) -> None:
    result = loaded(result_file)
    alike = [point for point in result.points if point.queues == 1 and point.protocol == "tcp"]
    text = unfolded(rendered(msgspec.structs.replace(result, points=alike), "text"))
    assert "(3 other points may be as fast)." in text  # one queue: nothing to mask or to spread


def test_missed_doorbells_come_first(result_file: Path) -> None:
    result = loaded(result_file)
    lossy = msgspec.structs.replace(ok_points(result)[0], missed=3)
    text = rendered(msgspec.structs.replace(result, points=[lossy]), "text")
    assert text.startswith("1 point missed doorbells. tcp is fastest with ")
    assert "Missed or misrouted doorbells" in text


@pytest.mark.parametrize("largest", [99.99, 99_999.0])
def test_the_widest_numbers_split_no_table(result_file: Path, largest: float) -> None:
    """Six columns of CPU time beside the longest dispatch: tiny numbers beside large ones."""
    result = loaded(result_file)
    spent = dict.fromkeys(CPU_KINDS, Estimate(mean=0.595e-6, low=None, high=None))
    spent["idle"] = Estimate(mean=largest, low=None, high=None)
    points = [msgspec.structs.replace(point, cpu_seconds=spent) for point in ok_points(result)]
    text = rendered(msgspec.structs.replace(result, points=points), "text")
    assert max(map(len, text.splitlines())) <= 80
    assert ", continued" not in text


def test_csv_has_a_row_a_point(result_file: Path) -> None:
    result = loaded(result_file)
    rows = list(csv.DictReader(io.StringIO(rendered(result, "csv"))))
    for row, point in zip(rows, ok_points(result), strict=True):
        assert float(row["throughput_bps_mean"]) == point.throughput_bps.mean
        assert point.latency.p999 is not None
        assert float(row["latency_p999_high"]) == point.latency.p999.high
        assert int(row["ring_full_stops"]) == point.ring_full_stops


def test_an_unfinished_grid_says_how_much_is_there(result_file: Path) -> None:
    result = loaded(result_file)
    first, second = ok_points(result)[:2]
    asked: dict[str, Any] = {"queues": [1, 2], "dispatch": ["fallback", "msi"]}
    asked |= {"affinity": ["spread"], "protocol": ["tcp"]}
    asked |= {"run": {"replications": 7, "duration": "5ms"}}
    few = msgspec.structs.replace(second, replications=second.replications[:1])
    part = msgspec.structs.replace(result, complete=False, points=[first, few], scenario=asked)
    text = unfolded(rendered(part, "text"))
    assert "not finished: 4 of 28 replications, 4 points; go on with" in text
    assert "up to 3 replications of 5ms" in text
    part = msgspec.structs.replace(part, scenario={})
    assert "not finished: 4 replications; go on" in unfolded(rendered(part, "text"))


@pytest.mark.parametrize(("count", "said"), [(1, "1 replication a"), (2, "2 replications a")])
def test_few_replications_are_warned_of(
    count: int, said: str, tmp_path: Path, ntbbench: Command
) -> None:
    path = tmp_path / "x.json"
    assert ntbbench("simulate", *ONE, "--replications", count, "-o", path).code == 0
    result = loaded(path)
    assert result.warnings[0].code == "few-replications"
    assert said in rendered(result, "text")
    if count == 1:
        assert ok_points(result)[0].throughput_bps.low is None
        assert " one run " in rendered(result, "text")


def test_where_no_point_can_be_had_nothing_is_said_of_replications(
    tmp_path: Path, ntbbench: Command
) -> None:
    path = tmp_path / "x.json"
    assert ntbbench("simulate", "--queues", 64, *SHORT, "-o", path).code == 0
    text = unfolded(rendered(loaded(path), "text"))
    assert text.startswith("generic: the device can give none of the points: nothing simulated.")
    assert "replication" not in text
    assert "Unavailable points" in text
    assert rendered(loaded(path), "html")


@pytest.mark.parametrize(
    ("means", "units", "name"),
    [
        ([583e6, 1.2e9], RATES, "Gbit/s"),
        ([583e6, None], RATES, "Mbit/s"),
        ([0.5], RATES, "bit/s"),
        ([12e-6, 3e-9], TIMES, "us"),
        ([0.0], TIMES, "ms"),
        ([None], TIMES, "ms"),
    ],
)
def test_the_largest_value_decides_the_unit(
    means: Sequence[float | None], units: tuple[Unit, ...], name: str
) -> None:
    assert unit_of(means, units).name == name


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (19.1772, "19.177"),
        (123456.7, "123457"),
        (1e5, "100000"),
        (0.0, "0"),
        (99999.6, "100000"),
        (1e7, "10000000"),
        (5.33e-05, "0.0000533"),
    ],
)
def test_a_number_has_no_exponent(value: float, shown: str) -> None:
    assert plain(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"), (0.0004, "<.001"), (0.0006, "0.001"), (0.74812, "0.748"), (0.9999, "1.000"),
        (11.14, "11.1"), (99.96, "100"), (999.6, "1000"), (99999.4, "99999"),
    ],
)  # fmt: skip
def test_a_narrow_number_takes_five_characters(value: float, shown: str) -> None:
    found = Measure("", "", "", "", Estimate(mean=value, low=None, high=None))
    ((_, cell),) = mean(found, NO_UNIT)
    assert cell.text == shown
    assert len(shown) <= 5


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Estimate(mean=8.0, low=6.0, high=10.0), "8 +-25.0%"),
        (Estimate(mean=8.0, low=0.0, high=16.0), "8 +-100.0%"),
        (Estimate(mean=8.0, low=0.0, high=30.21), "8 (0..30.2)"),
        (Estimate(mean=4813.8, low=0.0, high=10218.0), "4813.8 (0..10218)"),
        (Estimate(mean=123456.7, low=None, high=None), "123457"),
        (Estimate(mean=8.0, low=None, high=None), "8"),
        (Estimate(mean=0.0, low=0.0, high=0.0), "0"),
        (None, "-"),
    ],
)
def test_a_spread_wider_than_its_mean_is_an_interval(value: Estimate | None, shown: str) -> None:
    ((_, cell),) = spread(Measure("", "", "", "", value), NO_UNIT)
    assert cell.text == shown


@pytest.mark.parametrize(
    ("rate", "cells"),
    [
        ((95_000e6, 81_057e6, 109_100e6), ("95000", "81057-109100")),
        ((583.12e6, 80e6, 1086.3e6), ("583.1", "80.0-1086.3")),
        ((0.5e6, 0.25e6, 0.75e6), ("0.50000", "0.25000-0.75000")),
        ((0.0, 0.0, 0.0), ("0", "0-0")),
        ((999_999e6, 999_998e6, 999_999.2e6), ("999999", "999998-999999")),
    ],
)
def test_a_mean_and_its_interval_have_one_format(
    rate: tuple[float, float, float], cells: tuple[str, str]
) -> None:
    found = Estimate(mean=rate[0], low=rate[1], high=rate[2])
    pairs = mean_and_interval(Measure("", "", "", "", found), RATES[1])
    assert tuple(cell.text for _, cell in pairs) == cells
