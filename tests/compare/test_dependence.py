# SPDX-License-Identifier: BSD-3-Clause
"""Noise that is not independent: what the verdict allows for, by a seeded part of the bench."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compare_data import pytest_benchmark, written

from benches.dependence import (
    CONTAMINATED,
    DEPENDENT,
    Dependent,
    aa_runs,
    autoregression,
    calibrated,
    power_at_detectable,
    shares,
)
from benches.false_alarms import NOISES, Noise
from ntbbench.compare.calibrate import calibrate
from ntbbench.compare.noisy import depending
from ntbbench.compare.policy import Policy
from ntbbench.compare.statistics.dependence import dependence_of, session_labels

FAMILIES = 100
# So many alarms or more in 100 families have a probability below 1e-3 at a true 0.05.
MOST = 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / FAMILIES)
HOUR = 3600.0
BY_NAME = {noise.name: noise for noise in DEPENDENT}


@pytest.mark.parametrize(
    ("name", "n"),
    [
        *(("AR(1) 0.5", 50), ("AR(1) 0.8", 50), ("AR(1) 0.8", 100)),
        *(("processes that differ by 1 %", 10), ("processes that differ by 2 %", 10)),
        *(("sessions of 5 samples, 2 %", 50), ("drift of 20 %, base first", 20)),
        ("drift of 10 %, base first", 50),
    ],
)
def test_alarms_hold_where_the_data_reveal_the_dependence(name: str, n: int) -> None:
    assert shares(BY_NAME[name], n, shift=0.0, families=FAMILIES, seed=2)[0] <= MOST


@pytest.mark.parametrize("name", ["AR(1) 0.8", "drift of 10 %, base first"])
def test_taken_for_independent_they_do_not(name: str) -> None:
    """The check above can fail."""
    found = shares(BY_NAME[name], 50, shift=0.0, families=FAMILIES, seed=2, allows=False)
    assert found[0] > 0.4


def test_one_session_a_side_is_not_revealed() -> None:
    """As docs/statistics.md says: nothing in the data tells it from a change."""
    one = BY_NAME["one session a side, 2 %"]
    assert shares(one, 20, shift=0.0, families=FAMILIES, seed=2)[0] > 0.5


@pytest.mark.parametrize("n", [10, 20, 50])
def test_independent_samples_keep_their_verdicts(n: int) -> None:
    plain = Dependent("independent", BY_NAME["independent"].draw)
    for shift in (0.03, 0.1):
        of = [
            shares(plain, n, shift=shift, families=FAMILIES, seed=3, allows=allows)[1]
            for allows in (False, True)
        ]
        assert of[0] - of[1] < 0.05


def test_autocorrelation_gives_what_a_sample_is_worth() -> None:
    rng = np.random.default_rng(5)
    for rho in (0.5, 0.8):
        sides = [100 + autoregression(rng, (300, 400), rho) for _ in range(2)]
        worth = np.median(dependence_of(sides).worth)
        assert worth == pytest.approx((1 + rho) / (1 - rho), rel=0.35)
        assert worth > (1 + rho) / (1 - rho)  # rather too many than too few
    clean = dependence_of([rng.normal(100, 1, (4000, 30)) for _ in range(2)])
    assert clean.seen().mean() < 0.06
    assert clean.sure().mean() < 0.01


def test_a_drift_is_allowed_for_in_either_direction_and_a_jump_is_not_one() -> None:
    time = np.arange(20.0)[None, :]
    wiggle = np.random.default_rng(6).normal(0, 0.3, (2, 1, 20))
    for slope in (0.1, -0.1):
        base, candidate = 100 + slope * time + wiggle[0], 100 + slope * (20 + time) + wiggle[1]
        found = depending(base, candidate)
        assert found is not None
        assert found.drift[0] == pytest.approx(0.02, rel=0.2)
    jump = depending(100 + wiggle[0], 110 + wiggle[1])
    assert jump is not None
    assert jump.drift[0] == 0


def test_sessions_end_by_an_hour_and_cancel_where_both_sides_share_them() -> None:
    base = np.array([[0.0, 60.0, 9 * HOUR]])
    assert [x.tolist() for x in session_labels(base, base + 20 * HOUR)] == [
        [[0, 0, 1]],
        [[2, 2, 3]],
    ]
    assert [x.tolist() for x in session_labels(base, base + 5)] == [[[0, 0, 0]], [[0, 0, 0]]]
    assert session_labels(base)[0].tolist() == [[0, 0, 1]]


def test_files_of_several_sessions_are_told(ntbbench: Callable, tmp_path: Path) -> None:
    """Twelve files a side in three sessions that differ by more than files do."""
    for side, days in (("a", (1, 2, 3)), ("b", (11, 12, 13))):
        (tmp_path / side).mkdir()
        for day, shift in zip(days, (1.0, 1.1, 0.9), strict=True):
            for i in range(4):
                record = pytest_benchmark(100 * day + i, 9, test_scan=1e-3 * shift)
                record["datetime"] = f"2026-01-{day:02}T10:0{i}:00+00:00"
                written(tmp_path / side / f"{day}-{i}.json", record)
    ran = ntbbench("compare", tmp_path / "a", tmp_path / "b")
    assert "sessions differ more than their samples" in " ".join(ran.out.split())


def test_a_change_between_two_sessions_is_told_once(ntbbench: Callable, tmp_path: Path) -> None:
    for side, hour, factor in (("a", 1, 1.0), ("b", 9, 1.2), ("c", 1, 1.2)):
        (tmp_path / side).mkdir()
        for i in range(6):
            record = pytest_benchmark(10 * i + ord(side), 9, t1=factor * 1e-3, t2=factor * 1e-3)
            record["datetime"] = f"2026-01-01T0{hour}:0{i}:00"
            written(tmp_path / side / f"{i}.json", record)
    for other, told in (("b", 1), ("c", 0)):
        ran = ntbbench("gate", tmp_path / "a", tmp_path / other)
        assert (ran.code, " ".join(ran.out.split()).count("each side is one session")) == (1, told)


def test_whoever_is_told_to_run_more_is_told_what_looking_costs(ntbbench, tmp_path: Path) -> None:
    runs = tmp_path / "x.csv"
    rng = np.random.default_rng(3)
    runs.write_text("a,b\n" + "\n".join(f"{a},{b}" for a, b in rng.normal(100, 5, (8, 2))))
    told = " ".join(ntbbench("compare", "--runs", runs, "-v").out.split())
    assert told.count("ntbbench ab --base CMD --candidate CMD --until decided") == 1
    assert "n to settle: with so many samples a side a change of twice the threshold" in told
    told = ntbbench("compare", "--runs", runs, "--format", "ktap").out
    assert "runs a side would settle a change of 4 %, or none" in told


@pytest.mark.parametrize("noise", [NOISES[0], NOISES[3], CONTAMINATED], ids=lambda n: n.name)
@pytest.mark.parametrize("family", [1, 10, 100])
def test_the_detectable_change_is_called_regressed(noise: Noise, family: int) -> None:
    """Given the threshold, in a family of that size: in 80 % of cases of normal noise."""
    low = {"normal": 0.72}.get(noise.name, 0.55)
    for n in (12, 20, 50):
        change, power = power_at_detectable(noise, (n, n), family=family, threshold=0.02, rows=400)
        assert change > 0.02
        assert low < power < 0.95


def test_calibrated_thresholds_hold_and_do_not_grow_with_the_rounds() -> None:
    few, many = (calibrated(rounds, repeats=8, pairs=8) for rounds in (6, 30))
    assert many["threshold"] < few["threshold"]
    assert many["power"] > max(few["power"], 0.5)
    for found in (few, many):
        assert found["expected"] <= 0.051
        assert found["alarms"] <= 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / 64)


def test_a_calibration_tells_the_components() -> None:
    """Rounds of 1 %, processes of 1.5 %, sessions of 3 % where the runs say when they began."""
    rng = np.random.default_rng(8)
    runs = aa_runs(rng, 40)
    found = calibrate(runs, Policy(resamples=200))
    assert np.mean([f.sample_sd for f in found.floors]) == pytest.approx(0.01, rel=0.1)
    assert np.mean([f.process_sd for f in found.floors]) == pytest.approx(0.015, rel=0.15)
    assert {f.session_sd for f in found.floors} == {None}
    shifted = []
    for number in range(40):
        session = number // 4
        factor = 1 + 0.03 * math.sin(1 + 2.4 * session) * math.sqrt(2)
        (run,) = aa_runs(rng, 1, factor)
        shifted.append(replace(run, begun=session * 24 * HOUR + number))
    told = calibrate(shifted, Policy(resamples=200))
    assert np.mean([f.session_sd for f in told.floors]) == pytest.approx(0.03, rel=0.3)
    assert told.floors[0].threshold > found.floors[0].threshold
