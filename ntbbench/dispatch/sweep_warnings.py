# SPDX-License-Identifier: BSD-3-Clause
"""The warnings of a sweep: a closed list, each with its remedy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ntbbench.core.clock import NS, Timer
from ntbbench.core.environment import Environment
from ntbbench.dispatch.records import Caution, OkPoint, Point, Timing

REPEATS_MIN = 5  # below, the interval is hardly more than the range of the samples
UNSTABLE = 0.1  # width of the interval as a share of the median
CLOCK_STEPS_MIN = 100  # clock steps in a sample: fewer are an error above 1 %
STEADY_GOVERNOR = "performance"


@dataclass(frozen=True)
class Kind:
    """One entry of the list."""

    code: str
    remedy: str

    def caution(self, message: str, point: int | None = None) -> Caution:
        """Return a warning of this kind, about one point or the whole result."""
        return Caution(code=self.code, message=message, remedy=self.remedy, point=point)


FEW_REPEATS = Kind("few-repeats", f"use --repeats {REPEATS_MIN} or more")
UNSTABLE_TIMING = Kind(
    "unstable-timing", "leave the machine to the sweep, fix the CPU frequency, raise --repeats"
)
EQUAL_SAMPLES = Kind("equal-samples", "the interval says nothing: raise --repeats, check the clock")
COARSE_CLOCK = Kind("coarse-clock", "time on a machine or kernel with a finer clock")
CHECKED_BUILD = Kind("checked-build", "build without NTBBENCH_CHECKED; these timings mean nothing")
FREQUENCY_SCALING = Kind(
    "frequency-scaling", f"set the {STEADY_GOVERNOR} governor while a sweep is timed"
)
ENVIRONMENT_CHANGED = Kind(
    "environment-changed", "nothing to do: every timing is of the environment recorded here"
)
KINDS = (
    FEW_REPEATS,
    UNSTABLE_TIMING,
    EQUAL_SAMPLES,
    COARSE_CLOCK,
    CHECKED_BUILD,
    FREQUENCY_SCALING,
    ENVIRONMENT_CHANGED,
)


def cautions_of(points: Sequence[Point], timer: Timer, environment: Environment) -> list[Caution]:
    """Return the warnings about timed points; counts are exact and need none."""
    timed = [
        (number, point.ns_per_dispatch)
        for number, point in enumerate(points)
        if isinstance(point, OkPoint) and isinstance(point.ns_per_dispatch, Timing)
    ]
    if not timed:
        return []
    found = list(_of_machine(timer, environment))
    fewest = min(len(timing.samples) for _, timing in timed)
    if fewest < REPEATS_MIN:
        found.append(FEW_REPEATS.caution(f"{fewest} timed samples a point"))
    for number, timing in timed:
        found += _of_timing(timing, number)
    return found


def _of_machine(timer: Timer, environment: Environment) -> Iterator[Caution]:
    if timer.sample_duration < CLOCK_STEPS_MIN * timer.resolution:
        yield COARSE_CLOCK.caution(
            f"the clock's smallest step is {timer.resolution / NS:.3g} s, "
            f"a sample lasts {timer.sample_duration / NS:.3g} s"
        )
    if environment.compiler.checked:
        yield CHECKED_BUILD.caution("the kernels were built with checks and sanitizers")
    governor = environment.cpu.governor
    if governor != STEADY_GOVERNOR and not governor.startswith("not readable"):
        yield FREQUENCY_SCALING.caution(f"the CPU frequency governor is {governor}")


def _of_timing(timing: Timing, point: int) -> Iterator[Caution]:
    if len(timing.samples) > 1 and min(timing.samples) == max(timing.samples):
        yield EQUAL_SAMPLES.caution(f"all {len(timing.samples)} samples are equal", point)
    elif timing.high - timing.low > UNSTABLE * timing.median:
        yield UNSTABLE_TIMING.caution(
            f"median {timing.median:.4g} ns, interval {timing.low:.4g} to {timing.high:.4g} ns",
            point,
        )
