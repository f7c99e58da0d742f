# SPDX-License-Identifier: BSD-3-Clause
"""What pyperf writes: the values of each worker process, without warmups and calibration."""

from dataclasses import replace
from typing import Any

import numpy as np
from msgspec import Struct

from ntbbench.compare.readers.checked import add_noisy, by_process, check_new, only, seconds_of
from ntbbench.compare.readers.content import Content, ResultReader, begins
from ntbbench.compare.series import Variant
from ntbbench.core.errors import InputError

SOURCE = "pyperf"
CPU = "cpu_model_name"
STRICT = (CPU, "python_compiler", "python_implementation", "python_cflags")
UNITS = {"second": "s", "byte": "B", "integer": ""}


class PyperfRun(Struct, frozen=True):
    """One worker process of pyperf."""

    values: list[float | None] = []
    metadata: dict[str, Any] = {}


class PyperfBenchmark(Struct, frozen=True):
    """One benchmark of pyperf."""

    runs: list[PyperfRun] | None = None
    metadata: dict[str, Any] = {}


class PyperfSuite(Struct, frozen=True):
    """A whole file of pyperf."""

    benchmarks: list[PyperfBenchmark]
    metadata: dict[str, Any] = {}


def recognises(content: Content) -> bool:
    """Return whether there is a list of benchmarks, which no other reader takes for its own."""
    return begins(content.keys, "benchmarks", b"[")


def read(content: Content, label: str) -> Variant:
    """Return the variant that a file of pyperf holds.

    InputError: a benchmark without a name, or with that of another.
    """
    suite, where = content.decode(PyperfSuite), content.where
    known: dict[str, Any] = {}
    variant = Variant(label, SOURCE, {}, cpu=CPU, expects=STRICT)
    for benchmark in suite.benchmarks:
        metadata = {**suite.metadata, **benchmark.metadata}
        for run in benchmark.runs or ():
            known |= run.metadata
        known |= metadata
        name = metadata.get("name")
        if not isinstance(name, str) or not name:
            raise InputError(f"{where}: metadata.name", name, "the name of the benchmark")
        if benchmark.runs is None:
            check_new(variant, name, where)
            variant.unread[name] = "no runs"
            continue
        _add_runs(variant, name, [run for run in benchmark.runs if run.values], where, metadata)
    told = {key: str(value) for key, value in known.items() if str(value).strip()}
    variant = replace(variant, begun=seconds_of(known.get("date")))
    variant.environment.update(only(told, STRICT))
    variant.machine.update(only(told, ("hostname", "cpu_count", "cpu_machine")))
    variant.context.update(only(told, ("platform", "hostname", "python_version", "cpu_config")))
    return variant


def _add_runs(
    variant: Variant,
    name: str,
    runs: list[PyperfRun],
    where: str,
    metadata: dict[str, Any],
) -> None:
    unit = str(metadata.get("unit", "second"))
    samples, cautions = by_process([run.values for run in runs])
    begun = [seconds_of(run.metadata.get("date")) for run in runs]
    known = len(samples) == len(runs) and None not in begun
    add_noisy(
        variant,
        name,
        samples,
        where,
        unit=UNITS.get(unit, unit),
        better="lower" if unit == "second" else "unsaid",
        times=np.array(begun, dtype=np.float64) if known else None,
        cautions=cautions,
    )


READER = ResultReader(recognises, read)
