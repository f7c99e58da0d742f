# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench simulate`: the grid, its records and formats, interrupted runs, show and compare."""

import csv
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ntbbench.analyse.gains import gains
from ntbbench.analyse.sources import load_variant
from ntbbench.cli import progress as cli_progress
from ntbbench.cli import simulate as cli_simulate
from ntbbench.cli.main import main
from ntbbench.cli.progress import SAME_REQUEST
from ntbbench.errors import ExitCode, InputError
from ntbbench.measure.files import write_json
from ntbbench.measure.simulation import backends
from ntbbench.measure.simulation import grid as grids
from ntbbench.measure.simulation import replicate as replicating
from ntbbench.measure.simulation.cautions import partly_defined
from ntbbench.measure.simulation.estimate import estimate
from ntbbench.measure.simulation.grid import Found, Grid, Hooks, WorkersLost, run_grid
from ntbbench.measure.simulation.histogram import histogram_of, quantiles
from ntbbench.measure.simulation.replicate import (
    Chunk,
    replicate,
    run_chunk,
    run_packed,
)
from ntbbench.measure.simulation.result import load_simulation
from ntbbench.measure.simulation.summary import point_of
from ntbbench.measure.simulation_records import (
    CPU_KINDS,
    Counts,
    Estimate,
    OkSimulation,
    SimulationResult,
)
from ntbbench.model.datapath.outcome import latency_bucket, latency_bucket_low
from ntbbench.model.simulation.geometry import Ring
from ntbbench.model.simulation.load import all_keys, preset, with_settings
from ntbbench.model.simulation.point import PointSpec, expand
from ntbbench.report.simulation import FORMATS, tables
from ntbbench.report.simulation_cells import rate_cells, spread

SHORT = ["--duration", "5ms", "--warmup", "1ms", "--replications", "3", "--jobs", "1"]
SMALL = ["--queues", "1,2", "--dispatch", "fallback,per-vector", *SHORT]
SETTINGS = ["duration=5ms", "warmup=1ms", "traffic.flows=4", "receiver.cpus=4"]


def spec_of(*settings: str, queues: int = 2, dispatch: str = "fallback") -> PointSpec:
    scenario = with_settings(preset("generic"), [*SETTINGS, *settings])
    return PointSpec(scenario, queues, dispatch, "spread", "tcp")


def saved(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


@pytest.fixture(scope="module")
def result_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulate") / "result.json"
    words = ["--protocol", "tcp,udp", "--affinity", "single,spread", "-o", str(path)]
    assert main(["simulate", *SMALL, *words]) == 0
    return path


# The record.


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


def test_a_single_replication_has_no_interval(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    assert main(["simulate", *SMALL, "--replications", "1", "-o", str(path)]) == 0
    result = saved(path)
    assert result["points"][0]["throughput_bps"]["low"] is None
    assert result["warnings"][0]["code"] == "few-replications"


def test_what_the_device_cannot_give_stays_in_the_result(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    words = ["--preset", "rcar-s4-spider", "--queues", "2,4", "--dispatch", "msi", *SHORT]
    assert main(["simulate", *words, "--affinity", "single", "-o", str(path)]) == 0
    two, four = saved(path)["points"]
    assert (two["status"], four["status"]) == ("ok", "unavailable")
    assert four["reason"].startswith("ENOSPC: 4 queues requested, 3 possible")


# Numbers.


@settings(deadline=None)  # the machine is shared
@given(st.lists(st.integers(0, 10**12).map(float), min_size=2, max_size=8))
def test_the_interval_is_students(values: list[float]) -> None:
    found = estimate(values)
    if len(set(values)) == 1:
        assert (found.low, found.mean, found.high) == (values[0],) * 3
        return
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert found.mean == pytest.approx(np.mean(values))
    assert found.high == pytest.approx(high)
    assert found.low == pytest.approx(max(low, 0), abs=1e-6 * found.high)


@settings(deadline=None)  # the machine is shared
@given(st.integers(0, 3600 * 10**9 - 1))
def test_the_engines_buckets_are_those_of_the_library(latency_ns: int) -> None:
    library = HdrHistogram(1, 3600 * 10**9, 3)
    low = latency_bucket_low(latency_bucket(latency_ns))
    assert low == library.get_lowest_equivalent_value(latency_ns)
    assert latency_bucket_low(latency_bucket(latency_ns) + 1) - 1 == (
        library.get_highest_equivalent_value(latency_ns)
    )


@settings(deadline=None)  # the machine is shared
@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=200))
def test_quantiles_are_right_to_three_digits(latencies: list[int]) -> None:
    counted: dict[int, int] = {}
    for latency in latencies:
        bucket = latency_bucket(latency)
        counted[bucket] = counted.get(bucket, 0) + 1
    found = quantiles(histogram_of(sorted(counted.items())))
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
        rank = max(math.floor(share * len(latencies) + 0.5), 1)
        exact = sorted(latencies)[rank - 1]
        assert exact * 1e-9 <= found[name] <= exact * 1e-9 * 1.001 + 1e-9


def test_no_packet_no_latency() -> None:
    assert set(quantiles(histogram_of([])).values()) == {None}


# The grid.


def found_on(place: backends.Place, plan: Grid, hooks: Hooks | None = None) -> Found:
    found: Found = [{} for _ in plan.specs]
    run_grid(plan, found, place, hooks or Hooks())
    return found


def small_grid(replications: int = 5) -> Grid:
    scenario = msgspec.structs.replace(spec_of().scenario, queues=(1, 2), dispatch=("fallback",))
    return Grid(expand(scenario), replications, "specialised")


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_any_number_of_workers_gives_the_same(jobs: int) -> None:
    plan = small_grid()
    expected = [{n: replicate(spec, n, "specialised") for n in range(5)} for spec in plan.specs]
    with backends.local(jobs, 20) as place:
        assert place.slots == jobs
        assert found_on(place, plan) == expected


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_system_that_the_engines_refuse_is_one_line(jobs: int) -> None:
    """The error crosses from the worker that met it, whole."""
    scenario = with_settings(preset("generic"), ["length=1MiB", "sender.byte=10us"])
    plan = Grid([PointSpec(scenario, 1, "msi", "single", "tcp")], 3, "specialised")
    plan.specs[0].__dict__["rings"] = (Ring(2 << 20, 15),)  # frames that hold such packets
    with (
        backends.local(jobs, 3) as place,
        pytest.raises(InputError, match=r"costs\.send: .*: at most a second a packet"),
    ):
        found_on(place, plan)


def test_chunks_are_replications_one_by_one() -> None:
    spec = spec_of()
    together = run_chunk(Chunk(0, spec, (3, 1), "reference"))
    assert together == [replicate(spec, 3, "reference"), replicate(spec, 1, "reference")]


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_worker_leaves_of_its_chunk_is_handed_out_again(
    jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = small_grid(40)
    with backends.local(1, 1) as place:
        expected = found_on(place, plan)
    if jobs == 1:
        monkeypatch.setattr(replicating, "CHUNK_SECONDS", 0.0)
        assert len(run_chunk(Chunk(0, plan.specs[0], (3, 1, 2), "specialised"))) == 1
    else:  # the workers are processes of their own: leave something in their place
        monkeypatch.setattr(grids, "run_packed", first_of_chunk)
    with backends.local(jobs, 2) as place:
        assert found_on(place, plan) == expected


def first_of_chunk(chunk: Chunk) -> bytes:
    return run_packed(replace(chunk, replications=chunk.replications[:1]))


def test_an_end_waits_for_what_was_handed_out() -> None:
    """And cancels none of it: Python 3.11's pool hangs where a worker dies beside such a future."""
    plan, handed = small_grid(40), []
    with ThreadPoolExecutor(1) as executor:  # one begins, the others wait

        def submit(task: Any, chunk: Chunk) -> "Future[Any]":
            handed.append(chunk.replications)
            return executor.submit(task, chunk)

        noted = SimpleNamespace(submit=submit)
        place = backends.Place(cast(Executor, noted), 2)
        found = found_on(place, plan, Hooks(stop=lambda: bool(handed)))
    assert len(handed) == place.window
    assert sum(map(len, found)) == sum(map(len, handed)) < plan.total


def test_who_insists_waits_for_nothing() -> None:
    """The task never ends; what was found before stays."""
    place = backends.Place(cast(Executor, SimpleNamespace(submit=lambda *_: Future())), 2)
    plan, asked = small_grid(), iter([False, False])

    def stop() -> bool:
        for answer in asked:
            return answer
        raise KeyboardInterrupt

    found: Found = [{0: replicate(plan.specs[0], 0, "specialised")}, {}, {}, {}]
    with pytest.raises(KeyboardInterrupt):
        run_grid(plan, found, place, Hooks(stop=stop))
    assert [len(have) for have in found] == [1, 0, 0, 0]


def blocked_signals() -> set[signal.Signals]:
    return {signal.Signals(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])}


def test_workers_never_see_a_sigint_to_the_group() -> None:
    """It is blocked in what forks them, so from their first instruction; and here it is not."""
    before = blocked_signals()
    with backends.local(2, 2) as place:
        assert signal.SIGINT in place.executor.submit(blocked_signals).result()
        (worker, *_) = active_children()
        parent = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[1]
        (mask,) = re.findall(r"SigBlk:\s*(\w+)", Path(f"/proc/{parent}/status").read_text())
        assert int(parent) != os.getpid()
        assert int(mask, 16) >> (signal.SIGINT - 1) & 1
    assert blocked_signals() == before


def test_a_killed_worker_loses_only_what_it_ran() -> None:
    plan = small_grid(1000)
    found: Found = [{} for _ in plan.specs]

    def kill(_: str, done: int, total: int) -> None:
        os.kill(active_children()[0].pid or 0, signal.SIGKILL)

    with backends.local(2, 4000) as place, pytest.raises(WorkersLost, match="ended from outside"):
        run_grid(plan, found, place, Hooks(progress=kill))
    assert 0 < sum(map(len, found)) < 4000


def test_what_was_found_before_a_worker_died_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, whole = tmp_path / "result.json", tmp_path / "whole.json"

    def dies(plan: Grid, found: Found, place: backends.Place, hooks: Hooks) -> None:
        found[0][1] = replicate(plan.specs[0], 1, "specialised")
        raise WorkersLost("a worker process was ended from outside;")

    with monkeypatch.context() as patched:
        patched.setattr("ntbbench.cli.simulate.run_grid", dies)
        assert main(["simulate", *SMALL, "-o", str(path)]) == 70
    (line,) = capsys.readouterr().err.splitlines()
    assert f"go on with: ntbbench simulate --resume {path}" in line
    assert [len(point["replications"]) for point in saved(path)["points"]] == [1]
    assert main(["simulate", "--resume", str(path)]) == 0
    assert main(["simulate", *SMALL, "-o", str(whole)]) == 0
    assert saved(path)["points"] == saved(whole)["points"]


def test_an_end_on_the_way_keeps_what_is_done() -> None:
    plan = small_grid(40)
    told: list[int] = []
    hooks = Hooks(progress=lambda _, done, total: told.append(done), stop=lambda: len(told) > 0)
    with backends.local(1, 1) as place:
        found = found_on(place, plan, hooks)
        assert 0 < sum(map(len, found)) < 160
        run_grid(plan, found, place, Hooks())
        assert found == found_on(place, plan)


def test_it_is_saved_now_and_then() -> None:
    now = iter(range(0, 10_000, 20))
    kept: list[int] = []
    hooks = Hooks(save=lambda found: kept.append(sum(map(len, found))), clock=lambda: next(now))
    with backends.local(1, 1) as place:
        found_on(place, small_grid(40), hooks)
    assert kept
    assert kept == sorted(kept)


def test_ctrl_c_and_resume(tmp_path: Path) -> None:
    """A real process, a real SIGINT: exit 130, a readable result, and the rest by --resume."""
    path, whole = tmp_path / "result.json", tmp_path / "whole.json"
    command = [sys.executable, "-m", "ntbbench.cli.main", "simulate", *SMALL]
    command += ["--replications", "200", "--jobs", "2", "--engine", "reference"]  # minutes
    started = subprocess.Popen(
        [*command, "-o", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children")
    while started.poll() is None and not children.read_text():
        time.sleep(0.05)  # the workers are started once SIGINT has its handler
    time.sleep(2)
    os.kill(started.pid, signal.SIGINT)
    _, error = started.communicate(timeout=60)
    assert started.returncode == 130, error
    assert "go on with: ntbbench simulate --resume" in error
    part = saved(path)
    assert part["complete"] is False
    done = sum(len(point["replications"]) for point in part["points"])
    assert 0 < done < 8 * 200
    assert main(["simulate", "--resume", str(path)]) == 0  # with the fast engine
    assert main(["simulate", *SMALL, "--replications", "200", "-o", str(whole)]) == 0
    assert saved(path)["points"] == saved(whole)["points"]


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    command = [sys.executable, "-m", "ntbbench.cli.main", "simulate", "--engine", "reference"]
    command += ["--duration", "3000s", "--jobs", "2", "-o", str(path)]  # days
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children")
    while started.poll() is None and not children.read_text():
        time.sleep(0.05)
    for _ in range(2):
        time.sleep(3)
        os.kill(started.pid, signal.SIGINT)
    _, error = started.communicate(timeout=60)
    assert started.returncode == 130, error
    assert "go on with: ntbbench simulate --resume" in error
    assert saved(path)["points"] == []


def test_a_second_ctrl_c_ends_what_runs_in_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There no lock is held, and nobody asks before the replication is done. One more changes
    nothing while the result is written.
    """
    path, begun, now = tmp_path / "result.json", [], [0]

    def interrupted_write(output: Path, result: SimulationResult) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        write_json(output, result)
        os.kill(os.getpid(), signal.SIGTERM)

    def interrupted(chunk: Chunk) -> bytes:
        begun.append(chunk)
        if len(begun) == 2:
            os.kill(os.getpid(), signal.SIGINT)
            now.append(2 * SAME_REQUEST)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("the second one raised nothing")
        return run_packed(chunk)

    monkeypatch.setattr(cli_progress, "monotonic", lambda: now[-1])
    monkeypatch.setattr(grids, "run_packed", interrupted)
    monkeypatch.setattr(cli_simulate, "write_json", interrupted_write)
    assert main(["simulate", *SMALL, "-o", str(path)]) == 130
    assert [len(point["replications"]) for point in saved(path)["points"]] == [3]


def test_sigterm_keeps_what_is_finished_and_leaves_no_worker(tmp_path: Path) -> None:
    """As a batch scheduler sends it: to every process of the group."""
    path = tmp_path / "result.json"
    command = [sys.executable, "-m", "ntbbench.cli.main", "simulate", *SMALL]
    command += ["--replications", "10000", "--jobs", "2", "-o", str(path)]  # minutes
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    workers = wait_for_workers(started)
    os.killpg(started.pid, signal.SIGTERM)
    _, error = started.communicate(timeout=60)
    assert started.returncode == 143, error
    assert "go on with: ntbbench simulate --resume" in error
    assert saved(path)["complete"] is False
    wait_for_end(workers)


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ntbbench.cli.main", "simulate", *SMALL]
    command += ["--replications", "10000", "--jobs", "2", "-o", str(tmp_path / "result.json")]
    started = subprocess.Popen(command, stderr=subprocess.PIPE)
    workers = wait_for_workers(started)
    started.kill()
    started.communicate(timeout=60)
    wait_for_end(workers)


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def wait_for_workers(parent: "subprocess.Popen[Any]") -> list[int]:
    """Return two workers, which the forkserver started, once they are there."""
    workers: list[int] = []
    while len(workers) < 2:
        assert parent.poll() is None
        time.sleep(0.05)
        workers = [worker for helper in children(parent.pid) for worker in children(helper)]
    return workers


def wait_for_end(processes: list[int]) -> None:
    """Wait until none of them runs: a minute at most."""
    deadline = time.monotonic() + 60
    for pid in processes:
        status = Path(f"/proc/{pid}/stat")
        while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline, f"{pid} goes on"
            time.sleep(0.05)


def test_replications_can_be_added(tmp_path: Path) -> None:
    path, whole = tmp_path / "result.json", tmp_path / "whole.json"
    words = ["simulate", "--queues", "1", "--affinity", "single", *SHORT]
    assert main([*words, "-o", str(path)]) == 0
    assert main(["simulate", "--resume", str(path), "--replications", "5"]) == 0
    assert main([*words, "--replications", "5", "-o", str(whole)]) == 0
    assert saved(path)["points"] == saved(whole)["points"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed", "2"], "run.seed: 2: 1, as in the file that is resumed"),
        (["--set", "receiver.hardirq=9us"], "receiver.hardirq: '9us': '1us'"),
        (["--queues", "1"], "queues: [1]: [1, 2]"),
        (["--replications", "2"], "run.replications: 2: at least 3"),  # it would delete the third
    ],
)
def test_only_the_same_scenario_goes_on(
    words: list[str], said: str, result_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = result_file.read_bytes()
    assert main(["simulate", "--resume", str(result_file), *words]) == 2
    assert said in capsys.readouterr().err
    assert result_file.read_bytes() == before


# What is not defined.


@pytest.fixture(scope="module")
def uncounted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No interrupt at all: the poll comes after the end; and one in some replications alone."""
    path = tmp_path_factory.mktemp("uncounted") / "result.json"
    words = ["--queues", "1", "--affinity", "single", "--dispatch", "fallback", *SHORT]
    words += ["--warmup", "0s", "--set", "link.doorbell=poll", "--set", "traffic.start=0"]
    assert main(["simulate", *words, "-o", str(path)]) == 0
    return path


def test_a_ratio_of_nothing_is_null_and_a_dash(
    uncounted: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (point,) = saved(uncounted)["points"]
    assert point["interrupts"] == point["wakeups"] == 0 < point["rings"]
    for name in ("amplification", "effective_amplification", "spurious_ratio"):
        assert point[name] is None
        assert point["estimates"][name] is None
    assert point["delivered"] == 0
    assert [point["latency"][name] for name in ("p50", "p99", "p999")] == [None, None, None]
    shown = {}
    for form in ("text", "md", "csv"):
        assert main(["show", str(uncounted), "--format", form]) == 0
        shown[form] = capsys.readouterr().out
    assert re.search(r"single +1 +- +- +- +0 ", shown["text"])
    assert re.search(r"single +\| +1 +\| - +\| - +\| - +\| 0 ", shown["md"])
    (row,) = csv.DictReader(io.StringIO(shown["csv"]))
    assert row["amplification"] == row["amplification_a_replication_mean"] == ""
    assert row["latency_p50_mean"] == ""
    page = tmp_path / "page.html"
    assert main(["show", str(uncounted), "--html", str(page)]) == 0
    assert "amplification -, effective -" in page.read_text()
    assert isinstance(load_simulation(uncounted).points[0], OkSimulation)


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


UNDEFINED = {
    "latency_p50", "latency_p99", "latency_p999",
    "amplification", "effective_amplification", "spurious_ratio",
}  # fmt: skip


def compared(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main([*words, "--format", "json"])
    report = json.loads(capsys.readouterr().out)
    return code, {c["metric"].rpartition(":")[2]: c for c in report["comparisons"]}


def test_a_metric_that_one_side_lost_is_missing(
    uncounted: Path, counted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No latency and no ratio is not 0, the best there is, nor a reason to say nothing."""
    for base, candidate, lacks in (
        (uncounted, counted, "base"),
        (counted, uncounted, "candidate"),
    ):
        words = [str(base), str(candidate)]
        code, found = compared(["gate", *words], capsys)
        assert code == ExitCode.MISSING
        assert {name for name, c in found.items() if c.get("missing") == lacks} == UNDEFINED
        assert "missing" not in found["throughput"]
        main(["compare", *words])
        assert re.search(r"latency_p99.*missing|missing.*latency_p99", capsys.readouterr().out)
    _, found = compared(["compare", str(uncounted), str(uncounted)], capsys)
    assert not found.keys() & UNDEFINED  # where neither has it, there is nothing to say


def test_one_run_without_a_value_hides_no_regression(
    counted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
    words = ["--correction", "none"]
    code, found = compared(["gate", str(counted), str(worse), *words], capsys)
    assert code == ExitCode.FINDING
    for name in ("latency_p50", "latency_p99", "amplification"):
        assert (found[name]["verdict"], found[name]["n_candidate"]) == ("regressed", 7)
        (told,) = [w for w in found[name]["warnings"] if w["code"] == "undefined-samples"]
        assert told["message"].endswith(": candidate 7 of 8 runs")
    _, found = compared(["compare", str(counted), str(worse), *words, "--paired"], capsys)
    assert found["latency_p50"]["n_base"] == found["latency_p50"]["n_candidate"] == 7
    assert found["latency_p50"]["ratio_low"] == pytest.approx(3)  # of the same replications
    assert found["throughput"]["n_base"] == 8


def test_an_estimate_is_over_the_replications_that_have_it(counted: Path) -> None:
    (point,) = load_simulation(counted).points
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


def test_what_delivers_nothing_is_told_with_its_cause(
    uncounted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (told,) = [w for w in saved(uncounted)["warnings"] if w["code"] == "nothing-delivered"]
    name = "tcp fallback single Q=1: no packet was delivered; "
    assert told["message"] == f"{name}no poll came between the first doorbell and the end"
    path = tmp_path / "late.json"
    words = ["--queues", "1", "--affinity", "single", "--dispatch", "fallback", *SHORT]
    words += ["--duration", "10us", "--warmup", "0", "--set", "traffic.start=500ms"]
    assert main(["simulate", *words, "-o", str(path)]) == 0
    text = capsys.readouterr().out
    late = f"{name}traffic.start 500ms is not before warmup + duration"
    assert saved(path)["warnings"][-1]["message"] == late
    assert late in " ".join(text.split())
    short = [*words[:-2], "--set", "traffic.start=0", "--dispatch", "fallback,msi", "-o", str(path)]
    assert main(["simulate", *short]) == 0
    assert saved(path)["warnings"][-1]["message"] == (
        "tcp fallback single Q=1, tcp msi single Q=1: no packet was delivered; the run ended "
        "before a packet was through"
    )


def test_the_dash_is_told_under_each_table_that_has_one(
    uncounted: Path, result_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    legend = "-: not defined, for no replication"
    capsys.readouterr()
    page = tmp_path / "page.html"
    assert main(["show", str(uncounted), "--html", str(page)]) == 0
    assert capsys.readouterr().out.count(legend) == 2
    assert page.read_text().count(legend) == 1
    for file, dashed in ((uncounted, 2), (result_file, 1)):  # one queue of UDP waits for a wakeup
        found = tables(load_simulation(file))
        told = [any(note.startswith(legend) for note in table.notes) for table in found]
        assert told == [any("-" in row for row in table.rows) for table in found]
        assert sum(told) == dashed


@pytest.mark.parametrize(
    ("rate", "cells"),
    [
        ((95_000e6, 81_057e6, 109_100e6), ("95000", "81057-109100")),
        ((583.12e6, 80e6, 1086.3e6), ("583.1", "80.0-1086.3")),
        ((0.5e6, 0.25e6, 0.75e6), ("0.5000", "0.2500-0.7500")),
        ((0.0, 0.0, 0.0), ("0", "0-0")),
        ((999_999e6, 999_998e6, 999_999.2e6), ("999999", "999998-999999")),
    ],
)
def test_a_range_of_rates_has_one_format(
    rate: tuple[float, float, float], cells: tuple[str, str]
) -> None:
    mean, low, high = rate
    found = rate_cells(Estimate(mean=mean, low=low, high=high))
    assert found == cells
    assert len(found[1]) <= len("580.01-583.12")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Estimate(mean=8.0, low=6.0, high=10.0), "8 +-25.0%"),
        (Estimate(mean=8.0, low=0.0, high=16.0), "8 +-100.0%"),
        (Estimate(mean=8.0, low=0.0, high=30.21), "8 (0..30.2)"),
        (Estimate(mean=8.0, low=None, high=None), "8"),
        (Estimate(mean=0.0, low=0.0, high=0.0), "0"),
        (None, "-"),
    ],
)
def test_a_spread_wider_than_its_mean_is_an_interval(value: Estimate | None, shown: str) -> None:
    assert spread(value) == shown


# Formats, show, compare, gate.


def test_text_is_ascii_of_80_columns(result_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(result_file)]) == 0
    text = capsys.readouterr().out
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80
    for word in ("Mbit/s", "p99.9", "hardirq", "spin", "repost", "Simulated, not measured"):
        assert word in text


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


def test_a_result_gates_against_itself(
    result_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gate", str(result_file), str(result_file)]) == 0
    assert "0 regressed" in capsys.readouterr().out


def test_a_dearer_copy_is_a_regression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", "--queues", "1", "--affinity", "single", "--dispatch", "fallback", *SHORT]
    words += ["--replications", "8", "--set", "traffic.start=0"]
    base, slow = tmp_path / "base.json", tmp_path / "slow.json"
    assert main([*words, "-o", str(base)]) == 0
    assert main([*words, "--set", "receiver.byte=0.4ns", "-o", str(slow)]) == 0
    capsys.readouterr()
    assert main(["gate", str(base), str(slow), "--format", "json", "--correction", "none"]) == 1
    report = json.loads(capsys.readouterr().out)
    verdicts = {c["metric"].rpartition(":")[2]: c["verdict"] for c in report["comparisons"]}
    assert verdicts["throughput"] == "regressed"
    assert main(["gate", str(slow), str(base), "--correction", "none"]) == 0


def test_what_is_one_number_in_every_sample_is_only_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", "--queues", "1", "--affinity", "single", "--dispatch", "fallback", *SHORT]
    path = tmp_path / "result.json"
    assert main([*words, "--replications", "8", "-o", str(path)]) == 0
    capsys.readouterr()
    assert main(["compare", str(path), str(path)]) == 0
    text = capsys.readouterr().out
    assert "noisy metrics are one number in every sample" in text
    assert ":throughput" in text
    assert ":drops" not in text
    assert ":amplification" not in text


def test_what_settles_a_simulation_is_replications(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No machine can be quieted for numbers that depend on the seed alone."""
    words = ["simulate", "--queues", "4", "--affinity", "spread", *SHORT, "--replications", "8"]
    paths = [tmp_path / "base.json", tmp_path / "other.json"]
    for path, seed in zip(paths, "12", strict=True):
        assert main([*words, "--seed", seed, "-o", str(path)]) == 0
    capsys.readouterr()
    assert main(["compare", *map(str, paths), "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    noisy = [c for c in report["comparisons"] if c["kind"] == "noisy"]
    warned = {w["code"]: w["remedy"] for c in noisy for w in c["warnings"]}
    assert warned["unstable"] == "simulate more replications"
    assert any(c["verdict"] == "inconclusive" for c in noisy)
    assert main(["compare", *map(str, paths)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "replications a side would settle it" in text
    assert "quiet the machine" not in text
    assert "runs a side would settle" not in text


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


@pytest.mark.parametrize(("count", "said"), [(1, "1 replication a"), (2, "2 replications a")])
def test_few_replications_are_told(
    count: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--queues", "1", "--replications", str(count), "-o", str(tmp_path / "x.json")]
    assert main(["simulate", *SHORT, *words]) == 0
    assert said in capsys.readouterr().out


def test_runs_of_another_length_are_not_compared(result_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    assert main(["simulate", *SMALL, "--duration", "6ms", "-o", str(other)]) == 0
    assert main(["compare", str(result_file), str(other)]) == 5


def test_metrics_have_samples_and_directions(result_file: Path) -> None:
    variant = load_variant(str(result_file))
    series = variant.series["tcp/fallback/spread/q2/hash:throughput"]
    assert (series.unit, series.better) == ("bit/s", "higher")
    assert series.samples is not None
    assert len(series.samples) == 3
    assert variant.series["tcp/fallback/spread/q2/hash:missed"].value == 0


def test_gains_are_ratios_of_the_same_replication(result_file: Path) -> None:
    result = load_simulation(result_file)
    found = gains(result)
    assert len(found) == 2 * 3  # of two queues: all but fallback, single
    for gain in found:
        (base,) = [
            point
            for point in result.points
            if isinstance(point, OkSimulation)
            and (point.dispatch, point.affinity) == ("fallback", "single")
            and (point.queues, point.protocol) == (gain.point.queues, gain.point.protocol)
        ]
        pairs = zip(gain.point.replications, base.replications, strict=True)
        ratios = [run.throughput_bps / under.throughput_bps for run, under in pairs]
        assert gain.ratio.mean == pytest.approx(np.mean(ratios))
        assert gain.ratio.low is not None
        assert gain.ratio.low <= gain.ratio.mean


# Bad input.


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--preset", "rcar"], "preset: 'rcar': unknown"),
        (["x.toml", "--preset", "generic"], "not both"),
        (["no-such-file.toml"], "no-such-file.toml"),
        (["--queues", "0"], "--queues"),
        (["--queues", "1,1000"], "--queues"),
        (["--dispatch", "pervector"], "did you mean per-vector?"),
        (["--affinity", "9"], "--affinity"),
        (["--protocol", "sctp"], "known: tcp, udp"),
        (["--placement", "random"], "--placement"),
        (["--replications", "-1"], "--replications"),
        (["--set", "receiver.hardirk=1us"], "did you mean receiver.hardirq?"),
        (["--set", "hardirk=1us"], "did you mean receiver.hardirq?"),
        (["--set", "x=1"], "--set: key: 'x': unknown; all: ntbbench simulate --keys"),
        (["--set", "sender.hardirq=1us"], "did you mean receiver.hardirq?"),
        (["--set", "cpu=3"], "did you mean sender.cpus or receiver.cpus?"),
        (["--set", "queues=3"], "queues is an option: --queues; all: ntbbench simulate --keys"),
        (["--set", "receiver.packet=9s"], "--set receiver.packet: '9s'"),
        (["--set", "hz=3"], "--set device.hz: '3'"),
        (["--set", "run.seed=3", "--seed", "2"], "--set: 'run.seed=3': not together with --seed"),
        (["--set", "seed=3", "--seed", "2"], "--set: 'seed=3': not together with --seed"),
        (["--set", "cpus=3"], "one of sender.cpus, receiver.cpus"),
        (["--set", "hardirq"], "section.key=value"),
        (["--set", "receiver.cpus=1025"], "1 to 1024"),
        (["--set", "receiver.single_cpu=16"], "0 to 15"),
        (["--jobs", "many"], "--jobs"),
        (["--format", "xml"], "--format"),
        (["--resume", "no-such-file.json"], "no-such-file.json"),
        (["--html", "no-such-folder/x.html"], "--html"),
        (["--timeline", "no-such-folder/x.json"], "no-such-folder"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *words, "-o", "result.json"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line or said.strip("-") in line
    assert list(tmp_path.iterdir()) == []


def damage_latencies(run: dict[str, Any]) -> None:
    run["latencies"] = "AAAA"


def damage_layout(run: dict[str, Any]) -> None:
    run["latencies"] = HdrHistogram(1, 10**6, 2).encode().decode()


def damage_cpu(run: dict[str, Any]) -> None:
    run["cpu_seconds"] = {}


def damage_count(run: dict[str, Any]) -> None:
    run["counts"]["packets"] = -3


def damage_causes(run: dict[str, Any]) -> None:
    del run["wakeups_by_cause"]["repost"]


def damage_number(run: dict[str, Any]) -> None:
    run["replication"] = 2


@pytest.mark.parametrize(
    ("damage", "said", "seen"),
    [
        (damage_latencies, "latencies: 'AAAA': the base64 of an HDR histogram", ["--resume"]),
        (damage_layout, "of the layout (1, ", ["--resume"]),
        (damage_cpu, "cpu_seconds: 'nothing': exactly hardirq, ", ["--resume", "show"]),
        (damage_count, ">= 0", ["--resume", "show", "compare"]),
        (damage_causes, "wakeups_by_cause: ", ["--resume", "show"]),
        (damage_number, "each replication once", ["--resume", "show"]),
        (damage_number, "each of them once", ["compare"]),
    ],
)
def test_a_damaged_result_is_one_line(
    damage: Callable[[dict[str, Any]], None], said: str, seen: list[str], result_file: Path,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "damaged.json"
    result = saved(result_file)
    damage(result["points"][1]["replications"][0])
    path.write_text(json.dumps(result))
    before = path.read_bytes()
    for how in seen:
        words = {
            "--resume": ["simulate", "--resume", str(path)],
            "show": ["show", str(path)],
            "compare": ["compare", str(result_file), str(path)],
        }[how]
        assert main(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cpu_seconds": {}}, "point 1: cpu_seconds"),
        ({"estimates": {}}, "point 1: estimates"),
        ({"replications": []}, "at least one"),
        ({"queues": 1}, "each point once"),
        ({"drops": -1}, ">= 0"),
    ],
)
def test_a_damaged_point_is_one_line(
    change: dict[str, Any], said: str, result_file: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "damaged.json"
    result = saved(result_file)
    result["points"][1] |= change
    path.write_text(json.dumps(result))
    for words in (["show", "--html", str(tmp_path / "x.html")], ["simulate", "--resume"]):
        assert main([*words, str(path)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line


def test_a_damaged_histogram_is_one_line(
    result_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "damaged.json"
    result = saved(result_file)
    whole = result["points"][1]["latency"]["histogram"]
    for text in ("", "AAAA", "x", "\u00e4", whole[:-8], whole[:60] + "A" * 8 + whole[68:]):
        result["points"][1]["latency"]["histogram"] = text
        path.write_text(json.dumps(result))
        assert main(["show", str(path), "--html", str(tmp_path / "x.html")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "latencies: " in line


def test_a_timeline_of_nothing_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--preset", "rcar-s4-spider", "--queues", "5", "--timeline", "trace.json"]
    assert main(["simulate", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--timeline: 'trace.json': a point that the device can give: ENOSPC: 5 queues" in line
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_number_without_end_and_no_name_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    board = tmp_path / "board.toml"
    board.write_text("[receiver]\ncpus = " + "9" * 5000 + "\n")
    assert main(["simulate", "board.toml"]) == 2
    assert main(["simulate", "-o", ""]) == 2
    number, name = capsys.readouterr().err.splitlines()
    assert "board.toml" in number
    assert "''" in name or "'.'" in name
    assert list(tmp_path.iterdir()) == [board]


def test_two_outputs_are_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "x")
    assert main(["simulate", "-o", path, "--html", path]) == 2
    assert main(["simulate", "-o", "/dev/null", "--timeline", path, "--html", path]) == 2
    assert "another file than" in capsys.readouterr().err


def test_a_scenario_of_toml(tmp_path: Path) -> None:
    file, path = tmp_path / "board.toml", tmp_path / "result.json"
    file.write_text('queues = [2]\ndispatch = "msi"\n[run]\nreplications = 2\nduration = "2ms"\n')
    assert main(["simulate", str(file), "-o", str(path)]) == 0
    result = saved(path)
    assert [point["dispatch"] for point in result["points"]] == ["msi", "msi"]
    assert len(result["points"][0]["replications"]) == 2
