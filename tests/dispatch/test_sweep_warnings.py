# SPDX-License-Identifier: BSD-3-Clause
"""Every warning of the closed list appears when it should, with its remedy, and only then."""

from dataclasses import replace

import msgspec
import pytest
from report_records import ok, unavailable

from ntbbench.core.clock import NS, Timer, timer
from ntbbench.core.environment import Environment, environment
from ntbbench.dispatch.records import Timing
from ntbbench.dispatch.sweep import cautions_of


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
def test_warnings_of_the_machine(
    resolution: int, checked: bool, governor: str, expected: list[str]
) -> None:
    where = steady()
    where = msgspec.structs.replace(
        where,
        cpu=msgspec.structs.replace(where.cpu, governor=governor),
        compiler=msgspec.structs.replace(where.compiler, checked=checked),
    )
    assert codes(GOOD, replace(FINE, resolution=resolution), where) == expected
