# SPDX-License-Identifier: BSD-3-Clause
"""What `pytest --benchmark-json` writes.

Numbers in `extra_info` are read as exact metrics, those in objects by their dotted keys. A list of
whole numbers is one metric: counts of each queue, say. Words describe, and lists with fractions are
taken for measurements.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from ntbbench.compare.readers.checked import (
    add_exact,
    add_noisy,
    check_new,
    flatten,
    only,
    seconds_of,
)
from ntbbench.compare.readers.content import Content, ResultReader, begins
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import ONE_PROCESS

SOURCE = "pytest-benchmark"
CPU = "cpu.brand_raw"
EXPECTED = ("machine", "python_compiler", "python_implementation", CPU, "cpu.flags")
# What tells machines apart where the CPU has no name, as on most Arm boards. What changes on one
# machine (its frequency, the version of py-cpuinfo) is not among it.
MACHINE = (
    *("node", "processor"),
    *("cpu.vendor_id_raw", "cpu.hardware_raw", "cpu.arch", "cpu.arch_string_raw", "cpu.bits"),
    *("cpu.count", "cpu.family", "cpu.model", "cpu.stepping"),
    *("cpu.l1_data_cache_size", "cpu.l2_cache_size", "cpu.l3_cache_size"),
)
NO_ROUNDS = "no stats.data; a file saved by --benchmark-json has the rounds"


class PytestStats(Struct, frozen=True):
    """The rounds of one benchmark, seconds each."""

    data: list[float | None] | None = None


class PytestRounds(Struct, frozen=True):
    """One benchmark of pytest."""

    name: str
    stats: PytestStats | None = None
    fullname: str | None = None
    extra_info: dict[str, Any] = {}


class PytestFile(Struct, frozen=True):
    """A whole file of pytest."""

    benchmarks: list[PytestRounds]
    machine_info: dict[str, Any] = {}
    commit_info: dict[str, Any] = {}
    datetime: Any = None


def recognises(content: Content) -> bool:
    """Return whether the benchmarks have statistics, or the machine is told as pytest does."""
    one = content.first("benchmarks")
    listed = begins(content.keys, "benchmarks", b"[") and not begins(one, "runs", b"[")
    return begins(one, "stats", b"{") or (listed and "machine_info" in content.keys)


def read(content: Content, label: str) -> Variant:
    """Return the variant that a file of pytest holds; InputError: a name that is there twice."""
    saved = content.decode(PytestFile)
    told = {key: text for key, text in flatten(saved.machine_info) if text.strip()}
    context = only(told, ("node", "release", "python_version"))
    if isinstance(saved.commit_info.get("id"), str):
        context["commit"] = saved.commit_info["id"]
    variant = Variant(
        label,
        SOURCE,
        {},
        # The counter is of benches.instructions: perf and callgrind count differently.
        only(told, (*EXPECTED, "counter")),
        context,
        cpu=CPU,
        machine=only(told, MACHINE),
        expects=EXPECTED,
        begun=seconds_of(saved.datetime),
    )
    for benchmark in saved.benchmarks:
        _add_rounds(variant, benchmark, content.where)
    return variant


def _add_rounds(variant: Variant, benchmark: PytestRounds, where: str) -> None:
    name = benchmark.fullname or benchmark.name
    rounds = None if benchmark.stats is None else benchmark.stats.data
    if rounds is None:
        check_new(variant, name, where)
        variant.unread[name] = NO_ROUNDS
    else:
        known = {"unit": "s", "better": "lower", "cautions": (ONE_PROCESS,)}
        add_noisy(variant, name, rounds, where, **known)
    for key, value in _numbers_of(benchmark.extra_info):
        metric = f"{name}:{key}"
        if isinstance(value, list):
            check_new(variant, metric, where)
            text = msgspec.json.encode(value).decode()
            variant.series[metric] = Series(metric=metric, kind="exact", better="none", value=text)
        else:
            add_exact(variant, metric, value, where, quantity=key)


def _numbers_of(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, number, list of counts or null) of what is no word and no flag."""
    for key, value in tree.items():
        name = f"{prefix}{key}"
        counts = isinstance(value, list) and value and all(map(_countable, value))
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(value, Mapping):
            yield from _numbers_of(value, f"{name}.")
        elif counts or number or value is None:
            yield name, value


def _countable(item: object) -> bool:
    """Return whether an item of a list is a whole number, or a list of such."""
    if isinstance(item, list):
        return all(map(_countable, item))
    return isinstance(item, int) and not isinstance(item, bool)


READER = ResultReader(recognises, read)
