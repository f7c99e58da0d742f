# SPDX-License-Identifier: BSD-3-Clause
"""One replication: from a point and a number to its record, its latencies in an HDR histogram.

The engines count in buckets of the histogram's layout (`latency_bucket()`), three digits from a
nanosecond to an hour: bucket i is count i of the library's histogram, which merges, gives
quantiles, and is written as the base64 that every HdrHistogram tool reads. Counts are handed over
as arrays, for the library is plain Python: a call a value or a bucket cost most of a replication.

Reference: G. Tene, HdrHistogram, http://hdrhistogram.org (formats V2, compressed).
"""

import base64
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import msgspec
import numpy as np
from hdrh.codec import (
    PayloadHeader,
    ext_header_size,
    get_compression_cookie,
    get_encoding_cookie,
    payload_header_size,
)
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from ntbbench.core.errors import InputError
from ntbbench.core.input_file import COUNT_MAX
from ntbbench.core.units import PS
from ntbbench.datapath.engine import simulate
from ntbbench.datapath.grid_point import SimulationSpec, engine_seed, resolve
from ntbbench.datapath.outcome import CpuTime, RunCause, SystemOutcome, latency_bucket
from ntbbench.datapath.records import CPU_KINDS, QUANTILES, Replication, SimulationCounts

LARGEST_NS = 3600 * 10**9
DIGITS = 3
NS = 1e-9  # seconds
LAYOUT = (1, LARGEST_NS, DIGITS)
SHOWN = 20  # characters of a damaged text
ALLOWED = "the base64 of an HDR histogram"
MORE = 0x80  # of a byte: the number goes on in the next one
NUMBER_BYTES = 8  # that a count of COUNT_MAX takes
PACKED_MAX = 1 << 19  # bytes; a histogram of the layout has 33,792 counts of at most 8


def _counts_in(histogram: HdrHistogram) -> NDArray[np.uint64]:
    """Return the counts of a histogram: a view, in which they can be changed."""
    return np.frombuffer(histogram.counts, np.uint64)


def histogram_of(latency: Sequence[tuple[int, int]]) -> HdrHistogram:
    """Return the histogram of an outcome's (bucket, packets), ascending; nanoseconds."""
    histogram = HdrHistogram(*LAYOUT)
    flat = np.fromiter(chain.from_iterable(latency), np.int64, 2 * len(latency))
    buckets = np.minimum(flat[::2], latency_bucket(LARGEST_NS))
    packets = flat[1::2]
    if len(buckets):
        np.add.at(_counts_in(histogram), buckets, packets.astype(np.uint64))
        least, largest = int(buckets[0]), int(buckets[-1])
        histogram.set_internal_tacking_values(least, largest, int(packets.sum()))
    return histogram


def merged(encoded: Iterable[str]) -> HdrHistogram:
    """Return the sum of encoded histograms."""
    total = HdrHistogram(*LAYOUT)
    counts = _counts_in(total)
    for text in encoded:
        one = decoded(text)
        if one.total_count:
            end = latency_bucket(one.max_value) + 1
            counts[:end] += _counts_in(one)[:end]
    filled = np.flatnonzero(counts != 0)
    if len(filled):
        total.set_internal_tacking_values(int(filled[0]), int(filled[-1]), int(counts.sum()))
    return total


def decoded(text: str) -> HdrHistogram:
    """Return the histogram of a text; InputError: the text is none of `encoded`.

    The counts are read here, not by the library: its C code writes beyond its buffer where a file
    has counts of 2^63.
    """
    try:
        head, body = _unpacked(text)
        layout = (
            head.lowest_trackable_value, head.highest_trackable_value, head.significant_figures,
        )  # fmt: skip
        if layout != LAYOUT:
            raise ValueError(f"not of the layout {LAYOUT}")
        histogram = HdrHistogram(*LAYOUT)
        counts = _counts_in(histogram)
        places, found = _counts_of(np.frombuffer(body, np.uint8), len(counts))
    except ValueError as error:  # also binascii.Error
        raise InputError("latencies", text[:SHOWN], f"{ALLOWED}: {error}") from None
    counts[places] = found
    if len(places):
        histogram.set_internal_tacking_values(int(places[0]), int(places[-1]), int(found.sum()))
    return histogram


def _unpacked(text: str) -> tuple[PayloadHeader, bytes]:
    """Return the header of a compressed histogram and its counts; ValueError: it is damaged."""
    packed = base64.b64decode(text, validate=True)
    outer, size = ext_header_size, payload_header_size
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed[outer:], size + PACKED_MAX)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not unpacker.eof or unpacker.unused_data or len(data) < size:
        raise ValueError("cut off, or larger than any histogram")
    head, length = PayloadHeader.from_buffer_copy(data), len(data) - size
    cookies = int.from_bytes(packed[:4], "big"), head.cookie
    lengths = int.from_bytes(packed[4:outer], "big"), head.payload_len
    if cookies != (get_compression_cookie(), get_encoding_cookie()):
        raise ValueError("not of version 2")
    if lengths != (len(packed) - outer, length) or head.normalizing_index_offset:
        raise ValueError("of another length than it says")
    return head, data[size:]


def _counts_of(
    body: NDArray[np.uint8], counts_len: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indexes that have a count, ascending, and the counts.

    A number is seven bits a byte, the lowest first, and the eighth bit says that more follow; its
    lowest bit is its sign. One below zero is so many counts of zero.

    Parameters
    ----------
    body : uint8[n], what stands behind the header.
    counts_len : how many counts a histogram of the layout has.

    Raises
    ------
    ValueError : a number is cut off, or the sum is not below COUNT_MAX, or there are more
        than `counts_len`.
    """
    ends = np.flatnonzero(body < MORE)
    if len(body) and (not len(ends) or ends[-1] != len(body) - 1):
        raise ValueError("cut off within a number")
    starts = np.concatenate(([0], ends[:-1] + 1))[: len(ends)]
    if len(ends) and int((ends - starts).max()) >= NUMBER_BYTES:
        raise ValueError(f"a count beyond {COUNT_MAX}")
    numbers = np.zeros(len(ends), np.int64)
    for at in range(NUMBER_BYTES):
        longer = starts + at <= ends
        numbers[longer] |= (body[starts[longer] + at] & (MORE - 1)).astype(np.int64) << 7 * at
    numbers = (numbers >> 1) ^ -(numbers & 1)
    steps = np.where(numbers < 0, np.minimum(-numbers, counts_len + 1), 1)
    if int(steps.sum()) > counts_len:
        raise ValueError(f"more than {counts_len} counts")
    some = numbers > 0
    if float(numbers[some].sum(dtype=np.float64)) >= COUNT_MAX:
        raise ValueError(f"not below {COUNT_MAX} in all")
    return (np.cumsum(steps) - 1)[some], numbers[some]


def encoded(histogram: HdrHistogram) -> str:
    """Return the histogram as text."""
    text: bytes = histogram.encode()
    return text.decode("ascii")


def quantiles(histogram: HdrHistogram) -> dict[str, float | None]:
    """Return p50, p99 and p999 in seconds: a bucket's largest latency; None: no packet came."""
    if not histogram.get_total_count():
        return dict.fromkeys(QUANTILES)
    upto = np.cumsum(_counts_in(histogram)[: latency_bucket(histogram.max_value) + 1])
    found: dict[str, float | None] = {}
    for name, percentile in QUANTILES.items():
        wanted = np.uint64(histogram.get_target_count_at_percentile(percentile))
        value = histogram.get_value_from_index(int(np.searchsorted(upto, wanted)))
        found[name] = float(histogram.get_highest_equivalent_value(value) * NS)
    return found


BITS_A_BYTE = 8
CHUNK_SECONDS = 0.5  # an end waits for what has begun, and a bar and savings for what ends


@dataclass(frozen=True)
class Chunk:
    """Replications of one point that are run one after the other."""

    point: int  # its place in the grid
    spec: SimulationSpec
    replications: tuple[int, ...]  # their numbers
    engine: str


def run_packed(chunk: Chunk) -> bytes:
    """Return the records of a chunk's replications, in order, for `unpacked`.

    After CHUNK_SECONDS the rest is left: who asked hands it out again. As MessagePack, for the
    parent reads pickles a quarter as fast.
    """
    found = []
    end = time.monotonic() + CHUNK_SECONDS
    for number in chunk.replications:
        found.append(replicate(chunk.spec, number, chunk.engine))
        if time.monotonic() >= end:
            break
    return msgspec.msgpack.encode(found)


def unpacked(runs: bytes) -> list[Replication]:
    """Return the records of `run_packed`."""
    return msgspec.msgpack.decode(runs, type=list[Replication])


def replicate(spec: SimulationSpec, number: int, engine: str) -> Replication:
    """Simulate one replication; InputError: the engines refuse the system."""
    outcome = simulate(resolve(spec, number), engine_seed(spec, number), engine=engine)
    counts, histogram = _counts(outcome), histogram_of(outcome.latency)
    seconds = outcome.interval_ps / PS
    return Replication(
        replication=number,
        throughput_bps=counts.delivered * spec.payload * BITS_A_BYTE / seconds,
        **quantiles(histogram),
        cpu_seconds=_cpu_seconds(spec, outcome),
        sender_cpu_seconds=sum(row[CpuTime.SENDER] for row in outcome.cpu_ps) / PS,
        counts=counts,
        wakeups_by_cause=_by_cause(outcome, "wakeups"),
        empty_runs_by_cause=_by_cause(outcome, "empty"),
        latencies=encoded(histogram),
    )


def _cpu_seconds(spec: SimulationSpec, outcome: SystemOutcome) -> dict[str, float]:
    """Return the time of the receiver's CPUs by kind; together they are all of it."""
    cpus = range(spec.scenario.receiver.cpus)
    spent = {
        kind: sum(outcome.cpu_ps[cpu][CpuTime[kind.upper()]] for cpu in cpus)
        for kind in CPU_KINDS
        if kind != "idle"
    }
    spent["idle"] = sum(map(outcome.idle_ps, cpus))
    return {kind: time / PS for kind, time in spent.items()}


def _by_cause(outcome: SystemOutcome, name: str) -> dict[str, int]:
    return {
        cause.name.lower(): sum(getattr(queue, name)[cause] for queue in outcome.queues)
        for cause in RunCause
    }


def _counts(outcome: SystemOutcome) -> SimulationCounts:
    """Return the counts of docs/metrics.md, summed over the queues."""
    queues, doorbell = outcome.queues, RunCause.DOORBELL
    calls = sum(queue.calls[doorbell] for queue in queues)
    wakeups = sum(queue.wakeups[doorbell] for queue in queues)
    alike = ("packets", "rings", "missed", "misrouted", "wiped", "ring_full")
    return SimulationCounts(
        **{name: sum(getattr(queue, name) for queue in queues) for name in alike},
        delivered=sum(flow.delivered for flow in outcome.flows),
        interrupts=sum(outcome.interrupts),
        scan_iterations=outcome.scan_iterations,
        schedule_calls=calls,
        wakeups=wakeups,
        merged=calls - wakeups,
        spurious_wakeups=sum(queue.empty[doorbell] for queue in queues),
        useful_wakeups=sum(queue.useful[doorbell] for queue in queues),
        race_check_runs=sum(queue.empty[RunCause.RACE_CHECK] for queue in queues),
        drops=sum(flow.dropped for flow in outcome.flows),
        ring_full_stops=sum(queue.stops for queue in queues),
        ksoftirqd=sum(outcome.ksoftirqd),
    )
