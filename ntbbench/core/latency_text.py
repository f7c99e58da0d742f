# SPDX-License-Identifier: BSD-3-Clause
"""Summaries of ping and of sockperf: latencies in seconds, lost messages in per cent."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ntbbench.core.errors import InputError

US, MS = 1e-6, 1e-3
PING, SOCKPERF = "ping", "sockperf"
ROUND_TRIP, ONE_WAY = "round trip", "one way"
LOAD = "one way, under load"
RUNS_MAX = 10_000
NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
BEGINS = re.compile(
    r"^[>\s]*(?:PING \S+ \(|--- \S+ ping statistics ---|sockperf(?:\[\w+\])?: )", re.MULTILINE
)
STATISTICS = re.compile(r"--- (\S{1,200}) ping statistics ---")
SENT = re.compile(
    r"(\d{1,12}) packets transmitted, (\d{1,12})(?: packets)? received"
    rf"(?:, \+\d{{1,12}} \w+)*, {NUMBER}% packet loss"
)
TIMES = re.compile(
    rf"(?:rtt|round-trip) min/avg/max(?:/(?:mdev|stddev|std-dev))? = {NUMBER}/{NUMBER}/{NUMBER}"
    rf"(?:/{NUMBER})? ms"
)
SUMMARY = re.compile(rf"sockperf: Summary: (Latency|Round trip) is {NUMBER} usec")
RATE = re.compile(rf"sockperf: Summary: BandWidth is {NUMBER} MBps \({NUMBER} Mbps\)")
AVERAGE = re.compile(rf"sockperf: =+> avg-(?:lat|latency|rtt)= *{NUMBER} \(std-dev= *{NUMBER}")
OBSERVED = re.compile(
    rf"sockperf: -+> (?:<(MAX|MIN)> observation|percentile {NUMBER}) += *{NUMBER}"
)
TOTAL = re.compile(r"sockperf: Total (\d{1,12}) observations")
VALID = re.compile(r".*\[Valid Duration\].*SentMessages=(\d{1,12}); ReceivedMessages=(\d{1,12})")
RUN = re.compile(r"sockperf: \[Total Run\]|sockperf\[CLIENT\]")
UNDER_LOAD = re.compile(r"sockperf: .*under-load")


@dataclass
class LatencyRun:
    """What one run printed; seconds and per cent, None: it did not."""

    tool: str
    what: str
    average: float | None = None
    least: float | None = None
    most: float | None = None
    deviation: float | None = None
    percentiles: dict[str, float] = field(default_factory=dict)
    samples: int | None = None
    lost_percent: float | None = None
    bits_per_second: float | None = None  # of sockperf's throughput mode


def is_latency(head: str) -> bool:
    """Return whether a text begins as ping or sockperf prints."""
    return BEGINS.search(head) is not None


def latencies(text: str, where: str) -> list[LatencyRun]:
    """Return the runs of a text; InputError: no summary, or numbers that contradict each other."""
    runs = [*_pings(text, where), *_sockperfs(text)]
    if not runs:
        allowed = "a summary of ping (rtt min/avg/max) or of sockperf (Summary: ...): cut off?"
        raise InputError("input", where, allowed)
    if len(runs) > RUNS_MAX:
        raise InputError("input", where, f"at most {RUNS_MAX} runs")
    return runs


def _pings(text: str, where: str) -> Iterator[LatencyRun]:
    run: LatencyRun | None = None
    for number, line in enumerate(_lines(text), 1):
        if STATISTICS.match(line) is not None:
            if run is not None:
                yield run
            run = LatencyRun(PING, ROUND_TRIP)
        elif run is not None and (sent := SENT.match(line)) is not None:
            if float(sent[3]) > 100:
                raise InputError("input", f"{where}:{number}", "a loss of at most 100 %")
            run.samples, run.lost_percent = int(sent[2]), float(sent[3])
        elif run is not None and (times := TIMES.match(line)) is not None:
            run.least, run.average, run.most = (float(times[n]) * MS for n in (1, 2, 3))
            run.deviation = None if times[4] is None else float(times[4]) * MS
            if not run.least <= run.average <= run.most:
                raise InputError("input", f"{where}:{number}", "min, avg and max in their order")
    if run is not None:
        yield run


def _sockperfs(text: str) -> Iterator[LatencyRun]:
    run: LatencyRun | None = None
    lost, way = None, ONE_WAY
    for line in _lines(text):
        if RUN.match(line) is not None:
            if run is not None:
                yield run
            run, lost = None, None
            way = ONE_WAY if line.startswith("sockperf[") else way
        elif UNDER_LOAD.match(line) is not None:
            way = LOAD
        elif (valid := VALID.match(line)) is not None:
            sent, received = int(valid[1]), int(valid[2])
            lost = 100 * max(sent - received, 0) / sent if sent and received else None
        elif (average := AVERAGE.match(line)) is not None:
            run = run or LatencyRun(SOCKPERF, way, lost_percent=lost)
            run.average, run.deviation = float(average[1]) * US, float(average[2]) * US
        elif (summary := SUMMARY.match(line)) is not None:
            run = run or LatencyRun(SOCKPERF, way, lost_percent=lost)
            run.what = way if summary[1] == "Latency" else ROUND_TRIP
            run.average = run.average or float(summary[2]) * US
        elif (rate := RATE.match(line)) is not None:
            run = LatencyRun(SOCKPERF, "throughput", bits_per_second=float(rate[2]) * 1e6)
        elif run is not None:
            _add_observation(run, line)
    if run is not None:
        yield run


def _add_observation(run: LatencyRun, line: str) -> None:
    if (total := TOTAL.match(line)) is not None:
        run.samples = int(total[1])
    elif (seen := OBSERVED.match(line)) is not None:
        value = float(seen[3]) * US
        if seen[1] == "MAX":
            run.most = value
        elif seen[1] == "MIN":
            run.least = value
        else:
            run.percentiles[f"{float(seen[2]):g}"] = value


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        yield line[:1000].lstrip("> \t").rstrip()
