# SPDX-License-Identifier: BSD-3-Clause
"""What `pytest --benchmark-json` and pyperf write.

Numbers in pytest's `extra_info` are read as exact metrics, those in objects by their dotted keys. A
list of whole numbers is one metric: counts of each queue, say. Words describe, and lists with
fractions are taken for measurements. Of pyperf the values of each worker process are read; warmups
and calibration are left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, Struct, UnsetType

from ntbbench.compare.readers.checked import exact_value, flatten, samples_of
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import ONE_PROCESS
from ntbbench.core.errors import InputError

PYTEST_BENCHMARK, PYPERF = "pytest-benchmark", "pyperf"
PYTEST_CPU = "cpu.brand_raw"
PYTEST_EXPECTED = (
    *("machine", "python_compiler", "python_implementation"),
    *(PYTEST_CPU, "cpu.flags"),
)
# What tells machines apart where the CPU has no name, as on most Arm boards. What changes on one
# machine (its frequency, the version of py-cpuinfo) is not among it.
PYTEST_MACHINE = (
    *("node", "processor"),
    *("cpu.vendor_id_raw", "cpu.hardware_raw", "cpu.arch", "cpu.arch_string_raw", "cpu.bits"),
    *("cpu.count", "cpu.family", "cpu.model", "cpu.stepping"),
    *("cpu.l1_data_cache_size", "cpu.l2_cache_size", "cpu.l3_cache_size"),
)
PYPERF_CPU = "cpu_model_name"
PYPERF_STRICT = (PYPERF_CPU, "python_compiler", "python_implementation", "python_cflags")
UNITS = {"second": "s", "byte": "B", "integer": ""}


class BenchmarkStats(Struct, frozen=True):
    """The rounds of one benchmark, seconds each."""

    data: list[float] | UnsetType = UNSET


class BenchmarkRounds(Struct, frozen=True):
    """One benchmark of pytest."""

    name: str
    stats: BenchmarkStats
    fullname: str | None = None
    extra_info: dict[str, Any] = {}


class Saved(Struct, frozen=True):
    """A whole file of pytest."""

    benchmarks: list[BenchmarkRounds]
    machine_info: dict[str, Any] = {}
    commit_info: dict[str, Any] = {}
    datetime: Any = None


class PyperfRun(Struct, frozen=True):
    """One worker process of pyperf."""

    values: list[float] = []
    metadata: dict[str, Any] = {}


class Benchmark(Struct, frozen=True):
    """One benchmark of pyperf."""

    runs: list[PyperfRun]
    metadata: dict[str, Any] = {}


class Suite(Struct, frozen=True):
    """A whole file of pyperf."""

    benchmarks: list[Benchmark]
    metadata: dict[str, Any] = {}


def read_pytest_benchmark(data: bytes, label: str, where: str) -> Variant:
    """Return the variant that a file of pytest holds.

    InputError: a name that is there twice, and a file that was saved without its samples.
    """
    saved = msgspec.json.decode(data, type=Saved)
    told = {key: text for key, text in flatten(saved.machine_info) if text.strip()}
    context = _only(told, ("node", "release", "python_version"))
    if isinstance(saved.commit_info.get("id"), str):
        context["commit"] = saved.commit_info["id"]
    variant = Variant(
        label,
        PYTEST_BENCHMARK,
        {},
        # The counter is of benches.instructions: perf and callgrind count differently.
        _only(told, (*PYTEST_EXPECTED, "counter")),
        context,
        cpu=PYTEST_CPU,
        machine=_only(told, PYTEST_MACHINE),
        expects=PYTEST_EXPECTED,
        begun=seconds_of(saved.datetime),
    )
    for benchmark in saved.benchmarks:
        _add_rounds(variant, benchmark, where)
    return variant


def _add_rounds(variant: Variant, benchmark: BenchmarkRounds, where: str) -> None:
    name, rounds = benchmark.fullname or benchmark.name, benchmark.stats.data
    _check_new(variant, name, where)
    if isinstance(rounds, UnsetType):
        allowed = "a file saved by --benchmark-json, with the rounds"
        raise InputError(f"{where}: {name}", "no stats.data", allowed)
    if rounds:
        variant.series[name] = Series(
            metric=name,
            kind="noisy",
            unit="s",
            better="lower",
            samples=samples_of(rounds, where, name),
            cautions=(ONE_PROCESS,),
        )
    for key, value in _numbers_of(benchmark.extra_info):
        metric = f"{name}:{key}"
        _check_new(variant, metric, where)
        if isinstance(value, list):
            text = msgspec.json.encode(value).decode()
            variant.series[metric] = Series(metric=metric, kind="exact", better="none", value=text)
        else:
            number = exact_value(value, where, metric)
            variant.series[metric] = Series(metric=metric, quantity=key, kind="exact", value=number)


def _numbers_of(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, number or list of counts) of what is no word, flag or null."""
    for key, value in tree.items():
        name = f"{prefix}{key}"
        counts = isinstance(value, list) and value and all(map(_countable, value))
        if isinstance(value, Mapping):
            yield from _numbers_of(value, f"{name}.")
        elif counts or (isinstance(value, int | float) and not isinstance(value, bool)):
            yield name, value


def _countable(item: object) -> bool:
    """Return whether an item of a list is a whole number, or a list of such."""
    if isinstance(item, list):
        return all(map(_countable, item))
    return isinstance(item, int) and not isinstance(item, bool)


def read_pyperf(data: bytes, label: str, where: str) -> Variant:
    """Return the variant that a file of pyperf holds.

    InputError: a benchmark without a name, or with that of another.
    """
    suite = msgspec.json.decode(data, type=Suite)
    known: dict[str, Any] = {}
    series: dict[str, Series] = {}
    variant = Variant(label, PYPERF, series, cpu=PYPERF_CPU, expects=PYPERF_STRICT)
    for benchmark in suite.benchmarks:
        metadata = {**suite.metadata, **benchmark.metadata}
        for run in benchmark.runs:
            known |= run.metadata
        known |= metadata
        name = metadata.get("name")
        if not isinstance(name, str) or not name:
            raise InputError(f"{where}: metadata.name", name, "the name of the benchmark")
        _check_new(variant, name, where)
        if runs := [run for run in benchmark.runs if run.values]:
            series[name] = _series_of(runs, where, name, str(metadata.get("unit", "second")))
    told = {key: str(value) for key, value in known.items() if str(value).strip()}
    variant = replace(variant, begun=seconds_of(known.get("date")))
    variant.environment.update(_only(told, PYPERF_STRICT))
    variant.machine.update(_only(told, ("hostname", "cpu_count", "cpu_machine")))
    variant.context.update(_only(told, ("platform", "hostname", "python_version", "cpu_config")))
    return variant


def _series_of(runs: list[PyperfRun], where: str, name: str, unit: str) -> Series:
    """Return the samples of one benchmark: one a process, of a single process its values."""
    values = [samples_of(run.values, where, name) for run in runs]
    cautions: tuple[str, ...] = (ONE_PROCESS,)
    samples, times = values[0], None
    if len(runs) > 1:
        samples = np.array([one.mean() for one in values])
        cautions = ("averaged-by-process",) if max(map(len, values)) > 1 else ()
        begun = [seconds_of(run.metadata.get("date")) for run in runs]
        times = None if None in begun else np.array(begun, dtype=np.float64)
    return Series(
        metric=name,
        kind="noisy",
        unit=UNITS.get(unit, unit),
        better="lower" if unit == "second" else "unsaid",
        samples=samples,
        times=times,
        cautions=cautions,
    )


def seconds_of(text: object) -> float | None:
    """Return a date in ISO form as seconds since 1970, UTC where it says no zone; None: no date."""
    try:
        begun = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if begun is None:
        return None
    return (begun if begun.tzinfo else begun.replace(tzinfo=UTC)).timestamp()


def _only(told: Mapping[str, str], keys: Sequence[str]) -> dict[str, str]:
    return {key: told[key] for key in keys if key in told}


def _check_new(variant: Variant, name: str, where: str) -> None:
    if name in variant.series:
        raise InputError(f"{where}: benchmarks", name, "each name once")
