# SPDX-License-Identifier: BSD-3-Clause
"""Latencies in an HDR histogram: three digits from a nanosecond to an hour.

The engines count in buckets of the same layout (`latency_bucket()`): bucket i is count i of the
library's histogram, which merges, gives quantiles, and is written as the base64 that every
HdrHistogram tool reads. Counts are handed over as arrays, for the library is plain Python: a call a
value or a bucket cost most of a replication.

Reference: G. Tene, HdrHistogram, http://hdrhistogram.org (formats V2, compressed).
"""

import zlib
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
from hdrh.codec import (
    HdrCookieException,
    HdrHistogramEncoder,
    HdrHistogramSettingsException,
    HdrLengthException,
)
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from ntbbench.core.errors import InputError
from ntbbench.datapath.outcome import latency_bucket
from ntbbench.datapath.records import QUANTILES

LARGEST_NS = 3600 * 10**9
DIGITS = 3
NS = 1e-9  # seconds
LAYOUT = (1, LARGEST_NS, DIGITS)
SHOWN = 20  # characters of a damaged text
ALLOWED = "the base64 of an HDR histogram"
DAMAGED = (  # what the library raises
    ValueError, TypeError, IndexError, MemoryError, OverflowError, zlib.error,
    HdrCookieException, HdrLengthException, HdrHistogramSettingsException,
)  # fmt: skip


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
    """Return the histogram of a text.

    Raises
    ------
    InputError : the text is none of `encoded`.
    """
    try:
        payload = HdrHistogramEncoder.decode(text)
        head = payload.payload
        layout = (
            head.lowest_trackable_value, head.highest_trackable_value, head.significant_figures,
        )  # fmt: skip
        if layout != LAYOUT:
            raise InputError("latencies", text[:SHOWN], f"{ALLOWED} of the layout {LAYOUT}")
        return HdrHistogram(*LAYOUT, hdr_payload=payload)
    except DAMAGED as error:
        why = str(error) or type(error).__name__
        raise InputError("latencies", text[:SHOWN], f"{ALLOWED}: {why}") from None


def encoded(histogram: HdrHistogram) -> str:
    """Return the histogram as text."""
    text: bytes = histogram.encode()
    return text.decode("ascii")


def quantiles(histogram: HdrHistogram) -> dict[str, float | None]:
    """Return p50, p99 and p999 in seconds, as the library does: the largest latency of a bucket.

    All are None where no packet was delivered.
    """
    if not histogram.get_total_count():
        return dict.fromkeys(QUANTILES)
    upto = np.cumsum(_counts_in(histogram)[: latency_bucket(histogram.max_value) + 1])
    found: dict[str, float | None] = {}
    for name, percentile in QUANTILES.items():
        wanted = np.uint64(histogram.get_target_count_at_percentile(percentile))
        value = histogram.get_value_from_index(int(np.searchsorted(upto, wanted)))
        found[name] = float(histogram.get_highest_equivalent_value(value) * NS)
    return found
