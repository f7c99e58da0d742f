# SPDX-License-Identifier: BSD-3-Clause
"""Latencies in an HDR histogram: three digits from a nanosecond to an hour.

The engines count in buckets of the same layout (`latency_bucket()`), for a call a packet would
cost more than the packet; here the buckets become the library's histogram, which merges, gives
quantiles, and is written as the base64 that every HdrHistogram tool reads.

Reference: G. Tene, HdrHistogram, http://hdrhistogram.org (formats V2, compressed).
"""

from collections.abc import Iterable

from hdrh.histogram import HdrHistogram

from ntbbench.measure.simulation_records import QUANTILES
from ntbbench.model.datapath.outcome import latency_bucket_low

LARGEST_NS = 3600 * 10**9
DIGITS = 3
NS = 1e-9  # seconds


def histogram_of(latency: Iterable[tuple[int, int]]) -> HdrHistogram:
    """Return the histogram of an outcome's (bucket, packets); nanoseconds."""
    histogram = HdrHistogram(1, LARGEST_NS, DIGITS)
    for bucket, packets in latency:
        histogram.record_value(min(latency_bucket_low(bucket), LARGEST_NS), packets)
    return histogram


def merged(encoded: Iterable[str]) -> HdrHistogram:
    """Return the sum of encoded histograms."""
    total = HdrHistogram(1, LARGEST_NS, DIGITS)
    for text in encoded:
        total.decode_and_add(text)
    return total


def encoded(histogram: HdrHistogram) -> str:
    """Return the histogram as text."""
    text: bytes = histogram.encode()
    return text.decode("ascii")


def quantiles(histogram: HdrHistogram) -> dict[str, float]:
    """Return p50, p99 and p999 in seconds; all 0 where no packet was delivered."""
    if not histogram.get_total_count():
        return dict.fromkeys(QUANTILES, 0.0)
    found = histogram.get_percentile_to_value_dict(list(QUANTILES.values()))
    return {name: found[percentile] * NS for name, percentile in QUANTILES.items()}
