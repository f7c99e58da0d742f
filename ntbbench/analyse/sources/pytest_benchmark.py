# SPDX-License-Identifier: BSD-3-Clause
"""What `pytest --benchmark-json` writes; numbers in `extra_info` are read as exact metrics."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ntbbench.analyse.series import Series, Variant
from ntbbench.analyse.sources.checked import exact_value, flatten, samples_of
from ntbbench.errors import InputError

SOURCE = "pytest-benchmark"
STRICT = (
    "machine",
    "python_compiler",
    "python_implementation",
    "cpu.brand_raw",
    "cpu.flags",
    "counter",  # of benches.instructions: perf and callgrind count differently
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

    Raises
    ------
    InputError
        for a name that is there twice, and for a file that was saved without its samples.
    """
    saved = msgspec.json.decode(data, type=Saved)
    machine = dict(flatten(saved.machine_info))
    context = {key: machine[key] for key in CONTEXT if key in machine}
    if isinstance(saved.commit_info.get("id"), str):
        context["commit"] = saved.commit_info["id"]
    variant = Variant(
        label, SOURCE, {}, {key: machine[key] for key in STRICT if key in machine}, context
    )
    for benchmark in saved.benchmarks:
        add_benchmark(variant, benchmark, where)
    return variant


def add_benchmark(variant: Variant, benchmark: Benchmark, where: str) -> None:
    """Add the timing of one benchmark and the numbers of its `extra_info`."""
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
            samples=samples_of(rounds, where, name),
            cautions=("one-process",),
        )
    for key, value in benchmark.extra_info.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue  # words and lists describe a benchmark; only numbers are counted
        metric = f"{name}:{key}"
        if metric in variant.series:
            raise InputError(f"{where}: benchmarks", metric, "each name once")
        variant.series[metric] = Series(
            metric=metric, kind="exact", value=exact_value(value, where, metric)
        )
