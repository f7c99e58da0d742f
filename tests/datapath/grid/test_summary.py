# SPDX-License-Identifier: BSD-3-Clause
"""The record of `ntbbench simulate`: its JSON, and what its numbers mean."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from simulate_runs import SHORT, Command, saved

from ntbbench.datapath.grid_point import PointSpec
from ntbbench.datapath.records import CPU_KINDS, Counts, OkSimulation
from ntbbench.datapath.replicate import replicate
from ntbbench.datapath.scenario_file import preset, with_settings


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
        for name in Counts.__struct_fields__:
            runs = [run["counts"][name] for run in point["replications"]]
            assert point[name] == sum(runs)
            assert point["estimates"][name]["mean"] == pytest.approx(np.mean(runs))
        assert point["amplification"] == point["schedule_calls"] / point["interrupts"]
        assert point["wakeups_by_cause"]["doorbell"] == point["wakeups"]
        assert point["wakeups"] + point["merged"] == point["schedule_calls"]


def test_a_point_has_the_counts_of_a_replication() -> None:
    """Written in both records: the same names, types and order."""
    fields = {field.name: field.type for field in msgspec.structs.fields(OkSimulation)}
    counts = {field.name: field.type for field in msgspec.structs.fields(Counts)}
    start = list(fields).index("packets")
    assert list(fields.items())[start : start + len(counts)] == list(counts.items())


def test_cpu_time_is_all_the_time_there_is(result_file: Path) -> None:
    for point in saved(result_file)["points"]:
        for run in point["replications"]:
            assert math.fsum(run["cpu_seconds"].values()) == pytest.approx(16 * 5e-3)


def test_throughput_counts_payload(result_file: Path) -> None:
    for point in saved(result_file)["points"]:
        assert point["payload"] == (65480 if point["protocol"] == "udp" else 65458)
        for run in point["replications"]:
            bits = run["counts"]["delivered"] * point["payload"] * 8
            assert run["throughput_bps"] == pytest.approx(bits / 5e-3)


def test_fallback_wakes_every_queue_and_per_vector_one(result_file: Path) -> None:
    for point in saved(result_file)["points"]:
        expected = point["queues"] if point["dispatch"] == "fallback" else 1
        assert point["amplification"] == pytest.approx(expected)


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
        spec = PointSpec(board, queues, dispatch, affinity, "tcp")
        return replicate(spec, 0, "specialised").throughput_bps

    receiver, packet = board.receiver, PointSpec(board, 1, dispatch, "single", "tcp")
    copy = receiver.packet + receiver.byte * packet.size / 1000  # picoseconds
    limit = packet.payload * 8 / copy * 1e12
    for queues in (1, 2, 4):
        assert 0.99 * limit < rate(queues, "single") <= limit
    spread = rate(4, "spread")
    assert spread <= 4 * limit
    if dispatch != "fallback":
        assert spread > 3.95 * limit


def test_what_the_device_cannot_give_stays_in_the_result(tmp_path: Path, ntbbench: Command) -> None:
    path = tmp_path / "result.json"
    words = ("--queues", "2,4", "--dispatch", "msi", "--affinity", "single", "-o", path)
    assert ntbbench("simulate", "--preset", "rcar-s4-spider", *SHORT, *words).code == 0
    two, four = saved(path)["points"]
    assert (two["status"], four["status"]) == ("ok", "unavailable")
    assert four["reason"].startswith("ENOSPC: 4 queues requested, 3 possible")


def test_a_scenario_of_toml(tmp_path: Path, ntbbench: Command) -> None:
    file, path = tmp_path / "board.toml", tmp_path / "result.json"
    file.write_text('queues = [2]\ndispatch = "msi"\n[run]\nreplications = 2\nduration = "2ms"\n')
    assert ntbbench("simulate", file, "-o", path).code == 0
    result = saved(path)
    assert [point["dispatch"] for point in result["points"]] == ["msi", "msi"]
    assert len(result["points"][0]["replications"]) == 2
