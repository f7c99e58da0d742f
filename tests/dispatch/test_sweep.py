# SPDX-License-Identifier: BSD-3-Clause
"""The sweep: every cell in order, the same counts however it is run; its law and its warnings."""

import resource
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from report_records import ok, unavailable
from sweep_scenarios import SMALL, changed, ok_points

from ntbbench.core.clock import NS, Timer, timer
from ntbbench.core.environment import Environment, environment, free_memory
from ntbbench.core.errors import InputError, ModelDisagreement
from ntbbench.dispatch import cell as cells
from ntbbench.dispatch.cell import count
from ntbbench.dispatch.records import OkPoint, SweepResult, Timing
from ntbbench.dispatch.scenario import SweepScenario
from ntbbench.dispatch.sweep import Hooks, Sweep, cautions_of, fitting, run_sweep
from ntbbench.ntb.custom import Device


def points_of(result: SweepResult) -> bytes:
    return msgspec.json.encode(result.points)


def test_every_combination_is_there_in_axis_order() -> None:
    result = run_sweep(SMALL)
    assert result.complete
    assert len(result.points) == 3 * (3 * 4 + 1) * 3 * 2  # the Intel device has one size
    generic = [p for p in result.points if p.hardware == "generic" and p.dispatch == "fallback"]
    sizes = [(p.doorbells, p.vectors, p.queues_requested) for p in generic[::2]]
    assert sizes == [(d, v, q) for d in (4, 8) for v in (2, 8) for q in (1, 3, 4)]


@pytest.mark.parametrize("jobs", [2, 4, 0])
def test_the_counts_are_byte_for_byte_those_of_one_job(jobs: int) -> None:
    alone = run_sweep(changed(SMALL, jobs=1))
    assert points_of(run_sweep(changed(SMALL, jobs=jobs))) == points_of(alone)


def test_the_seed_decides() -> None:
    assert points_of(run_sweep(changed(SMALL, seed=8))) != points_of(run_sweep(SMALL))


def test_the_counts_are_those_of_the_plain_python_reference() -> None:
    sweep = Sweep(SMALL, Timer(lambda: 0, 1), Hooks())
    sweep.count()
    for cell in sweep.cells:
        point = cell.point
        if not isinstance(point, OkPoint):
            continue
        assert point == count(cell, cell.stream(SMALL.interrupts), "reference")
        assert sum(point.qp_wakeups) == point.wakeups
        assert point.scan_iterations == (0 if point.dispatch == "msi" else point.schedule_calls)
        assert point.amplification == point.schedule_calls / point.interrupts
        assert point.effective_amplification == point.wakeups / point.interrupts
        assert point.spurious_ratio == point.spurious_wakeups / point.wakeups


def test_a_vector_of_several_queues_wakes_them_all() -> None:
    """8 doorbells on 2 vectors, 6 queues in turn: 4 of 6 rings wake 4 QPs, 2 of 6 wake 2."""
    (point,) = ok_points(
        run_sweep(
            SweepScenario(hardware=["generic"], queues=[6], doorbells=[8], vectors=[2],
                     dispatch=["per-vector"], interrupts=1200, repeats=0)
        )
    )  # fmt: skip
    assert point.amplification == pytest.approx((4 * 4 + 2 * 2) / 6)


def test_merging_lowers_the_effective_amplification_only() -> None:
    """Fallback, 4 queues in turn, 4 interrupts a softirq: 16 calls, 4 wakeups, all useful."""
    (point,) = ok_points(
        run_sweep(
            SweepScenario(hardware=["generic"], queues=[4], doorbells=[8], dispatch=["fallback"],
                     drain=4, interrupts=1000, repeats=0)
        )
    )  # fmt: skip
    assert (point.amplification, point.effective_amplification) == (4, 1)
    assert (point.merged, point.spurious_ratio) == (3000, 0)


def test_custom_devices_and_logs(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("time,db_bits\n0,1\n1,6\n2,3\n")
    scenario = SweepScenario(
        hardware=["board"], device={"board": Device(masks=["0x3", "0xc"])}, queues=[3],
        dispatch=["per-vector"], workload=[f"log:{tmp_path / 'log.csv'}"], repeats=1,
    )  # fmt: skip
    (point,) = ok_points(run_sweep(scenario))
    # 0b001 -> vector 0; 0b110 -> vectors 0 and 1; 0b011 -> vector 0. QPs 0, 1 | 2.
    assert (point.interrupts, point.rings) == (4, 5)
    assert point.vector_interrupts == [3, 1]
    assert point.amplification == point.expected_amplification == (3 * 2 + 1) / 4
    assert isinstance(point.ns_per_dispatch, Timing)


def test_a_log_that_does_not_fit_names_the_device(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("time,db_bits\n0,1\n1,0x100\n")
    scenario = SweepScenario(hardware=["generic"], doorbells=[8, 16], queues=[1],
                        workload=[f"log:{tmp_path / 'log.csv'}"], repeats=0)  # fmt: skip
    with pytest.raises(InputError, match=r"^generic, fallback, doorbells 8: log .*row 2: db_bits"):
        run_sweep(scenario)


@pytest.mark.parametrize(
    ("hardware", "dispatch", "expected"),
    [
        ("generic", "fallback", 300),
        ("generic", "msi", 0),  # an MSI sets no doorbell bit
        ("quiet", "fallback", 0),
        ("ntb_hw_epf-legacy", "fallback", None),
    ],
)
def test_race_check_runs(hardware: str, dispatch: str, expected: int | None) -> None:
    scenario = SweepScenario(
        hardware=[hardware], dispatch=[dispatch], doorbells=[8], queues=[2], interrupts=300,
        device={"quiet": Device(doorbells=8, db_read="zero")}, repeats=0,
    )  # fmt: skip
    (point,) = ok_points(run_sweep(scenario))
    assert point.race_check_runs == expected


def test_a_wrong_kernel_stops_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "fan_outs", lambda masks, active: (1,) * len(masks))
    with pytest.raises(ModelDisagreement, match="defect of ntbbench: schedule calls by source"):
        run_sweep(changed(SMALL, dispatch=["fallback"], queues=[3]))


def steady() -> Environment:
    """An environment without a reason for a warning."""
    found = environment(timer())
    return msgspec.structs.replace(
        found,
        cpu=msgspec.structs.replace(found.cpu, governor="performance"),
        compiler=msgspec.structs.replace(found.compiler, checked=False),
    )


FINE = Timer(lambda: 0, 25)
GOOD = Timing(median=10.0, low=9.9, high=10.1, samples=[9.9, 10.0, 10.1, 10.0, 10.0])


def codes(timing: Timing, clock: Timer = FINE, where: Environment | None = None) -> list[str]:
    return [c.code for c in cautions_of([ok(ns=timing)], clock, where or steady())]


def samples(*values: float) -> Timing:
    return msgspec.structs.replace(GOOD, samples=list(values))


EQUAL = Timing(median=10.0, low=10.0, high=10.0, samples=[10.0] * 5)
NOTHING = Timing(median=0.0, low=0.0, high=0.0, samples=[0.0] * 5)  # no division by it
MOSTLY_NOTHING = Timing(median=0.0, low=0.0, high=5.0, samples=[0.0, 0.0, 0.0, 5.0, 5.0])


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        (GOOD, []),
        (samples(10.0), ["few-repeats"]),
        (samples(9.9, 10.1), ["few-repeats"]),
        (samples(9.9, 10.0, 10.1, 10.0), ["few-repeats"]),
        (msgspec.structs.replace(GOOD, high=10.8), []),
        (EQUAL, ["equal-samples"]),
        (NOTHING, ["equal-samples"]),
        (MOSTLY_NOTHING, ["unstable-timing"]),
    ],
)
def test_warnings_of_a_timing(timing: Timing, expected: list[str]) -> None:
    assert codes(timing) == expected


def test_an_unstable_timing_names_its_point() -> None:
    wide = msgspec.structs.replace(GOOD, high=10.91)
    points = [unavailable(), ok(ns=GOOD), ok(ns=wide)]
    (caution,) = cautions_of(points, FINE, steady())
    assert (caution.code, caution.point) == ("unstable-timing", 2)
    assert "10.91" in caution.message


def test_counts_alone_need_no_warning() -> None:
    assert cautions_of([ok(), unavailable()], Timer(lambda: 0, NS), steady()) == []


@pytest.mark.parametrize(
    ("resolution", "checked", "governor", "expected"),
    [
        (NS // 250, False, "performance", ["coarse-clock"]),
        (10_000, False, "performance", []),
        (25, True, "performance", ["checked-build"]),
        (25, False, "powersave", ["frequency-scaling"]),
        (25, False, "performance, powersave", ["frequency-scaling"]),
        (25, False, "not readable: no cpufreq/scaling_governor below there", []),
    ],
)
def test_warnings_of_the_machine(resolution, checked, governor, expected) -> None:
    where = steady()
    where = msgspec.structs.replace(
        where,
        cpu=msgspec.structs.replace(where.cpu, governor=governor),
        compiler=msgspec.structs.replace(where.compiler, checked=checked),
    )
    assert codes(GOOD, replace(FINE, resolution=resolution), where) == expected


@pytest.mark.parametrize(("spec", "size"), [("uniform", 2), ("burst:size=4,of=uniform", 18)])
def test_a_stream_that_no_memory_holds_is_refused_before_it_is_made(
    spec: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = changed(SMALL, workload=(spec,), interrupts=10**9)
    monkeypatch.setattr("ntbbench.core.environment.free_memory", lambda: 10**8)
    with pytest.raises(InputError) as told:
        run_sweep(asked)
    assert f"at most {10**8 // size} with {spec}" in str(told.value)
    assert f"takes {size}.0 GB of memory, 0.1 GB are free" in str(told.value)


def test_threads_share_the_memory_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = Sweep(changed(SMALL, workload=("uniform",), interrupts=1000), timer(), Hooks()).cells
    for free, jobs in ((2000, 1), (5999, 2), (10**9, 8)):
        monkeypatch.setattr("ntbbench.core.environment.free_memory", lambda free=free: free)
        assert fitting(8, cells) == jobs
    assert fitting(8, []) == 8


def test_free_memory_is_no_more_than_this_process_may_take() -> None:
    limits = resource.getrlimit(resource.RLIMIT_AS)
    free = free_memory()
    resource.setrlimit(resource.RLIMIT_AS, (1 << 40, limits[1]))
    try:
        assert 0 < free_memory() <= 1 << 40
        resource.setrlimit(resource.RLIMIT_AS, (1 << 20, limits[1]))
        found = free_memory()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert found == 0 < free
