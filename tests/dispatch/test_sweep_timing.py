# SPDX-License-Identifier: BSD-3-Clause
"""Sweeps that are timed, stopped and resumed."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from sweep_commands import load_result
from sweep_scenarios import SMALL, changed, ok_points

from ntbbench.core.clock import NS, Timer
from ntbbench.core.errors import InputError
from ntbbench.core.result_file import write_json
from ntbbench.dispatch import cell as cells
from ntbbench.dispatch.cell import TIMED_INTERRUPTS, SweepCell
from ntbbench.dispatch.records import OkPoint, SweepResult, Timing
from ntbbench.dispatch.scenario import SweepScenario, expand, scenario_from
from ntbbench.dispatch.sweep import Hooks, run_sweep
from ntbbench.ntb.workload.stream import Draws

TIMED = changed(SMALL, queues=(1, 2), doorbells=(4,), vectors=(), repeats=3, workload=("uniform",))


def test_samples_are_taken_in_rounds_over_all_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[SweepCell] = []
    real = cells.sample

    def sample(cell: SweepCell, *rest: object) -> None:
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
    assert without_timing(run_sweep(TIMED)) == run_sweep(changed(TIMED, repeats=0)).points


def test_the_timed_stream_is_of_one_length(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("time,db_bits\n0,1\n1,2\n2,4\n")
    for workload in ("uniform", "burst:size=3,of=uniform", f"log:{tmp_path / 'log.csv'}"):
        (spec,) = expand(SweepScenario(hardware=["generic"], queues=[4], doorbells=[8],
                                  dispatch=["fallback"], workload=[workload]))  # fmt: skip
        stream = cells.timed_stream(SweepCell(spec))
        assert len(stream.vectors) == len(stream.rung) == TIMED_INTERRUPTS


def stop_after(steps: int) -> tuple[Hooks, list[tuple[str, int, int]]]:
    """Hooks that stop a sweep once so many steps are done, and what they were told."""
    told: list[tuple[str, int, int]] = []
    hooks = Hooks(
        progress=lambda *news: told.append(news), stop=lambda: bool(told) and told[-1][1] >= steps
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
        changed(SMALL, jobs=1), hooks=Hooks(save=saved.append, clock=lambda: next(readings))
    )
    assert len(saved) >= 2
    assert all(not part.complete for part in saved)
    sizes = [len(part.points) for part in saved]
    assert sizes == sorted(sizes)
    assert saved[-1].points == [p for p in result.points if p in saved[-1].points]


def test_cells_with_the_same_interrupts_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[SweepCell] = []
    real = SweepCell.stream

    def stream(cell: SweepCell, interrupts: int) -> object:
        made.append(cell)
        return real(cell, interrupts)

    monkeypatch.setattr(SweepCell, "stream", stream)
    scenario = SweepScenario(hardware=["generic"], queues=[1, 2, 3], doorbells=[8], vectors=[1, 8],
                        repeats=0, interrupts=100)  # fmt: skip
    assert len(run_sweep(scenario).points) == 12
    assert len(made) == 6  # fallback and per-vector have the same interrupts


def test_devices_with_the_same_queues_share_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    real = Draws.draw

    def draw(draws: Draws, count: int, start: int) -> object:
        drawn.append(count)
        return real(draws, count, start)

    monkeypatch.setattr(Draws, "draw", draw)
    scenario = SweepScenario(hardware=["generic"], queues=[2, 3], doorbells=[8, 9], vectors=[1, 8],
                        workload=["uniform"], seed=2026, repeats=0, interrupts=1234,
                        jobs=1)  # fmt: skip
    assert len(run_sweep(scenario).points) == 16
    assert drawn == [1234] * 2
