# SPDX-License-Identifier: BSD-3-Clause
"""The sweep: every cell in order, the same counts however it is run, stopped and resumed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ntbbench import engine
from ntbbench.errors import InputError, ModelDisagreement
from ntbbench.measure import cell as cells
from ntbbench.measure import law
from ntbbench.measure.cell import TIMED_INTERRUPTS, Cell
from ntbbench.measure.files import load_result, write_json
from ntbbench.measure.records import OkPoint, SweepResult, Timing, UnavailablePoint
from ntbbench.measure.sweep import Hooks, Sweep, run_sweep
from ntbbench.measure.timing import NS, Timer
from ntbbench.model.custom import Device
from ntbbench.model.scenario import Scenario, expand, scenario_from

SMALL = Scenario(
    hardware=["ntb_hw_epf-legacy", "ntb_hw_epf-v4", "generic", "ntb_hw_intel-gen1"],
    queues=[1, 3, 4],
    doorbells=[4, 8],
    vectors=[2, 8],
    dispatch=["fallback", "per-vector", "msi"],
    workload=["uniform", "burst:size=3,of=zipf"],
    interrupts=500,
    repeats=0,
    drain=2,
    seed=7,
)


def changed(scenario: Scenario, **changes: object) -> Scenario:
    return msgspec.structs.replace(scenario, **changes)


def points_of(result: SweepResult) -> bytes:
    return msgspec.json.encode(result.points)


def ok_points(result: SweepResult) -> list[OkPoint]:
    return [point for point in result.points if isinstance(point, OkPoint)]


def test_every_combination_is_there_in_axis_order() -> None:
    result = run_sweep(SMALL)
    assert result.complete
    assert len(result.points) == 3 * (3 * 4 + 1) * 3 * 2  # the Intel device has one size
    asked = [
        (spec.hardware.name, spec.dispatch, spec.queues_requested, spec.workload.spec)
        for spec in expand(SMALL)
    ]
    found = [(p.hardware, p.dispatch, p.queues_requested, p.workload) for p in result.points]
    assert found == asked
    generic = [p for p in result.points if p.hardware == "generic" and p.dispatch == "fallback"]
    sizes = [(p.doorbells, p.vectors, p.queues_requested) for p in generic[::2]]
    assert sizes == [(d, v, q) for d in (4, 8) for v in (2, 8) for q in (1, 3, 4)]


def test_what_a_device_cannot_give_is_kept_with_its_reason() -> None:
    result = run_sweep(changed(SMALL, hardware=["ntb_hw_epf-v4"], dispatch=["fallback"]))
    refused = [p for p in result.points if isinstance(p, UnavailablePoint)]
    assert [p.queues_requested for p in refused] == [3, 3, 4, 4] * 2
    assert all(p.reason.startswith("ENOSPC: ") and p.queues == 1 for p in refused)


@pytest.mark.parametrize("jobs", [2, 4, 0])
def test_the_counts_are_byte_for_byte_those_of_one_job(jobs: int) -> None:
    alone = run_sweep(changed(SMALL, jobs=1))
    assert points_of(run_sweep(changed(SMALL, jobs=jobs))) == points_of(alone)


def test_the_seed_decides() -> None:
    first = run_sweep(SMALL)
    assert points_of(run_sweep(SMALL)) == points_of(first)
    assert points_of(run_sweep(changed(SMALL, seed=8))) != points_of(first)


def test_the_counts_are_those_of_the_plain_python_reference() -> None:
    sweep = Sweep(SMALL, Timer(lambda: 0, 1), Hooks())
    sweep.count()
    for cell in sweep.cells:
        if not isinstance(cell.point, OkPoint):
            continue
        stream = cell.stream(SMALL.interrupts)
        msi = cell.spec.dispatch == "msi"
        active = cell.spec.provision.active
        counts = engine.count(
            "msi" if msi else "reference",
            stream.vectors,
            stream.rung,
            np.array(cell.vector_map.db_vector_masks, dtype=np.uint64),
            qp_bitmap=active,
            active=active,
            drain=SMALL.drain,
        )
        point = cell.point
        for name in ("interrupts", "scan_iterations", "schedule_calls", "wakeups", "merged",
                     "useful_wakeups", "spurious_wakeups", "missed", "misrouted"):  # fmt: skip
            assert getattr(point, name) == getattr(counts, name), name
        assert point.rings == stream.rings
        assert sum(point.qp_wakeups) == point.wakeups
        assert point.vector_wakeups == counts.vector_wakeups.tolist()
        assert point.scan_iterations == (0 if msi else point.schedule_calls)
        assert point.amplification == point.schedule_calls / point.interrupts
        assert point.effective_amplification == point.wakeups / point.interrupts
        assert point.spurious_ratio == point.spurious_wakeups / point.wakeups


def amplifications(hardware: str, dispatch: str, **changes: object) -> list[float]:
    usual = Scenario(hardware=[hardware], dispatch=[dispatch], queues=[1, 2, 4], doorbells=[8],
                     interrupts=1200, repeats=0)  # fmt: skip
    return [p.amplification for p in ok_points(run_sweep(changed(usual, **changes)))]


@pytest.mark.parametrize(
    ("hardware", "dispatch", "expected"),
    [
        ("ntb_hw_epf-legacy", "fallback", [1, 2, 4]),
        ("ntb_hw_epf-legacy", "per-vector", [1, 2, 4]),  # it has no callbacks to report vectors
        ("ntb_hw_epf-v4", "fallback", [1, 2, 4]),
        ("ntb_hw_epf-v4", "per-vector", [1, 1, 1]),
        ("pci-epf-vntb-legacy", "per-vector", [1, 2, 4]),
        ("pci-epf-vntb-v4", "per-vector", [1, 1, 1]),
        ("ntb_hw_epf-v4", "msi", [1, 1]),  # the last window is kept for MSI: 3 QPs
    ],
)
def test_the_story_of_the_series(hardware: str, dispatch: str, expected: list[float]) -> None:
    assert amplifications(hardware, dispatch) == expected


def test_a_vector_of_several_queues_wakes_them_all() -> None:
    """8 doorbells on 2 vectors, 6 queues in turn: 4 of 6 rings wake 4 QPs, 2 of 6 wake 2."""
    found = amplifications("generic", "per-vector", queues=[6], vectors=[2])
    assert found == [pytest.approx((4 * 4 + 2 * 2) / 6)]


def test_merging_lowers_the_effective_amplification_only() -> None:
    """Fallback, 4 queues in turn, 4 interrupts a softirq: 16 calls, 4 wakeups, all useful."""
    (point,) = ok_points(
        run_sweep(
            Scenario(hardware=["generic"], queues=[4], doorbells=[8], dispatch=["fallback"],
                     drain=4, interrupts=1000, repeats=0)
        )
    )  # fmt: skip
    assert (point.amplification, point.effective_amplification) == (4, 1)
    assert (point.merged, point.spurious_ratio) == (3000, 0)


def test_custom_devices_and_logs(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("time,db_bits\n0,1\n1,6\n2,3\n")
    scenario = Scenario(
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
    scenario = Scenario(hardware=["generic"], doorbells=[8, 16], queues=[1],
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
    scenario = Scenario(
        hardware=[hardware], dispatch=[dispatch], doorbells=[8], queues=[2], interrupts=300,
        device={"quiet": Device(doorbells=8, db_read="zero")}, repeats=0,
    )  # fmt: skip
    (point,) = ok_points(run_sweep(scenario))
    assert point.race_check_runs == expected


def test_a_wrong_kernel_stops_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(law, "fan_outs", lambda masks, active: (1,) * len(masks))
    with pytest.raises(ModelDisagreement, match="defect of ntbbench: schedule calls by source"):
        run_sweep(changed(SMALL, dispatch=["fallback"], queues=[3]))


TIMED = changed(SMALL, queues=[1, 2], doorbells=[4], vectors=[], repeats=3, workload=["uniform"])


def test_samples_are_taken_in_rounds_over_all_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Cell] = []
    real = cells.sample

    def sample(cell: Cell, *rest: object) -> None:
        taken.append(cell)
        real(cell, *rest)

    monkeypatch.setattr(cells, "sample", sample)
    result = run_sweep(TIMED)
    timed = len(ok_points(result))
    assert timed > 4
    rounds = [taken[start : start + timed] for start in range(0, len(taken), timed)]
    assert len(rounds) == 3
    assert all(order == rounds[0] and len(set(order)) == timed for order in rounds)
    for point in ok_points(result):
        assert isinstance(point.ns_per_dispatch, Timing)
        assert len(point.ns_per_dispatch.samples) == 3


def test_a_sample_is_the_time_of_its_batch_a_dispatch() -> None:
    """Under a clock that adds 2 ms a reading, a batch is one call and lasts 2 ms."""
    readings = iter(range(0, 10**15, 2_000_000))
    result = run_sweep(TIMED, clock=Timer(lambda: next(readings), 1000))
    for point in ok_points(result):
        assert isinstance(point.ns_per_dispatch, Timing)
        assert set(point.ns_per_dispatch.samples) == {2_000_000 / TIMED_INTERRUPTS}
    assert {c.code for c in result.warnings} >= {"few-repeats", "equal-samples"}


def test_timing_changes_no_count() -> None:
    timed = run_sweep(TIMED)
    bare = [
        msgspec.structs.replace(p, ns_per_dispatch=msgspec.UNSET) if isinstance(p, OkPoint) else p
        for p in timed.points
    ]
    assert bare == run_sweep(changed(TIMED, repeats=0)).points


def test_the_timed_stream_is_of_one_length(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("time,db_bits\n0,1\n1,2\n2,4\n")
    for workload in ("uniform", "burst:size=3,of=uniform", f"log:{tmp_path / 'log.csv'}"):
        (spec,) = expand(Scenario(hardware=["generic"], queues=[4], doorbells=[8],
                                  dispatch=["fallback"], workload=[workload]))  # fmt: skip
        stream = cells.timed_stream(Cell(spec))
        assert len(stream.vectors) == len(stream.rung) == TIMED_INTERRUPTS


def stop_after(steps: int) -> tuple[Hooks, list[tuple[str, int, int]]]:
    """Hooks that stop a sweep once so many steps are done, and what they were told."""
    told: list[tuple[str, int, int]] = []
    hooks = Hooks(
        progress=lambda *news: told.append(news),
        stop=lambda: bool(told) and told[-1][1] >= steps,
    )
    return hooks, told


@pytest.mark.parametrize("steps", [1, 12], ids=["counting", "timing"])
def test_who_insists_gets_what_is_known(steps: int) -> None:
    """A second Ctrl-C: `stop` raises, in whichever thread asks, and nothing counted is lost."""
    hooks, told = stop_after(steps)

    def insist() -> bool:
        if hooks.stop():
            raise KeyboardInterrupt
        return False

    insisting = replace(hooks, stop=insist)
    result = run_sweep(changed(TIMED, jobs=1), hooks=insisting)
    assert not result.complete
    counted = [news for news in told if news[0] == "counting"]
    assert len(result.points) >= counted[-1][1] > 0


def test_progress_counts_cells_and_samples() -> None:
    hooks, told = stop_after(10**9)
    result = run_sweep(changed(TIMED, jobs=1), hooks=hooks)
    total = len(result.points) + 3 * len(ok_points(result))
    assert {news[2] for news in told} == {total}
    assert told[-1][1] == total
    assert [news[1] for news in told] == sorted(news[1] for news in told)
    assert list(dict.fromkeys(news[0] for news in told)) == ["counting", "timing"]


def without_timing(result: SweepResult) -> list[object]:
    return [
        msgspec.structs.replace(p, ns_per_dispatch=msgspec.UNSET) if isinstance(p, OkPoint) else p
        for p in result.points
    ]


def samples_of(result: SweepResult) -> dict[tuple[str, str, int], list[float]]:
    """Return the samples of the timed points by what tells the points of TIMED apart."""
    return {
        (p.hardware, p.dispatch, p.queues_requested): p.ns_per_dispatch.samples
        for p in ok_points(result)
        if isinstance(p.ns_per_dispatch, Timing)
    }


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.7, 0.95])
def test_stopped_and_resumed_is_the_same(share: float, tmp_path: Path) -> None:
    whole = run_sweep(TIMED)
    total = len(whole.points) + 3 * len(ok_points(whole))
    part = run_sweep(changed(TIMED, jobs=1), hooks=stop_after(int(share * total))[0])
    assert not part.complete
    assert set(map(repr, without_timing(part))) <= set(map(repr, without_timing(whole)))
    write_json(tmp_path / "part.json", part)
    saved = load_result(tmp_path / "part.json")
    assert scenario_from(saved.scenario, "part.json") == changed(TIMED, jobs=1)
    resumed = run_sweep(TIMED, previous=saved)
    assert resumed.complete
    assert without_timing(resumed) == without_timing(whole)
    assert not [c for c in resumed.warnings if c.code == "environment-changed"]
    before, after = samples_of(part), samples_of(resumed)
    assert bool(before) == (share >= 0.5)
    assert all(after[key][: len(samples)] == samples for key, samples in before.items())
    assert {len(samples) for samples in after.values()} == {3}


def test_finished_cells_are_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run_sweep(TIMED)
    monkeypatch.setattr(cells, "count", None)
    monkeypatch.setattr(cells, "sample", None)
    again = run_sweep(TIMED, previous=whole)
    assert again.points == whole.points


def test_equal_points_are_resumed_as_often_as_they_were_finished() -> None:
    """The vectors axis does not change an epf device: its points are equal, and all are kept."""
    scenario = changed(SMALL, hardware=["ntb_hw_epf-v4"], vectors=[1, 2, 4])
    whole = run_sweep(scenario)
    assert len(whole.points) == 3 * 2 * 3 * 3 * 2
    part = msgspec.structs.replace(whole, points=whole.points[:20], complete=False)
    assert run_sweep(scenario, previous=part).points == whole.points


def test_timings_of_another_environment_are_taken_anew() -> None:
    whole = run_sweep(TIMED)
    elsewhere = whole.environment | {"kernel": "Linux 2.6.0"}
    part = msgspec.structs.replace(whole, environment=elsewhere, complete=False)
    part = msgspec.structs.replace(part, points=part.points[:-1])
    resumed = run_sweep(TIMED, previous=part)
    (caution,) = [c for c in resumed.warnings if c.code == "environment-changed"]
    assert caution.message.startswith(f"the timings of {len(ok_points(part))} points")
    for old, new in zip(ok_points(part), ok_points(resumed), strict=False):
        assert old.ns_per_dispatch != new.ns_per_dispatch
    assert without_timing(resumed) == without_timing(whole)


def test_resuming_what_another_version_wrote() -> None:
    whole = run_sweep(TIMED)
    old = msgspec.structs.replace(whole, environment=whole.environment | {"ntbbench": "0.0.1"})
    with pytest.raises(InputError, match=r"resume: ntbbench version: '0\.0\.1': a result of"):
        run_sweep(TIMED, previous=old)


def test_resuming_points_of_another_scenario() -> None:
    other = run_sweep(changed(TIMED, seed=8, repeats=0))
    with pytest.raises(InputError, match="resume: point: 0: a point of the scenario"):
        run_sweep(TIMED, previous=other)


def test_a_long_run_is_saved_now_and_then() -> None:
    """A clock on which every reading takes ten seconds: so does a saving, and pauses grow."""
    readings = iter(range(0, 10**15, 10 * NS))
    saved: list[SweepResult] = []
    result = run_sweep(
        changed(SMALL, jobs=1),
        hooks=Hooks(save=saved.append, clock=lambda: next(readings)),
    )
    assert len(saved) >= 2
    assert all(not part.complete for part in saved)
    sizes = [len(part.points) for part in saved]
    assert sizes == sorted(sizes)
    assert saved[-1].points == [p for p in result.points if p in saved[-1].points]


def peak_streams(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Count how often a stream is made."""
    made: list[Cell] = []
    real = Cell.stream

    def stream(cell: Cell, interrupts: int) -> object:
        made.append(cell)
        return real(cell, interrupts)

    monkeypatch.setattr(Cell, "stream", stream)
    return lambda: len(made)


def test_cells_with_the_same_interrupts_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    made = peak_streams(monkeypatch)
    scenario = Scenario(hardware=["generic"], queues=[1, 2, 3], doorbells=[8], vectors=[1, 8],
                        repeats=0, interrupts=100)  # fmt: skip
    result = run_sweep(scenario)
    assert len(result.points) == 12
    assert made() == 6  # fallback and per-vector have the same interrupts
