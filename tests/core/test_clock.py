# SPDX-License-Identifier: BSD-3-Clause
"""Timed samples under a clock that the test moves."""

import gc
import warnings
from statistics import median

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ntbbench.core.clock import BATCH_MAX, NS, SAMPLE_MAX, SAMPLE_MIN, Timer, resolution, timer
from ntbbench.dispatch.cell import timings


class FakeClock:
    """A clock that shows its time in whole steps; only `spend` and readings move it."""

    def __init__(self, step: int, reading: int = 0) -> None:
        self.now = 0
        self.step = step
        self.reading = reading

    def __call__(self) -> int:
        self.now += self.reading
        return self.now // self.step * self.step

    def spend(self, nanoseconds: int) -> None:
        self.now += nanoseconds


@pytest.mark.parametrize(
    ("step", "reading", "found"),
    [(1, 25, 25), (100, 30, 100), (4_000_000, 50_000, 4_000_000), (1, 0, NS)],
)
def test_the_resolution_is_the_smallest_step(step: int, reading: int, found: int) -> None:
    """Of a clock that stands still it is a second."""
    assert resolution(FakeClock(step, reading)) == found


def test_the_real_clock_is_fine_enough_for_a_sample() -> None:
    assert timer().resolution < SAMPLE_MIN


@pytest.mark.parametrize(
    ("step", "duration"),
    [(1, SAMPLE_MIN), (1_000, SAMPLE_MIN), (10_000, 10_000_000), (NS, SAMPLE_MAX)],
)
def test_a_sample_lasts_a_thousand_steps_within_bounds(step: int, duration: int) -> None:
    assert Timer(FakeClock(step), step).sample_duration == duration


@settings(max_examples=50, deadline=None)
@given(cost=st.integers(1_000, 50_000_000), step=st.sampled_from([1, 41, 1000, 15_000]))
def test_a_batch_lasts_at_least_a_sample(cost: int, step: int) -> None:
    clock = FakeClock(step)
    chosen = Timer(clock, step)
    calls = chosen.batch(lambda: clock.spend(cost))
    assert calls * cost + step >= chosen.sample_duration
    assert calls == 1 or (calls // 2) * cost < chosen.sample_duration + step


def test_calibration_ends_under_a_clock_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ntbbench.core.clock.BATCH_MAX", 64)
    assert Timer(FakeClock(1), 1).batch(lambda: None) == 64
    assert BATCH_MAX >= 64


def test_elapsed_is_the_time_of_all_calls() -> None:
    clock = FakeClock(1)
    assert Timer(clock, 1).elapsed(lambda: clock.spend(7), 10) == 70


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_rests_during_a_sample_and_is_restored(enabled: bool) -> None:
    seen = []

    def fail() -> None:
        seen.append(gc.isenabled())
        raise RuntimeError

    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        Timer(FakeClock(1), 1).elapsed(lambda: seen.append(gc.isenabled()), 3)
        with pytest.raises(RuntimeError):
            Timer(FakeClock(1), 1).elapsed(fail, 1)
        assert seen == [False] * 4
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


@example([[337552.0, 337551.8393788067]])  # interpolated one ulp below the smallest sample
@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=9), min_size=1, max_size=4))
def test_an_interval_holds_its_median_inside_its_samples(rows: list[list[float]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = timings(rows)
    assert [timing.samples for timing in found] == rows
    for timing, row in zip(found, rows, strict=True):
        assert timing.median == pytest.approx(median(row), rel=1e-12)
        assert min(row) <= timing.low <= timing.median <= timing.high <= max(row)


def test_intervals_of_few_equal_and_many_samples() -> None:
    assert timings([]) == []
    for timing in timings([[3.0], [2.5] * 7, [0.0, 0.0]]):
        assert timing.low == timing.median == timing.high == timing.samples[0]
    (timing,) = timings([[1.0, 3.0]])
    assert (timing.low, timing.median, timing.high) == (1.0, 2.0, 3.0)
    few = [10.0 + number for number in range(5)]
    narrow, wide = timings([few * 20, few])
    assert narrow.high - narrow.low < wide.high - wide.low


def test_an_interval_depends_on_its_own_samples_alone() -> None:
    """Many samples are resampled in chunks."""
    rows = [[float(number * number % 17) for number in range(length)] for length in (9, 5, 9, 2)]
    rows += [[float((number * 7919 + row) % 101) for number in range(500)] for row in range(9)]
    assert timings(rows) == [timings([row])[0] for row in rows]
