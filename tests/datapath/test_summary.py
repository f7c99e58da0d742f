# SPDX-License-Identifier: BSD-3-Clause
"""The record of `ntbbench simulate`: its JSON, intervals, quantiles, and what is not defined."""

import csv
import io
import json
import math
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from datapath_systems import latency_bucket_low
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st
from rendered import rendered
from scipy import stats
from simulate_runs import ONE, WHOLE_RUN, compared, loaded, saved, spec_of

from ntbbench.cli.main import main
from ntbbench.core.errors import ExitCode
from ntbbench.datapath.fit import crossing, fit, target_of, throughput, with_byte
from ntbbench.datapath.grid_point import SimulationSpec
from ntbbench.datapath.outcome import latency_bucket
from ntbbench.datapath.records import CPU_KINDS, Estimate, OkSimulation, SimulationCounts
from ntbbench.datapath.replicate import histogram_of, quantiles, replicate
from ntbbench.datapath.scenario_file import preset, with_settings
from ntbbench.datapath.summary import estimate, gains, partly_defined, point_of


@given(st.lists(st.integers(0, 10**12).map(float), min_size=2, max_size=8))
def test_the_interval_is_students(values: list[float]) -> None:
    found = estimate(values)
    if len(set(values)) == 1:
        assert (found.low, found.mean, found.high) == (values[0],) * 3
        return
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert found.high is not None
    assert found.mean == pytest.approx(np.mean(values))
    assert found.high == pytest.approx(high)
    assert found.low == pytest.approx(max(low, 0), abs=1e-6 * found.high)


@given(st.integers(0, 3600 * 10**9 - 1))
def test_the_engines_buckets_are_those_of_the_library(latency_ns: int) -> None:
    library = HdrHistogram(1, 3600 * 10**9, 3)
    low = latency_bucket_low(latency_bucket(latency_ns))
    assert low == library.get_lowest_equivalent_value(latency_ns)
    assert latency_bucket_low(latency_bucket(latency_ns) + 1) - 1 == (
        library.get_highest_equivalent_value(latency_ns)
    )


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=200))
def test_quantiles_are_right_to_three_digits(latencies: list[int]) -> None:
    counted: dict[int, int] = {}
    for latency in latencies:
        bucket = latency_bucket(latency)
        counted[bucket] = counted.get(bucket, 0) + 1
    assert set(quantiles(histogram_of([])).values()) == {None}
    found = quantiles(histogram_of(sorted(counted.items())))
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
        rank = max(math.floor(share * len(latencies) + 0.5), 1)
        exact = sorted(latencies)[rank - 1]
        value = found[name]
        assert value is not None
        assert exact * 1e-9 <= value <= exact * 1e-9 * 1.001 + 1e-9


def test_gains_are_ratios_of_the_same_replication(result_file: Path) -> None:
    points = [p for p in loaded(result_file).points if isinstance(p, OkSimulation)]
    found = gains(points)
    assert len(found) == 2 * 3  # of two queues: all but fallback, single
    for point, ratio in found:
        (base,) = [
            other
            for other in points
            if (other.dispatch, other.affinity) == ("fallback", "single")
            and (other.queues, other.protocol) == (point.queues, point.protocol)
        ]
        pairs = zip(point.replications, base.replications, strict=True)
        ratios = [run.throughput_bps / under.throughput_bps for run, under in pairs]
        assert ratio.mean == pytest.approx(np.mean(ratios))
        assert ratio.low is not None
        assert ratio.low <= ratio.mean


def test_the_json_is_the_contract(result_file: Path) -> None:
    result = saved(result_file)
    assert result["schema"] == "ntbbench.simulation/1"
    assert result["complete"] is True
    points = result["points"]
    keys = ("queues", "dispatch", "affinity", "protocol")
    axes = [tuple(point[key] for key in keys) for point in points]
    assert axes == [
        (queues, dispatch, affinity, protocol)
        for protocol in ("tcp", "udp")
        for dispatch in ("fallback", "per-vector")
        for affinity in ("single", "spread")
        for queues in (1, 2)
    ]
    for point in points:
        latency = point["latency"]
        estimates = [point["throughput_bps"], *(latency[q] for q in ("p50", "p99", "p999"))]
        estimates += point["cpu_seconds"].values()
        for value in estimates:
            assert value["low"] <= value["mean"] <= value["high"]
        assert set(point["cpu_seconds"]) == set(CPU_KINDS)
        for name in SimulationCounts.__struct_fields__:
            runs = [run["counts"][name] for run in point["replications"]]
            assert point[name] == sum(runs)
            assert point["estimates"][name]["mean"] == pytest.approx(np.mean(runs))
        assert point["amplification"] == point["schedule_calls"] / point["interrupts"]
        assert point["wakeups_by_cause"]["doorbell"] == point["wakeups"]
        assert point["wakeups"] + point["merged"] == point["schedule_calls"]
        woken = point["queues"] if point["dispatch"] == "fallback" else 1
        assert point["amplification"] == pytest.approx(woken)
        assert point["payload"] == (65480 if point["protocol"] == "udp" else 65458)
        for run in point["replications"]:
            bits = run["counts"]["delivered"] * point["payload"] * 8
            assert run["throughput_bps"] == pytest.approx(bits / 5e-3)
            assert math.fsum(run["cpu_seconds"].values()) == pytest.approx(16 * 5e-3)


def test_a_point_has_the_counts_of_a_replication() -> None:
    """Written in both records: the same names, types and order."""
    fields = {field.name: field.type for field in msgspec.structs.fields(OkSimulation)}
    counts = {field.name: field.type for field in msgspec.structs.fields(SimulationCounts)}
    start = list(fields).index("packets")
    assert list(fields.items())[start : start + len(counts)] == list(counts.items())


def test_one_queue_is_the_same_in_every_dispatch(result_file: Path) -> None:
    points = [p for p in saved(result_file)["points"] if p["queues"] == 1]
    for point in points:
        (twin,) = [
            other
            for other in points
            if (other["affinity"], other["protocol"]) == (point["affinity"], point["protocol"])
            and other["dispatch"] == "fallback"
        ]
        assert point["replications"] == twin["replications"]


@pytest.mark.parametrize("dispatch", ["fallback", "per-vector", "msi"])
def test_one_cpu_copies_no_faster_with_more_queues(dispatch: str) -> None:
    """And spread over CPUs, with a queue a flow, the queues are all copied at once."""
    board = with_settings(
        preset("rcar-s4-spider"), ["placement=balanced", "receiver.spread=0", "mw_count=8"]
    )

    def rate(queues: int, affinity: str) -> float:
        spec = SimulationSpec(board, queues, dispatch, affinity, "tcp")
        return replicate(spec, 0, "specialised").throughput_bps

    receiver, packet = board.receiver, SimulationSpec(board, 1, dispatch, "single", "tcp")
    copy = receiver.packet + receiver.byte * packet.size / 1000  # picoseconds
    limit = packet.payload * 8 / copy * 1e12
    for queues in (1, 2, 4):
        assert 0.99 * limit < rate(queues, "single") <= limit
    spread = rate(4, "spread")
    assert spread <= 4 * limit
    if dispatch != "fallback":
        assert spread > 3.95 * limit


@given(cost=st.integers(1, 10**9), fixed=st.integers(1, 10**12), below=st.floats(0, 0.9))
def test_a_crossing_is_found(cost: int, fixed: int, below: float) -> None:
    """A rate that stays flat first, as where the sender is the slower side."""

    def rate(byte: int) -> float:
        return 1e15 / max(fixed + byte * 65_000, fixed / (1 - below))

    wanted = rate(cost)
    found = crossing(rate, wanted, rate(0), 10**11)
    assert rate(found) == pytest.approx(wanted, rel=3e-4) or rate(found + 1) < wanted


def test_a_fit_recovers_the_cost_that_made_the_throughput() -> None:
    scenario = with_settings(preset("generic"), [*WHOLE_RUN, "warmup=10ms", "duration=20ms"])
    for byte in (300_000, 2_000_000):
        made = throughput(with_byte(scenario, "tcp", byte), "tcp", byte, "specialised")
        found = fit(scenario, "tcp", target_of([made], 0.01), "specialised")
        assert found.high_fs is not None
        assert found.low_fs < byte < found.high_fs
        assert found.byte_fs == pytest.approx(byte, rel=0.01)


def test_targets() -> None:
    one = target_of([100.0], 0.02)
    assert (one.low, one.mean, one.high) == pytest.approx((98, 100, 102))
    several = target_of([98.0, 100.0, 102.0], 0.02)
    assert several.mean == 100
    assert several.high - 100 == pytest.approx(4.302653 * 2 / 3**0.5)  # t of 2 degrees


LATE = ("--warmup", "0s", "--set", "traffic.start=0")


@pytest.fixture(scope="module")
def uncounted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No interrupt at all: the poll comes after the end; and one in some replications alone."""
    path = tmp_path_factory.mktemp("uncounted") / "result.json"
    words = [*ONE, *LATE, "--set", "link.doorbell=poll"]
    assert main(["simulate", *words, "-o", str(path)]) == 0
    return path


def test_a_ratio_of_nothing_is_null_and_a_dash(uncounted: Path) -> None:
    (point,) = saved(uncounted)["points"]
    assert point["interrupts"] == point["wakeups"] == 0 < point["rings"]
    for name in ("amplification", "effective_amplification", "spurious_ratio"):
        assert point[name] is None
        assert point["estimates"][name] is None
    assert point["delivered"] == 0
    assert [point["latency"][name] for name in ("p50", "p99", "p999")] == [None, None, None]
    (row,) = csv.DictReader(io.StringIO(rendered(loaded(uncounted), "csv")))
    assert row["amplification"] == row["amplification_a_replication_mean"] == ""


@pytest.fixture(scope="module")
def counted(uncounted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with eight replications, each with interrupts and packets."""
    path = tmp_path_factory.mktemp("counted") / "result.json"
    words = ["--resume", str(uncounted), "--replications", "8", "-o", str(path)]
    assert main(["simulate", *words]) == 0
    result = saved(path)
    runs = result["points"][0]["replications"]
    for number, run in enumerate(runs):
        run["counts"] |= {"interrupts": 4, "schedule_calls": 8, "wakeups": 6, "spurious_wakeups": 3}
        run.update(dict.fromkeys(("p50", "p99", "p999"), (1 + number / 100) * 0.001))
    path.write_text(json.dumps(result))
    return path


JSON = ("--format", "json")
UNDEFINED = {
    "latency_p50", "latency_p99", "latency_p999",
    "amplification", "effective_amplification", "spurious_ratio",
}  # fmt: skip


def test_a_metric_that_one_side_lost_is_missing(uncounted, counted, ntbbench) -> None:
    """No latency and no ratio is not 0, the best there is, nor a reason to say nothing."""
    for sides, lacks in (((uncounted, counted), "base"), ((counted, uncounted), "candidate")):
        code, found = compared(ntbbench("gate", *sides, *JSON))
        assert code == ExitCode.MISSING
        assert {name for name, c in found.items() if c.get("missing") == lacks} == UNDEFINED
        assert "missing" not in found["throughput"]
        text = ntbbench("compare", *sides).out
        assert re.search(r"latency_p99.*missing|missing.*latency_p99", text)
    _, found = compared(ntbbench("compare", uncounted, uncounted, *JSON))
    assert not found.keys() & UNDEFINED  # where neither has it, there is nothing to say


def test_one_run_without_a_value_hides_no_regression(counted, tmp_path, ntbbench) -> None:
    """A latency and an amplification three times as high, and one replication with neither."""
    worse = tmp_path / "worse.json"
    result = saved(counted)
    runs = result["points"][0]["replications"]
    for run in runs:
        run["counts"] |= {"schedule_calls": 24}
        run |= {name: 3 * run[name] for name in ("p50", "p99", "p999")}
    runs[2] |= dict.fromkeys(("p50", "p99", "p999"))
    runs[2]["counts"] |= dict.fromkeys(("interrupts", "schedule_calls", "wakeups"), 0)
    worse.write_text(json.dumps(result))
    words = (counted, worse, "--correction", "none", *JSON)
    code, found = compared(ntbbench("gate", *words))
    assert code == ExitCode.FINDING
    for name in ("latency_p50", "latency_p99", "amplification"):
        assert (found[name]["verdict"], found[name]["n_candidate"]) == ("regressed", 7)
        (told,) = [w for w in found[name]["warnings"] if w["code"] == "undefined-samples"]
        assert told["message"].endswith(": candidate 7 of 8 replications")
    _, found = compared(ntbbench("compare", *words, "--paired"))
    assert found["latency_p50"]["n_base"] == found["latency_p50"]["n_candidate"] == 7
    assert found["latency_p50"]["ratio_low"] == pytest.approx(3)  # of the same replications
    assert found["throughput"]["n_base"] == 8


def test_an_estimate_is_over_the_replications_that_have_it(counted: Path) -> None:
    (point,) = loaded(counted).points
    assert isinstance(point, OkSimulation)
    one, *others = point.replications
    counts = msgspec.structs.replace(one.counts, interrupts=0, schedule_calls=0, wakeups=0)
    none = msgspec.structs.replace(one, counts=counts, p50=None, p99=None, p999=None)
    found = point_of(spec_of(), [none, *others])
    assert isinstance(found, OkSimulation)
    assert found.latency.p50 == estimate([run.p50 for run in others if run.p50 is not None])
    assert found.estimates["amplification"] == Estimate(mean=2.0, low=2.0, high=2.0)
    (told,) = partly_defined([found])
    assert told.message == (
        "means over fewer than all replications: tcp fallback spread Q=2: latency 7 of 8, "
        "amplification 7 of 8, spurious ratio 7 of 8"
    )
    nothing = point_of(spec_of(), [none])
    assert isinstance(nothing, OkSimulation)
    assert nothing.latency.p50 is nothing.estimates["amplification"] is None
    assert partly_defined([nothing, point]) == []


def test_what_delivers_nothing_is_warned_of_with_its_cause(uncounted, tmp_path, ntbbench) -> None:
    path, nothing = tmp_path / "late.json", "no packet was delivered; "
    one, other = "tcp fallback single Q=1", "tcp msi single Q=1"
    words = ("simulate", *ONE, "--duration", "10us", *LATE, "-o", path)
    late = f"{one}: {nothing}traffic.start 500ms is not before warmup + duration"
    assert late in " ".join(ntbbench(*words, "--set", "traffic.start=500ms").out.split())
    assert ntbbench(*words, "--dispatch", "fallback,msi").code == 0
    for file, message in (
        (uncounted, f"{one}: {nothing}no poll came between the first doorbell and the end"),
        (path, f"{one}, {other}: {nothing}the run ended before a packet was through"),
    ):
        (told,) = [w for w in saved(file)["warnings"] if w["code"] == "nothing-delivered"]
        assert told["message"] == message
