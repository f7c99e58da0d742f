# SPDX-License-Identifier: BSD-3-Clause
"""pyperf's JSON: the values of each worker process, warmups and calibration left out."""

from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from ntbbench.compare.readers.checked import samples_of
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import ONE_PROCESS
from ntbbench.core.errors import InputError

SOURCE = "pyperf"
CPU = "cpu_model_name"
MACHINE = ("hostname", "cpu_count", "cpu_machine")
STRICT = (CPU, "python_compiler", "python_implementation", "python_cflags")
CONTEXT = ("platform", "hostname", "python_version", "cpu_config")
UNITS = {"second": "s", "byte": "B", "integer": ""}
PROCESSES = 5  # from as many on, a process is a sample


class Run(Struct, frozen=True):
    """One worker process."""

    values: list[float] = []
    metadata: dict[str, Any] = {}


class Benchmark(Struct, frozen=True):
    """One benchmark."""

    runs: list[Run]
    metadata: dict[str, Any] = {}


class Suite(Struct, frozen=True):
    """The whole file."""

    benchmarks: list[Benchmark]
    metadata: dict[str, Any] = {}


def read(data: bytes, label: str, where: str) -> Variant:
    """Return the variant that the file holds.

    InputError: a benchmark without a name, or with that of another.
    """
    suite = msgspec.json.decode(data, type=Suite)
    known: dict[str, Any] = {}
    variant = Variant(label, SOURCE, {}, cpu=CPU, expects=STRICT)
    for benchmark in suite.benchmarks:
        metadata = {**suite.metadata, **benchmark.metadata}
        for run in benchmark.runs:
            known |= run.metadata
        known |= metadata
        name = metadata.get("name")
        if not isinstance(name, str) or not name:
            raise InputError(f"{where}: metadata.name", name, "the name of the benchmark")
        if name in variant.series:
            raise InputError(f"{where}: benchmarks", name, "each name once")
        series = _series_of(benchmark, name, str(metadata.get("unit", "second")), where)
        if series is not None:
            variant.series[name] = series
    told = {key: str(value) for key, value in known.items() if str(value).strip()}
    for part, keys in (
        (variant.environment, STRICT),
        (variant.machine, MACHINE),
        (variant.context, CONTEXT),
    ):
        part.update({key: told[key] for key in keys if key in told})
    return variant


def _series_of(benchmark: Benchmark, name: str, unit: str, where: str) -> Series | None:
    """Return the samples of one benchmark: one a process where there are enough of them."""
    runs = [samples_of(run.values, where, name) for run in benchmark.runs if run.values]
    if not runs:
        return None
    cautions: tuple[str, ...] = ()
    if len(runs) >= PROCESSES:
        samples = np.array([run.mean() for run in runs])
        cautions = ("averaged-by-process",) if max(map(len, runs)) > 1 else ()
    else:
        samples = np.concatenate(runs)
        cautions = (ONE_PROCESS,) if len(runs) == 1 else ("few-processes",)
    return Series(
        metric=name,
        kind="noisy",
        unit=UNITS.get(unit, unit),
        better="lower" if unit == "second" else "unsaid",
        samples=samples,
        cautions=cautions,
    )
