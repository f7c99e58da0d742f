# SPDX-License-Identifier: BSD-3-Clause
"""What `pytest --benchmark-json` writes; numbers in `extra_info` are read as exact metrics.

Numbers in objects too, by their dotted keys. A list of whole numbers is one metric: counts of each
queue, say. Words describe, and lists with fractions are taken for measurements.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ntbbench.compare.readers.checked import exact_value, flatten, samples_of
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import ONE_PROCESS
from ntbbench.core.errors import InputError

SOURCE = "pytest-benchmark"
CPU = "cpu.brand_raw"
EXPECTED = ("machine", "python_compiler", "python_implementation", CPU, "cpu.flags")
# The counter is of benches.instructions: perf and callgrind count differently.
STRICT = (*EXPECTED, "counter")
# What tells machines apart where the CPU has no name, as on most Arm boards. What changes on one
# machine (its frequency, the version of py-cpuinfo) is not among it.
MACHINE = (
    *("node", "processor"),
    *("cpu.vendor_id_raw", "cpu.hardware_raw", "cpu.arch", "cpu.arch_string_raw", "cpu.bits"),
    *("cpu.count", "cpu.family", "cpu.model", "cpu.stepping"),
    *("cpu.l1_data_cache_size", "cpu.l2_cache_size", "cpu.l3_cache_size"),
)
CONTEXT = ("node", "release", "python_version")


class Stats(Struct, frozen=True):
    """The rounds of one benchmark, seconds each."""

    data: list[float] | UnsetType = UNSET


class Benchmark(Struct, frozen=True):
    """One benchmark."""

    name: str
    stats: Stats
    fullname: str | None = None
    extra_info: dict[str, Any] = {}


class Saved(Struct, frozen=True):
    """The whole file."""

    benchmarks: list[Benchmark]
    machine_info: dict[str, Any] = {}
    commit_info: dict[str, Any] = {}


def read(data: bytes, label: str, where: str) -> Variant:
    """Return the variant that the file holds.

    InputError: a name that is there twice, and for a file that was saved without its samples.
    """
    saved = msgspec.json.decode(data, type=Saved)
    machine = {key: text for key, text in flatten(saved.machine_info) if text.strip()}
    context = {key: machine[key] for key in CONTEXT if key in machine}
    if isinstance(saved.commit_info.get("id"), str):
        context["commit"] = saved.commit_info["id"]
    variant = Variant(
        label,
        SOURCE,
        {},
        {key: machine[key] for key in STRICT if key in machine},
        context,
        cpu=CPU,
        machine={key: machine[key] for key in MACHINE if key in machine},
        expects=EXPECTED,
    )
    for benchmark in saved.benchmarks:
        _add_benchmark(variant, benchmark, where)
    return variant


def _add_benchmark(variant: Variant, benchmark: Benchmark, where: str) -> None:
    name = benchmark.fullname or benchmark.name
    if name in variant.series:
        raise InputError(f"{where}: benchmarks", name, "each name once")
    rounds = benchmark.stats.data
    if isinstance(rounds, UnsetType):
        raise InputError(
            f"{where}: {name}", "no stats.data", "a file saved by --benchmark-json, with the rounds"
        )
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
        if metric in variant.series:
            raise InputError(f"{where}: benchmarks", metric, "each name once")
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
        if isinstance(value, Mapping):
            yield from _numbers_of(value, f"{name}.")
        elif (isinstance(value, list) and value and all(map(_countable, value))) or _is_number(
            value
        ):
            yield name, value


def _countable(item: object) -> bool:
    """Return whether an item of a list is a whole number, or a list of such."""
    if isinstance(item, list):
        return all(map(_countable, item))
    return isinstance(item, int) and not isinstance(item, bool)


def _is_number(value: object) -> bool:
    """Return whether a JSON value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
