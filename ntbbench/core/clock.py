# SPDX-License-Identifier: BSD-3-Clause
"""Timed samples: batches long enough for the clock, the garbage collector at rest."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

NS = 1_000_000_000
SAMPLE_MIN = NS // 500  # 2 ms: some 1000 times the cost of reading the clock and of one call
SAMPLE_MAX = NS // 50  # 20 ms: with a clock so coarse that this is too short, a caution says so
STEPS_A_SAMPLE = 1000  # clock steps in a sample: one more or less is 0.1 %
RESOLUTION_READS = 1000
BATCH_MAX = 1 << 20  # ends the calibration under a clock that stands still

Clock = Callable[[], int]
monotonic: Clock = time.monotonic_ns
sleep = time.sleep
Run = Callable[[], None]


@dataclass(frozen=True)
class Timer:
    """A clock, and what it can tell apart."""

    clock: Clock  # returns nanoseconds and never goes back
    resolution: int  # its smallest step that was seen, in nanoseconds, at least 1

    @property
    def sample_duration(self) -> int:
        """The nanoseconds that a sample should take at least."""
        return min(max(SAMPLE_MIN, STEPS_A_SAMPLE * self.resolution), SAMPLE_MAX)

    def batch(self, run: Run) -> int:
        """Return how many calls of `run`, a power of two, make a sample long enough."""
        calls = 1
        while calls < BATCH_MAX and self.elapsed(run, calls) < self.sample_duration:
            calls *= 2
        return calls

    def elapsed(self, run: Run, calls: int) -> int:
        """Return the nanoseconds of `calls` calls of `run`, none of them a collector's."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            start = self.clock()
            for _ in range(calls):
                run()
            return self.clock() - start
        finally:
            if collecting:
                gc.enable()


def timer() -> Timer:
    """Return a timer on the CPU time of the calling thread, its resolution measured.

    What other programs take of the core then does not count; measured on a machine with twice as
    many busy threads as cores, intervals were five times narrower than with the time of day. A
    kernel's run neither waits nor sleeps.
    """
    return Timer(time.thread_time_ns, resolution(time.thread_time_ns))


def resolution(clock: Clock) -> int:
    """Return the smallest step between two readings that differ, in nanoseconds.

    A clock that does not move in RESOLUTION_READS readings is given the resolution of a second, so
    that whatever it times carries a caution.
    """
    readings = [clock() for _ in range(RESOLUTION_READS)]
    steps = (later - earlier for earlier, later in pairwise(readings))
    return min((step for step in steps if step > 0), default=NS)
