# SPDX-License-Identifier: BSD-3-Clause
"""Every warning of the closed list appears when it should, with its remedy, and only then."""

from dataclasses import replace

import msgspec
import pytest
from report_records import ok, unavailable

from ntbbench.core.clock import NS, Timer, timer
from ntbbench.core.environment import Environment, environment
from ntbbench.dispatch.records import Timing
from ntbbench.dispatch.sweep_warnings import KINDS, cautions_of


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


def test_a_good_timing_has_no_warning() -> None:
    assert codes(GOOD) == []


def test_counts_alone_need_no_warning() -> None:
    coarse = Timer(lambda: 0, NS)
    assert cautions_of([ok(), unavailable()], coarse, steady()) == []


@pytest.mark.parametrize("samples", [[10.0], [9.9, 10.1], [9.9, 10.0, 10.1, 10.0]])
def test_few_repeats(samples: list[float]) -> None:
    assert codes(msgspec.structs.replace(GOOD, samples=samples)) == ["few-repeats"]


def test_an_unstable_timing_names_its_point() -> None:
    wide = msgspec.structs.replace(GOOD, high=10.91)
    points = [unavailable(), ok(ns=GOOD), ok(ns=wide)]
    (caution,) = cautions_of(points, FINE, steady())
    assert (caution.code, caution.point) == ("unstable-timing", 2)
    assert "10.91" in caution.message
    assert codes(msgspec.structs.replace(GOOD, high=10.8)) == []


def test_equal_samples() -> None:
    for value in (10.0, 0.0):
        equal = Timing(median=value, low=value, high=value, samples=[value] * 5)
        assert codes(equal) == ["equal-samples"]


def test_a_median_of_zero_is_unstable_not_a_division_by_zero() -> None:
    coarse = Timing(median=0.0, low=0.0, high=5.0, samples=[0.0, 0.0, 0.0, 5.0, 5.0])
    assert codes(coarse) == ["unstable-timing"]


def test_a_coarse_clock() -> None:
    assert codes(GOOD, replace(FINE, resolution=NS // 250)) == ["coarse-clock"]
    assert codes(GOOD, replace(FINE, resolution=10_000)) == []


def test_a_checked_build() -> None:
    where = steady()
    checked = msgspec.structs.replace(where.compiler, checked=True)
    assert codes(GOOD, where=msgspec.structs.replace(where, compiler=checked)) == ["checked-build"]


@pytest.mark.parametrize(
    ("governor", "expected"),
    [
        ("powersave", ["frequency-scaling"]),
        ("performance, powersave", ["frequency-scaling"]),
        ("not readable: no cpufreq/scaling_governor below there", []),
    ],
)
def test_frequency_scaling(governor: str, expected: list[str]) -> None:
    where = steady()
    cpu = msgspec.structs.replace(where.cpu, governor=governor)
    assert codes(GOOD, where=msgspec.structs.replace(where, cpu=cpu)) == expected


def test_the_list_is_closed_and_has_remedies() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)
    assert all(kind.remedy and kind.caution("m").remedy == kind.remedy for kind in KINDS)
