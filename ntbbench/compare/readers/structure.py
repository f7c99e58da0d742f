# SPDX-License-Identifier: BSD-3-Clause
"""The structure of a JSON file, as far as it tells the formats apart; its values stay unread."""

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

OWN = "ntbbench."  # what our own schemas begin with
IPERF3 = "iperf3"
PYTEST_BENCHMARK = "pytest-benchmark"
PYPERF = "pyperf"
GOOGLE_BENCHMARK = "Google Benchmark"
HYPERFINE = "hyperfine"


class Probe(Struct):
    """The keys that the formats have at the top; their values stay unread."""

    schema: Raw | UnsetType = UNSET
    benchmarks: Raw | UnsetType = UNSET
    results: Raw | UnsetType = UNSET  # of hyperfine
    context: Raw | UnsetType = UNSET  # of Google Benchmark
    machine_info: Raw | UnsetType = UNSET
    start: Raw | UnsetType = UNSET
    intervals: Raw | UnsetType = UNSET
    end: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET

    def text_of_schema(self) -> str:
        """Return the schema; "" where there is none that is a text."""
        if isinstance(self.schema, UnsetType) or not begins(self.schema, b'"'):
            return ""
        return msgspec.json.decode(self.schema, type=str)

    def tool(self) -> str | None:
        """Return which tool wrote the file; None: ntbbench itself, or none that is known.

        The benchmarks themselves tell, then what a run of iperf3 is made of: a file may have any
        key beside those.
        """
        if self.text_of_schema().startswith(OWN):
            return None
        one = first(self.benchmarks)
        told = (
            (PYTEST_BENCHMARK, begins(one.stats, b"{")),
            (PYPERF, begins(one.runs, b"[")),
            (GOOGLE_BENCHMARK, one.real_time is not UNSET or one.cpu_time is not UNSET),
            (IPERF3, self._is_iperf3()),
            (HYPERFINE, begins(first(self.results).command, b'"')),
        )
        found = next((tool for tool, is_its in told if is_its), None)
        return found if found or not begins(self.benchmarks, b"[") else self._without_benchmarks()

    def _is_iperf3(self) -> bool:
        """Return whether it says how a run started and what came of it."""
        ended = begins(self.intervals, b"[") or begins(self.error, b'"')
        return begins(self.start, b"{") and (begins(self.end, b"{") or ended)

    def _without_benchmarks(self) -> str:
        """Return the likeliest tool of a list without a benchmark that tells whose it is."""
        if self.machine_info is not UNSET:
            return PYTEST_BENCHMARK
        return GOOGLE_BENCHMARK if begins(self.context, b"{") else PYPERF


class Item(Struct):
    """One benchmark, by the keys that tell whose it is."""

    stats: Raw | UnsetType = UNSET
    runs: Raw | UnsetType = UNSET
    real_time: Raw | UnsetType = UNSET
    cpu_time: Raw | UnsetType = UNSET
    command: Raw | UnsetType = UNSET


def begins(value: Raw | UnsetType, mark: bytes) -> bool:
    """Return whether a value is there and begins with a bracket or a quote."""
    return not isinstance(value, UnsetType) and bytes(value)[:1] == mark


def first(values: Raw | UnsetType) -> Item:
    """Return the first object of a list; an empty one where there is none."""
    if isinstance(values, UnsetType) or not begins(values, b"["):
        return Item()
    objects = (item for item in msgspec.json.decode(values, type=list[Raw]) if begins(item, b"{"))
    return next((msgspec.json.decode(item, type=Item) for item in objects), Item())
