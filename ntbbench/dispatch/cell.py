# SPDX-License-Identifier: BSD-3-Clause
"""One cell of a sweep: its interrupts, its counts held against the law, its timed samples.

The analytic law of wakeup amplification, against which every cell is checked:

    amplification = sum over sources of rate_v * fan_out_v / sum of rate_v

with fan_out_v = popcount(db_vector_mask(v) & active): what one interrupt of source v schedules.
The rates come from the workload's definition, the counts from a compiled kernel: two ways to one
number.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from ntbbench.core.clock import Timer
from ntbbench.core.errors import InputError, ModelDisagreement
from ntbbench.dispatch import engine
from ntbbench.dispatch.engine.batch import DispatchCounts
from ntbbench.dispatch.records import Axes, OkPoint, Point, Timing
from ntbbench.dispatch.scenario import PointSpec
from ntbbench.ntb.device import dispatch_map
from ntbbench.ntb.vectormap import VectorMap
from ntbbench.ntb.workload import make_stream
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


def check_law(
    stream: Stream, fan_out: Sequence[int], drain: int, counts: DispatchCounts
) -> Fraction:
    """Return the expected amplification of a stream after checking its counts against the law.

    `fan_out` is of each interrupt source, `drain` the interrupts between two runs of the softirq.
    ModelDisagreement: two numbers that must be equal are not, or, where the stream was drawn, are
        farther apart than chance allows.
    """
    _equal("interrupts", counts.interrupts, stream.interrupts)
    _equal("wakeups + merged", counts.wakeups + counts.merged, counts.schedule_calls)
    runs = counts.useful_wakeups + counts.spurious_wakeups
    _equal("useful + spurious wakeups", runs, counts.wakeups)
    if drain == 1:
        _equal("merged, with the softirq after every interrupt", counts.merged, 0)
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


def _equal(what: str, counted: object, expected: object) -> None:
    if counted != expected:
        raise ModelDisagreement(
            f"defect of ntbbench: {what}: {counted} counted, {expected} expected"
        )


Floats = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 2000  # an end of the interval moves by a fraction of a percent between seeds
RESAMPLE_SEED = 1  # the interval depends on its samples alone
CHUNK_FLOATS = 4_000_000  # resampled values at a time: 32 MB


def timings(samples: Sequence[Sequence[float]]) -> list[Timing]:
    """Return the timing of each row of samples.

    Rows are of nanoseconds, at least one in each. A timing is the median, and the percentile
    interval of the median of resamples. Where there is nothing to resample, with one sample or
    equal ones, both ends are the median.
    """
    found: dict[int, Timing] = {}
    for length in sorted({len(row) for row in samples}):
        rows = [number for number, row in enumerate(samples) if len(row) == length]
        step = max(1, CHUNK_FLOATS // (RESAMPLES * length))
        for start in range(0, len(rows), step):
            chunk = rows[start : start + step]
            values = np.array([samples[number] for number in chunk], dtype=np.float64)
            medians = np.median(values, axis=1)
            lows, highs = (medians, medians) if length == 1 else _interval(values)
            for number, *ends in zip(chunk, medians, lows, highs, strict=True):
                median, low, high = map(float, ends)
                row = list(samples[number])
                found[number] = Timing(median=median, low=low, high=high, samples=row)
    return [found[number] for number in range(len(samples))]


def _interval(values: Floats) -> tuple[Floats, Floats]:
    """Return the lower and upper ends for float64[rows, samples], at least two samples."""
    from scipy.stats import bootstrap  # noqa: PLC0415  # a second that only timed sweeps pay

    interval = bootstrap(
        (values,),
        np.median,
        axis=1,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",  # BCa divides by zero where samples are equal
        rng=np.random.default_rng(RESAMPLE_SEED),
    ).confidence_interval
    # Interpolating between resamples rounds: an end may come out one ulp beyond what was measured.
    medians = np.median(values, axis=1)
    return (
        np.asarray(np.clip(interval.low, values.min(axis=1), medians)),
        np.asarray(np.clip(interval.high, medians, values.max(axis=1))),
    )


# Interrupts of one timed call: so many that the call itself (some 0.5 us) costs less than 0.02 ns
# per dispatch, so few that the stream (9 bytes each) stays in a core's second-level cache.
TIMED_INTERRUPTS = 1 << 15

MSI_KERNELS = {"reference": "reference-msi", "scan": "msi", "bitset": "bitset-msi"}


StreamKey = tuple[str, tuple[int, ...], int, int]


@dataclass(eq=False)
class SweepCell:
    """One combination of the axes, and what is known about it so far."""

    spec: PointSpec  # what was asked
    point: Point | None = None  # its counts; None: not counted yet. Without a timing.
    # nanoseconds per dispatch, one for each repeat
    samples: list[float] = field(default_factory=list)
    calls: int = 0  # calls of the kernel that make a timed sample; 0: not calibrated yet

    @cached_property
    def vector_map(self) -> VectorMap:
        """The device in its dispatch mode."""
        return dispatch_map(self.spec.hardware, self.spec.dispatch, self.spec.provision.queues)

    @property
    def stream_key(self) -> StreamKey:
        """What the interrupts depend on besides the scenario: cells that share it share them."""
        return (
            self.spec.workload.spec,
            self.vector_map.irq_masks,
            self.vector_map.db_valid_mask,
            self.spec.provision.queues,
        )

    @cached_property
    def axes(self) -> Axes:
        """What a point says about what was asked."""
        spec, given = self.spec, self.spec.provision
        return Axes(
            hardware=spec.hardware.name,
            dispatch=spec.dispatch,
            queues_requested=spec.queues_requested,
            queues=given.queues,
            qp_count=given.qps.qp_count,
            doorbells=spec.hardware.doorbells,
            vectors=spec.hardware.vectors,
            db_valid_mask=f"{spec.hardware.vector_map.db_valid_mask:#x}",
            mw_count=spec.hardware.mw_count,
            max_num_clients=spec.scenario.max_num_clients,
            workload=spec.workload.spec,
            drain=spec.scenario.drain,
            seed=spec.scenario.seed,
        )

    def wants_sample(self, repeats: int) -> bool:
        """Tell whether this cell is counted and has fewer than `repeats` samples."""
        return isinstance(self.point, OkPoint) and len(self.samples) < repeats

    def stream(self, interrupts: int) -> Stream:
        """Return this cell's interrupts; InputError: the workload does not fit the device."""
        spec = self.spec
        try:
            queues, seed = spec.provision.queues, spec.scenario.seed
            return make_stream(spec.workload, self.vector_map, queues, interrupts, seed)
        except InputError as error:
            device = f"{spec.hardware.name}, {spec.dispatch}, doorbells {spec.hardware.doorbells}"
            raise InputError(f"{device}: {error.field}", error.value, error.allowed) from None

    def prepare(self, kernel: str, stream: Stream) -> engine.Prepared:
        """Return `stream` bound to this cell's receiver and to a kernel; MSI has its own."""
        given = self.spec.provision
        return engine.prepare(
            MSI_KERNELS[kernel] if self.spec.dispatch == "msi" else kernel,
            stream.vectors,
            stream.rung,
            np.array(self.vector_map.db_vector_masks, dtype=np.uint64),
            codes=stream.codes,
            qp_bitmap=given.qps.qp_bitmap,
            # A QP that no queue has taken is free, and its bit is not scanned.
            qp_bitmap_free=given.qps.qp_bitmap & ~given.active,
            active=given.active,
            drain=self.spec.scenario.drain,
        )


def count(cell: SweepCell, stream: Stream, kernel: str = "bitset") -> OkPoint:
    """Return the counts of a cell; ModelDisagreement: they and the analytic law differ."""
    prepared = cell.prepare(kernel, stream)
    prepared.run()
    counts = prepared.counts()
    spec = cell.spec
    fan_out = fan_outs(cell.vector_map.db_vector_masks, spec.provision.active)
    expected = check_law(stream, fan_out, spec.scenario.drain, counts)
    qps = spec.provision.qps.qp_bitmap.bit_length()
    found = {
        name: value[:qps] if name.startswith("qp_") else value
        for name, value in vars(counts).items()
    }
    return OkPoint(
        **msgspec.structs.asdict(cell.axes),
        **found,
        rings=stream.rings,
        race_check_runs=race_check_runs(spec, counts.useful_wakeups),
        amplification=counts.schedule_calls / counts.interrupts,
        effective_amplification=counts.wakeups / counts.interrupts,
        expected_amplification=float(expected),
        spurious_ratio=counts.spurious_wakeups / counts.wakeups if counts.wakeups else 0.0,
    )


def race_check_runs(spec: PointSpec, useful_wakeups: int) -> int | None:
    """Return the empty runs that the race check adds; None: the driver's db_read() misleads it.

    A run that found a packet looks for its bit in db_read() when the ring is empty, clears it and
    runs once more; a ring that merged into that run left the same one bit. An MSI sets no bit.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_rxc_db, ntb_tx_copy_callback), Linux 7.3.
    """
    if spec.dispatch == "msi" or spec.hardware.db_read == "zero":
        return 0
    return useful_wakeups if spec.hardware.db_read == "latched" else None


def sample(cell: SweepCell, stream: Stream, timer: Timer) -> None:
    """Time the literal dispatch of `stream` once more and add the nanoseconds per dispatch."""
    prepared = cell.prepare("scan", stream)
    prepared.run()  # brings the stream into the cache; another cell was timed before
    if not cell.calls:
        cell.calls = timer.batch(prepared.run)
    elapsed = timer.elapsed(prepared.run, cell.calls)
    cell.samples.append(elapsed / (cell.calls * stream.interrupts))


def timed_stream(cell: SweepCell) -> Stream:
    """Return the interrupts to time: TIMED_INTERRUPTS of them, a short log over and over."""
    stream = cell.stream(TIMED_INTERRUPTS).by_interrupt()
    if stream.interrupts == TIMED_INTERRUPTS:
        return stream
    vectors = np.resize(stream.vectors, TIMED_INTERRUPTS)
    return replace(stream, vectors=vectors, rung=np.resize(stream.rung, TIMED_INTERRUPTS))
