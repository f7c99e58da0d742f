# SPDX-License-Identifier: BSD-3-Clause
"""What a program of Google Benchmark writes with `--benchmark_format=json`.

Every repetition is a sample of the wall time, the CPU time and each counter; what the library
aggregates of them is left out. All repetitions are of one process.
"""

import re
from typing import Any

from msgspec import Struct

from ntbbench.compare.readers.checked import add_noisy, flatten, seconds_of
from ntbbench.compare.readers.content import Content, ResultReader, begins
from ntbbench.compare.series import Variant
from ntbbench.compare.warning_list import ONE_PROCESS
from ntbbench.core.errors import InputError

SOURCE = "Google Benchmark"
CPU = "cpu"  # which the library does not name
SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
TIMES = ("real_time", "cpu_time")
ENTRY = {"run_name", "run_type", *TIMES}  # one of them is in every entry, and in no other tool's
# Keys of an entry with a number that is no counter.
NO_COUNTERS = {
    *(*TIMES, "family_index", "per_family_instance_index", "repetitions", "repetition_index"),
    *("threads", "iterations"),
}
# The counters of the library itself: (unit, which way is better).
OWN_COUNTERS = {
    "items_per_second": ("1/s", "higher"),
    "bytes_per_second": ("B/s", "higher"),
    "allocs_per_iter": ("", "lower"),
    "max_bytes_used": ("B", "lower"),
    "total_allocated_bytes": ("B", "lower"),
    "net_heap_growth": ("B", "lower"),
}
MACHINE = ("host_name", "num_cpus", "caches")
STRICT = ("library_build_type",)
# These change from run to run, or with the library.
VOLATILE = re.compile(r"date|executable|load_avg|json_schema_version|library_version")
Samples = dict[str, dict[str, list[float | None]]]  # by benchmark and quantity
AGGREGATES = "aggregates alone"
REPETITIONS = "every repetition: leave out --benchmark_report_aggregates_only"


class GoogleEntry(Struct, frozen=True):
    """What tells of which benchmark an entry is, and whether it is a repetition."""

    name: str
    run_name: str = ""
    run_type: str = "iteration"
    aggregate_name: str = ""
    time_unit: str = "ns"
    error_occurred: bool = False
    error_message: str = ""
    skipped: bool = False  # newer versions say it so
    skip_message: str = ""


class GoogleFile(Struct, frozen=True):
    """A whole file."""

    benchmarks: list[GoogleEntry]
    context: dict[str, Any] = {}


class GoogleValues(Struct, frozen=True):
    """All values of the entries, for counters have any name."""

    benchmarks: list[dict[str, Any]]


def recognises(content: Content) -> bool:
    """Return whether the benchmarks have the library's keys; of an empty list the context tells."""
    keys, one = content.keys, content.first("benchmarks")
    is_empty = begins(keys, "benchmarks", b"[") and not one and "machine_info" not in keys
    is_its = bool(ENTRY & one.keys()) and not begins(one, "stats", b"{")
    return is_its or (is_empty and begins(keys, "context", b"{"))


def read(content: Content, label: str) -> Variant:
    """Return the variant that a file holds.

    InputError: a unit of time that is none, and a file without any repetition.
    """
    saved = content.decode(GoogleFile)
    told = {
        key: text
        for key, text in flatten(saved.context)
        if text.strip() and not VOLATILE.fullmatch(key)
    }
    begun = seconds_of(saved.context.get("date"))
    variant = Variant(label, SOURCE, {}, cpu=CPU, expects=STRICT, begun=begun)
    for key, text in told.items():
        strict, machine = key in STRICT, key in MACHINE
        part = variant.environment if strict else variant.machine if machine else variant.context
        part[key] = text
    found = _samples_of(variant, saved, content.decode(GoogleValues), content.where)
    measured = [metrics for name, metrics in found.items() if name not in variant.unread]
    if measured and not any(measured):
        raise InputError(content.where, AGGREGATES, REPETITIONS)
    for name, metrics in found.items():
        if name in variant.unread:  # one repetition failed, and so the benchmark did
            continue
        if not metrics:
            variant.unread[name] = f"{AGGREGATES}; it takes {REPETITIONS}"
        for quantity, samples in metrics.items():
            unit, better = _meaning(quantity)
            add_noisy(
                variant, f"{name}:{quantity}", samples, content.where,
                quantity=quantity, unit=unit, better=better, cautions=(ONE_PROCESS,),
            )  # fmt: skip
    return variant


def _samples_of(variant: Variant, saved: GoogleFile, values: GoogleValues, where: str) -> Samples:
    """Return the samples of each quantity by benchmark; an error makes a benchmark unread."""
    found: Samples = {}
    for number, (entry, known) in enumerate(zip(saved.benchmarks, values.benchmarks, strict=True)):
        name = entry.run_name or entry.name
        if entry.error_occurred or entry.skipped:
            variant.unread[name] = f"it failed: {entry.error_message or entry.skip_message}"
        if entry.run_type != "iteration":
            if entry.aggregate_name == "mean":
                found.setdefault(name, {})
            continue
        if entry.time_unit not in SECONDS:
            field = f"{where}: benchmarks[{number}].time_unit"
            raise InputError(field, entry.time_unit, f"one of {', '.join(SECONDS)}")
        metrics = found.setdefault(name, {})
        for quantity in _quantities(known):
            value, size = known[quantity], SECONDS[entry.time_unit] if quantity in TIMES else 1.0
            metrics.setdefault(quantity, []).append(None if value is None else value * size)
    return found


def _quantities(entry: dict[str, Any]) -> list[str]:
    """Return the times and the counters of an entry: what is a number, or null for NaN."""
    numbers = (
        key
        for key, value in entry.items()
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    )
    return [key for key in numbers if key in TIMES or key not in NO_COUNTERS]


def _meaning(quantity: str) -> tuple[str, str]:
    """Return the unit of a quantity, and which way is better."""
    return ("s", "lower") if quantity in TIMES else OWN_COUNTERS.get(quantity, ("", "unsaid"))


READER = ResultReader(recognises, read)
