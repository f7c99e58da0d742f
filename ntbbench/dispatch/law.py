# SPDX-License-Identifier: BSD-3-Clause
"""The analytic law of wakeup amplification, against which every cell is checked.

    amplification = sum over sources of rate_v * fan_out_v / sum of rate_v

with fan_out_v = popcount(db_vector_mask(v) & active): what one interrupt of source v schedules.
The rates come from the workload's definition, the counts from a compiled kernel: two ways to one
number.
"""

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from ntbbench.core.errors import ModelDisagreement
from ntbbench.dispatch.engine import Counts
from ntbbench.ntb.workload.stream import Rate, Stream

# A right sweep of ten thousand cells raises a false alarm once in 10**8 such sweeps.
FALSE_ALARM = 1e-12


def fan_outs(db_vector_masks: Sequence[int], active: int) -> tuple[int, ...]:
    """Return how many QPs one interrupt of each source schedules."""
    return tuple((mask & active).bit_count() for mask in db_vector_masks)


def expected_amplification(rates: Sequence[Rate], fan_out: Sequence[int]) -> Fraction:
    """Return the amplification that the law gives; a float rate is taken for what it is exactly."""
    ratios = [rate.as_integer_ratio() for rate in rates]
    # Whole numbers in the proportion of the rates: adding fractions would cost ten times as much.
    common = math.lcm(*(denominator for _, denominator in ratios))
    weights = [numerator * (common // denominator) for numerator, denominator in ratios]
    weighted = sum(weight * calls for weight, calls in zip(weights, fan_out, strict=True))
    return Fraction(weighted, sum(weights))


def check(stream: Stream, fan_out: Sequence[int], drain: int, counts: Counts) -> Fraction:
    """Return the expected amplification of a stream after checking its counts against the law.

    Parameters
    ----------
    stream : the interrupts that were counted.
    fan_out : of each interrupt source (`fan_outs()`).
    drain : interrupts between two runs of the softirq.
    counts : what the kernel counted.

    Raises
    ------
    ModelDisagreement : two numbers that must be equal are not, or, where the stream was drawn, are
        farther apart than chance allows.
    """
    _check_balance(stream, drain, counts)
    by_source = zip(counts.vector_interrupts, fan_out, strict=True)
    calls_by_source = [interrupts * calls for interrupts, calls in by_source]
    _equal("schedule calls by source", counts.vector_schedule_calls, calls_by_source)
    _equal("schedule calls", counts.schedule_calls, sum(counts.vector_schedule_calls))
    expected = expected_amplification(stream.rates, fan_out)
    measured = Fraction(counts.schedule_calls, counts.interrupts)
    if stream.exact:
        wanted = [rate * counts.interrupts for rate in stream.rates]
        _equal("interrupts by source", counts.vector_interrupts, wanted)
        _equal("amplification", measured, expected)
    elif measured != expected and abs(measured - expected) > chance(stream, fan_out):
        raise ModelDisagreement(
            f"defect of ntbbench: amplification {float(measured)} counted, {float(expected)} "
            f"expected: farther apart than {counts.interrupts} draws can be"
        )
    return expected


def chance(stream: Stream, fan_out: Sequence[int]) -> Fraction:
    """Return how far drawn interrupts can be from the law but for a chance of FALSE_ALARM.

    With A the expected amplification, a draw (a burst) that leaves the sources P pending adds
    d = sum over P of (fan_out_v - A) to schedule_calls - A * interrupts. The d are independent with
    mean 0 and lie between the sums of the negative and of the positive terms of all sources that
    can be rung, or between the lowest and the highest term where a draw is one interrupt.
    Hoeffding's inequality in its maximal form bounds their sum over any number of draws up to
    `interrupts`; the last burst may be cut off, which adds at most that range once.

    Reference: W. Hoeffding, Probability inequalities for sums of bounded random variables, Journal
    of the American Statistical Association 58 (1963), theorem 2 and formula 2.17.
    """
    interrupts = stream.interrupts
    expected = expected_amplification(stream.rates, fan_out)
    reached = Counter(calls for rate, calls in zip(stream.rates, fan_out, strict=True) if rate)
    terms = {calls - expected: sources for calls, sources in reached.items()}
    if stream.trials == interrupts:
        span = max(terms) - min(terms)
    else:
        span = sum((abs(term) * sources for term, sources in terms.items()), Fraction(0))
    deviation = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * interrupts)) + 1 / interrupts
    return span * Fraction(deviation)


def _check_balance(stream: Stream, drain: int, counts: Counts) -> None:
    """Check what must add up in any run."""
    _equal("interrupts", counts.interrupts, stream.interrupts)
    _equal("wakeups + merged", counts.wakeups + counts.merged, counts.schedule_calls)
    runs = counts.useful_wakeups + counts.spurious_wakeups
    _equal("useful + spurious wakeups", runs, counts.wakeups)
    if drain == 1:
        _equal("merged, with the softirq after every interrupt", counts.merged, 0)


def _equal(what: str, counted: object, expected: object) -> None:
    if counted != expected:
        raise ModelDisagreement(
            f"defect of ntbbench: {what}: {counted} counted, {expected} expected"
        )
